# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that are only read: any store, whatever its credentials allow, and the base of the past of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Iterable, Iterator, List

from ..base import clock
from ..base.errors import StoreError, StoreReadOnly
from .protocol import DeleteFailure, ObjectWriter, Unfinished, Written
from .wrapped import WrappedStore


class OnlyRead(ABC):
    """Refuses each operation that would write or delete."""

    @abstractmethod
    def _read_only(self, key: str) -> StoreReadOnly:
        """The error for this key."""

    def put(self, key: str, data: bytes) -> Written:
        """StoreReadOnly."""
        raise self._read_only(key)

    def writer(self, key: str) -> ObjectWriter:
        """StoreReadOnly."""
        raise self._read_only(key)

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """StoreReadOnly."""
        raise self._read_only(next(iter(keys), ""))

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: nothing is uploaded or aborted."""
        return iter(())

    def drop(self, upload: Unfinished) -> None:
        """StoreReadOnly."""
        raise self._read_only(upload.key)


class ReadOnlyStore(OnlyRead, WrappedStore):
    """Another store, to which nothing is written and from which nothing is deleted."""

    def clock(self) -> datetime:
        """The time of the store, or of this host where only a write would tell it: a directory mounted read-only."""
        try:
            return self._store.clock()
        except StoreError:
            return clock.now()

    def _read_only(self, key: str) -> StoreReadOnly:
        return StoreReadOnly(
            f"Cannot write {key}: {self.location} is read_only in the configuration.",
            "Omit read_only to write there.",
            key=key,
        )
