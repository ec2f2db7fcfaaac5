# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lifecycle rules of a bucket, and those that suit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

from ..base.errors import BucketMissing, StoreError, StoreUnavailable
from ..config.load import S3Options, StoreOptions
from ..store.s3.bucket import bucket_of
from .lifecycle import harms, with_abort, with_old_versions

_ABORT_DAYS = 7


@dataclass(frozen=True)
class Rules:
    """The rules to put, including the existing ones, and notes about them."""

    rules: List[Dict[str, Any]]
    notes: Tuple[str, ...] = ()


def rules_for(options: S3Options, version_days: int) -> Rules:
    """The safe rules in addition to the existing ones: putting rules replaces all of them."""
    prefix = _prefix(options)
    notes: List[str] = []
    try:
        found = _read(options)
    except StoreError as exc:
        found = None
        notes.append(f"the existing rules could not be read, and would be replaced: {exc.message}")
    notes += harms(found, prefix)
    wanted = with_old_versions(with_abort(found, prefix, _ABORT_DAYS), prefix, version_days)
    return Rules([dict(rule) for rule in wanted], tuple(notes))


def harmful_rules(options: StoreOptions, below: str) -> List[str]:
    """A sentence for each rule that deletes or freezes objects below the relative prefix; none if rules are unknown."""
    bucket = bucket_of(options)
    if bucket is None:
        return []
    try:
        found = _read(bucket)
    except (StoreUnavailable, BucketMissing) as exc:
        if exc.details.get("http_status") != 501:
            raise
        return []
    except StoreError:
        # Hosts may lack permission to read the rules, and not every store has rules.
        return []
    return harms(found, _prefix(bucket) + below)


def _read(options: S3Options) -> Any:
    # boto3 is slow to import: do so only if there is a bucket.
    from ..store.s3.client import connect
    from .settings import read_rules

    connection = connect(options)
    try:
        return read_rules(connection)
    finally:
        connection.close()


def _prefix(options: S3Options) -> str:
    bare = options.prefix.strip("/")
    return f"{bare}/" if bare else ""
