# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any store, with a limited transfer rate."""

from __future__ import annotations

import threading
from typing import Iterator, Optional

from ..base import clock
from .protocol import ObjectWriter, Store, Written
from .wrapped import WrappedStore


class Budget:
    """Bytes per second, shared by several threads. ``spend`` after a transfer; without a rate it returns at once."""

    def __init__(self, rate: Optional[float]) -> None:
        self._rate, self._lock, self._paid_until = rate, threading.Lock(), 0.0

    def spend(self, size: int) -> None:
        """Wait as long as these bytes should have taken, after those of the other threads."""
        if not self._rate:
            return
        with self._lock:
            now = clock.monotonic()
            self._paid_until = paid_until = after(self._paid_until, now, size, self._rate)
        if paid_until > now:
            clock.sleep(paid_until - now)


def after(paid_until: float, now: float, size: int, rate: float) -> float:
    """Until when (seconds) these bytes keep the line busy; unused time is not saved up. Pure."""
    return max(paid_until, now) + size / rate


class LimitedStore(WrappedStore):
    """Another store, slowed down. Lists, heads and deletes are not limited."""

    def __init__(self, store: Store, upload: Optional[float], download: Optional[float]) -> None:
        super().__init__(store)
        self._up, self._down = Budget(upload), Budget(download)

    def put(self, key: str, data: bytes) -> Written:
        """Store a small object, then wait."""
        written = self._store.put(key, data)
        self._up.spend(len(data))
        return written

    def writer(self, key: str) -> ObjectWriter:
        """A streaming put that waits after each piece."""
        return _LimitedWriter(self._store.writer(key), self._up)

    def get(self, key: str) -> bytes:
        """A small object, after a wait."""
        data = self._store.get(key)
        self._down.spend(len(data))
        return data

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """The object's chunks, each after a wait; the other store prefetches no more than its memory bound allows."""
        for chunk in self._store.read(key, sha256, size):
            self._down.spend(len(chunk))
            yield chunk


class _LimitedWriter:
    def __init__(self, writer: ObjectWriter, budget: Budget) -> None:
        self._writer, self._budget = writer, budget

    def write(self, data: bytes) -> int:
        size = self._writer.write(data)
        self._budget.spend(size)
        return size

    def commit(self) -> Written:
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()

    def __enter__(self) -> _LimitedWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        self._writer.__exit__(exc_type, exc, traceback)
