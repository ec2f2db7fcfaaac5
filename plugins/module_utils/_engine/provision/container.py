# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what hosts can do in an Azure container or a Google bucket.

The provider's own tools create and configure it.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Iterator, List

from ..base.errors import BucketMissing, ObjectExists, StoreAccessDenied, StoreError
from ..config.store_options import StoreOptions
from ..config.transit import is_clear_text
from ..repository import layout
from ..store import open_store
from ..store.protocol import Store
from .features import HOLDS, UNKNOWN, WEAKER, Feature, Prepared, lacking

_FIRST, _SECOND = b"first\n", b"second\n"


def plan(options: StoreOptions) -> Prepared:
    """Check that it responds; features that only a write could test are *unknown*. Raises as :func:`apply` does."""
    with _opened(options):
        return _prepared(options, [Feature("create_only", UNKNOWN, "not tried in check mode")])


def apply(options: StoreOptions) -> Prepared:
    """Test it with the hosts' credentials. Raises BucketMissing if it does not exist, and any other StoreError."""
    with _opened(options) as store:
        return _prepared(options, _tried(store))


@contextlib.contextmanager
def _opened(options: StoreOptions) -> Iterator[Store]:
    store = open_store(options)
    try:
        next(store.list(), None)
        yield store
    finally:
        store.close()


def _prepared(options: StoreOptions, tried: List[Feature]) -> Prepared:
    tls = Feature("tls_only", HOLDS)
    if is_clear_text(options.endpoint):
        tls = Feature("tls_only", WEAKER, f"endpoint_url {options.endpoint} is plain HTTP")
    place = {"bucket": options.location}
    return Prepared((tls, *tried), (), place, place)


def _tried(store: Store) -> List[Feature]:
    key = layout.trial(secrets.token_hex(8))
    names = ("create_only", "writer_cannot_overwrite", "writer_cannot_delete")
    try:
        try:
            store.put(key, _FIRST)
        except StoreAccessDenied as exc:
            unknown = [Feature(name, UNKNOWN, "it cannot write at all") for name in names]
            return [Feature("writer_writes", WEAKER, lacking(exc)), *unknown]
        try:
            store.put(key, _SECOND)
            create_only = Feature(names[0], WEAKER, "the store ignores the create-only condition")
        except ObjectExists:
            create_only = Feature(names[0], HOLDS)
        overwrite = Feature(names[1], UNKNOWN, "it is up to the provider's roles")
        return [Feature("writer_writes", HOLDS), create_only, overwrite, _delete(store, key)]
    finally:
        with contextlib.suppress(StoreError):
            store.delete([key])


def _delete(store: Store, key: str) -> Feature:
    name = "writer_cannot_delete"
    try:
        if store.delete([key]):
            return Feature(name, HOLDS)
    except BucketMissing:
        raise
    except StoreError as exc:
        lacking(exc)
        return Feature(name, HOLDS)
    return Feature(name, WEAKER, "the store let the hosts' credentials delete an object")
