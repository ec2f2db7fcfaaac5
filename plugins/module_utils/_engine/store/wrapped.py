# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store around another one: what changes nothing is passed on."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable, Iterator, List, Optional

from .protocol import DeleteFailure, ObjectInfo, ObjectWriter, Store, Unfinished, Written


class WrappedStore:
    """Passes every operation on to the other store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def location(self) -> str:
        return self._store.location

    def put(self, key: str, data: bytes) -> Written:
        return self._store.put(key, data)

    def writer(self, key: str) -> ObjectWriter:
        return self._store.writer(key)

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
        return self._store.delete(keys)

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        return self._store.unfinished(prefix)

    def drop(self, upload: Unfinished) -> None:
        self._store.drop(upload)

    def clock(self) -> datetime:
        return self._store.clock()

    def close(self) -> None:
        self._store.close()
