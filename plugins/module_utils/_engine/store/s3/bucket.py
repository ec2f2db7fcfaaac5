# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features that only some kinds of store have: object locks, and a bucket with settings of its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Optional, Protocol, Tuple

from ...base import clock
from ...config.store_options import S3Options, StoreOptions

if TYPE_CHECKING:
    from .cold import S3Cold


class Locks(Protocol):
    """The locks of a store; see :class:`.s3_lock.S3Locks`."""

    def until(self, key: str) -> Optional[datetime]:
        """When the lock of the object ends; None without one."""

    def extend(self, key: str, until: datetime) -> None:
        """Lock the object until then."""

    def close(self) -> None:
        """Release connections."""


def bucket_of(options: StoreOptions) -> Optional[S3Options]:
    """The bucket whose settings and lifecycle rules can be read and put; None for every other kind of store."""
    return options if isinstance(options, S3Options) else None


def first_replaced(options: StoreOptions, prefix: str) -> Optional[Tuple[str, datetime]]:
    """The key of the first object that was put over another one below the prefix, and when; None if there is none.

    NotVersioned where nothing would be left of the other one. Requests: one for each "directory".
    """
    bucket = bucket_of(options)
    if bucket is None:
        return None
    # This imports boto3, which is slow.
    from .versions import S3StoreAsOf

    store = S3StoreAsOf(bucket, clock.now())
    try:
        found = store.first_replaced(prefix)
    finally:
        store.close()
    return (found.key, found.modified) if found else None


def open_cold(options: StoreOptions) -> Optional[S3Cold]:
    """The storage classes of a bucket's objects; None for a store without archive classes of S3."""
    bucket = bucket_of(options)
    if bucket is None:
        return None
    # This imports boto3, which is slow.
    from .cold import S3Cold

    return S3Cold(bucket)


def open_locks(options: StoreOptions) -> Optional[Locks]:
    """The locks of a store; None if objects are not locked."""
    bucket = bucket_of(options)
    if bucket is None or not bucket.lock_mode:
        return None
    # This imports boto3, which is slow.
    from .lock import S3Locks

    return S3Locks(bucket)
