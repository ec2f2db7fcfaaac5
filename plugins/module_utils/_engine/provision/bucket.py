# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a bucket and report which promises its store keeps.

A missing feature is not an error: it is returned as *weaker*, with the promise that depends on it. Features are tested
wherever possible, not taken on trust. A second run changes nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..base.errors import BucketMissing, ConfigError, StoreAccessDenied, StoreError
from ..config.load import S3Options
from ..store.s3.client import Connection, connect
from .features import HOLDS, PLANNED, UNKNOWN, WEAKER, Feature, Prepared, lacking
from .identities import Identity, apply_identities, plan_identities, read_credentials, with_credentials
from .settings import Setting, settings_for, write_encryption, write_policy
from .trial import try_encrypted, try_put, try_store


@dataclass(frozen=True)
class BucketRequest:
    """A bucket to prepare.

    ``admin``: the store's options with credentials that may change the bucket; ``hosts``: those that hosts will use
    (None: unknown here). ``identities`` are created, and their keys saved in ``credentials_file``. Features in
    ``leave`` are not touched. ``abort_days``: age of a stale upload; ``version_days``: how long older versions are
    kept (None: as the bucket is configured).
    """

    admin: S3Options
    hosts: Optional[S3Options] = None
    identities: Tuple[Identity, ...] = ()
    credentials_file: str = ""
    leave: Tuple[str, ...] = ()
    abort_days: int = 7
    version_days: Optional[int] = None


def plan(request: BucketRequest) -> Prepared:
    """What :func:`apply` would create and set; only reads. Raises the same errors, if the store cannot be reached."""
    with _connected(request) as connection:
        exists = _exists(connection)
        settled = [_decide(connection, setting, exists) for setting in _settings(connection, request)]
        listed, changes = plan_identities(request.admin, request.identities, request.credentials_file)
        tried = [Feature("create_only", UNKNOWN, "not tried in check mode")]
        return _prepared(request, exists, settled, [*listed, *tried], changes)


def apply(request: BucketRequest) -> Prepared:
    """Create the bucket and put its settings, create the identities, then test what the hosts can do."""
    with _connected(request) as connection:
        exists = _exists(connection)
        if not exists:
            _create(connection)
        # Decide on each only when its turn has come: two of the settings are rules of the same list.
        settled = [_settle(connection, _decide(connection, s, True)) for s in _settings(connection, request)]
        made, changes = apply_identities(request.admin, request.identities, request.credentials_file)
        versioned = any(s.name == "versioning" and s.after == "Enabled" for s in settled)
        tried = try_store(connection, _prefix(request.admin), _writer(request), versioned)
        return _prepared(request, exists, settled, [*made, *tried], changes)


@contextlib.contextmanager
def _connected(request: BucketRequest) -> Iterator[Connection]:
    if request.identities and not request.credentials_file:
        raise ConfigError("identities require credentials_file.", "Set credentials_file to the file for their keys.")
    connection = connect(request.admin)
    try:
        yield connection
    finally:
        connection.close()


def _settings(connection: Connection, request: BucketRequest) -> Iterator[Setting]:
    for setting in settings_for(request.admin, request.abort_days, request.version_days):
        if setting.name not in request.leave:
            yield setting


@dataclass(frozen=True)
class _Settled:
    """A setting's feature, and its value before and after (planned or real)."""

    setting: Setting
    feature: Feature
    before: Any = None
    after: Any = None
    # Otherwise left out of before and after.
    compared: bool = True

    @property
    def name(self) -> str:
        return self.setting.name


def _prepared(
    request: BucketRequest, exists: bool, settled: Sequence[_Settled], others: Sequence[Feature], made: List[str]
) -> Prepared:
    """All of it as one result. Pure."""
    bucket = request.admin.bucket
    before: Dict[str, Any] = {"bucket": bucket if exists else None}
    after: Dict[str, Any] = {"bucket": bucket}
    before.update({s.name: s.before for s in settled if s.compared})
    after.update({s.name: s.after for s in settled if s.compared})
    if request.identities:
        after["identities"] = made
    changes = [] if exists else [f"bucket {bucket} made"]
    changes += [f"{s.name} set" for s in settled if s.before != s.after]
    return Prepared((*(s.feature for s in settled), *others), (*changes, *made), before, after)


