# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any store, for reading alone, whatever its credentials allow."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable, Iterator, List, Optional

from ..base import clock
from ..base.errors import StoreError, StoreReadOnly
from .protocol import DeleteFailure, ObjectInfo, ObjectWriter, Store, Unfinished, Written


class ReadOnlyStore:
    """Another store, to which nothing is written and from which nothing is deleted: StoreReadOnly."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def location(self) -> str:
        return self._store.location

    def put(self, key: str, data: bytes) -> Written:
        """StoreReadOnly."""
        raise self._refused(key)

    def writer(self, key: str) -> ObjectWriter:
        """StoreReadOnly."""
        raise self._refused(key)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        return self._store.read(key, sha256, size)

    def head(self, key: str) -> Optional[ObjectInfo]:
        return self._store.head(key)

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        return self._store.list(prefix, start_after)

    def list_names(self, prefix: str) -> Iterator[str]:
        return self._store.list_names(prefix)

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """StoreReadOnly."""
        raise self._refused(next(iter(keys), ""))

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: nothing is aborted."""
        return iter(())

    def drop(self, upload: Unfinished) -> None:
        """StoreReadOnly."""
        raise self._refused(upload.key)

    def clock(self) -> datetime:
        """The time of the store, or of this host where only a write would tell it: a directory mounted read-only."""
        try:
            return self._store.clock()
        except StoreError:
            return clock.now()

    def close(self) -> None:
        self._store.close()

    def _refused(self, key: str) -> StoreReadOnly:
        return StoreReadOnly(
            f"Cannot write {key}: {self.location} is read_only in the configuration.",
            "Omit read_only to write there.",
            key=key,
        )
