# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface that every object store implements.

Names are ``/``-separated keys relative to the store's prefix. Every write is create-only: a store never replaces an
object. All methods raise the errors of :mod:`..errors` and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Iterable, Iterator, List, Optional, Protocol

#: For how long an object of this key is locked when it is put; None: not at all.
Term = Callable[[str], Optional[timedelta]]


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing reports about an object: its key, size in bytes and the time (UTC, aware) it was stored.

    ``md5`` is a digest of the stored bytes (hex), if the listing has one. Equal digests mean equal bytes, but different
    ones need not mean different bytes: S3's ETag is not an MD5 if the store encrypts with KMS.
    """

    key: str
    size: int
    modified: datetime
    md5: Optional[str] = None


@dataclass(frozen=True)
class Written:
    """A finished put: size in bytes and SHA-256 (hex) of exactly the bytes that were stored."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DeleteFailure:
    """An object that a batch delete could not remove, and the store's message."""

    key: str
    reason: str


@dataclass(frozen=True)
class Unfinished:
    """An upload that was started and not finished: its key, the store's ID for it, and when it was started.

    ``touched`` is when its newest part arrived, or None if the store does not report it.
    """

    key: str
    upload: str
    begun: datetime
    touched: Optional[datetime] = None


class ObjectWriter(Protocol):
    """A create-only streaming put. Nothing is visible under the key before :meth:`commit` returns.

    As a context manager it commits on a clean exit and aborts (leaves nothing behind) on an exception.
    """

    def write(self, data: bytes) -> int:
        """Take the next bytes; may block until there is room for a part. Returns ``len(data)``."""

    def commit(self) -> Written:
        """Make the object visible. Raises ``ObjectExists`` if the key has been taken meanwhile."""

    def abort(self) -> None:
        """Drop everything written so far; safe to call twice and after a failure."""

    def __enter__(self) -> ObjectWriter: ...

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None: ...


class Store(Protocol):
    """An object store below one prefix."""

    @property
    def location(self) -> str:
        """The human-readable name of this store, without secrets: ``s3://bucket/prefix`` or ``/mnt/backup``."""

    def put(self, key: str, data: bytes) -> Written:
        """Store a small object, create-only. Raises ``ObjectExists`` if the key is taken."""

    def writer(self, key: str) -> ObjectWriter:
        """A streaming put of unknown length."""

    def get(self, key: str) -> bytes:
        """A small object as a whole. Raises ``ObjectMissing`` only if the store confirmed that it does not exist."""

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """The object as chunks in order, fetched as parallel ranges in bounded memory.

        With ``sha256`` or ``size`` the whole object is checked; a mismatch raises ``ObjectCorrupt`` at its end.
        A ranged read pins the object it began with (``If-Match``) so that it never mixes two versions.
        """

    def head(self, key: str) -> Optional[ObjectInfo]:
        """The object's facts, or None if the store confirmed that it does not exist."""

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order (UTF-8 bytes), page by page."""

    def list_names(self, prefix: str) -> Iterator[str]:
        """The next path components below ``prefix`` (which ends in ``/`` or is empty), in order: one level only.

        A "directory" comes back with a trailing ``/``, an object without.
        """

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """Delete in batches; a missing key is not a failure. Returns the objects that could not be deleted."""

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Uploads below ``prefix`` that may have been abandoned; none if the store removes them by itself."""

    def drop(self, upload: Unfinished) -> None:
        """Abort an upload; does nothing if it has ended meanwhile."""

    def clock(self) -> datetime:
        """The store's time (UTC, aware), to the second."""

    def close(self) -> None:
        """Release connections and threads; the store is not used after it."""