def _prefix(options: S3Options) -> str:
    return f"{options.prefix.strip('/')}/" if options.prefix.strip("/") else ""


def is_clear_text(connection: Connection) -> bool:
    """Whether the endpoint is plain HTTP: then a policy that requires TLS would lock everybody out."""
    return connection.place.endpoint.startswith("http://")


def _writer(request: BucketRequest) -> Optional[S3Options]:
    """The writer that was created for the hosts, or else the options that they use today."""
    if request.identities:
        made = with_credentials(request.admin, read_credentials(request.credentials_file).get("writer"))
        if made is not None:
            return made
    return request.hosts


def _exists(connection: Connection) -> bool:
    try:
        connection.call("head_bucket")
    except BucketMissing:
        return False
    except StoreError as exc:
        # HeadBucket has no body, so a 404 has no error code.
        if exc.details.get("http_status") == 404:
            return False
        raise
    return True


def _create(connection: Connection) -> None:
    region = connection.options.region
    place: Dict[str, Any] = {}
    if region not in (None, "us-east-1"):
        place["CreateBucketConfiguration"] = {"LocationConstraint": region}
    if connection.options.object_lock:
        place["ObjectLockEnabledForBucket"] = True
    try:
        connection.call("create_bucket", **place)
    except StoreError as exc:
        if exc.details.get("code") == "BucketAlreadyOwnedByYou":
            return
        if exc.details.get("code") == "BucketAlreadyExists":
            raise StoreAccessDenied(
                f"The bucket {connection.options.bucket!r} belongs to somebody else.",
                "Choose another name: all customers of the store share one namespace.",
                **exc.details,
            ) from exc
        raise


def _decide(connection: Connection, setting: Setting, exists: bool) -> _Settled:
    """Compare the setting with its target: *planned* if they differ, *weaker* if the store refuses."""
    if setting.name == "tls_only" and is_clear_text(connection):
        why = f"endpoint_url {connection.place.endpoint} is plain HTTP"
        return _Settled(setting, Feature(setting.name, WEAKER, why), compared=False)
    try:
        found = setting.read(connection) if exists else None
        wanted = setting.wanted(found)
        if wanted == found:
            return _Settled(setting, Feature(setting.name, HOLDS), found, found)
        if setting.name == "encryption" and exists:
            refusal = try_encrypted(connection, _prefix(connection.options), wanted)
            if refusal:
                return _Settled(setting, Feature(setting.name, WEAKER, refusal), found, found)
        return _Settled(setting, Feature(setting.name, PLANNED), found, wanted)
    except StoreError as exc:
        return _Settled(setting, Feature(setting.name, WEAKER, lacking(exc)))


def _settle(connection: Connection, decided: _Settled) -> _Settled:
    """Put a planned setting and read it back. If the store refuses or loses it, it is *weaker*, and not a change."""
    if decided.feature.state != PLANNED:
        return decided
    setting, found = decided.setting, decided.before
    try:
        setting.write(connection, decided.after)
        kept = setting.read(connection)
    except StoreError as exc:
        return _Settled(setting, Feature(setting.name, WEAKER, lacking(exc)))
    if setting.wanted(kept) != kept:
        why = "the store accepted the setting but did not keep it"
        return _Settled(setting, Feature(setting.name, WEAKER, why), found, found)
    refusal = _consequence(connection, setting, found)
    if refusal:
        return _Settled(setting, Feature(setting.name, WEAKER, refusal), found, found)
    return _Settled(setting, Feature(setting.name, HOLDS), found, kept)


def _consequence(connection: Connection, setting: Setting, before: Any) -> Optional[str]:
    """Why a new setting locks everybody out, in which case it is reverted; None if it does not."""
    undo = {"encryption": write_encryption, "tls_only": write_policy}.get(setting.name)
    if undo is None:
        return None
    refusal = try_put(connection, _prefix(connection.options))
    if refusal is None:
        return None
    undo(connection, before)
    return f"with it {refusal}, so it was reverted"
