# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A streaming put in parts, the same for every object store.

The response to a put may be lost after the store has kept the object; the retry then finds the object and is refused.
So every object carries a random token in its metadata, which shows whether an existing object is our own. Another
writer's object is still ``ObjectExists``, even with equal content.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Deque, List, Optional, Protocol

from ..base.errors import ConfigError, StoreError
from .protocol import Written

MIB = 1024 * 1024
#: The size that every upload can reach: that of S3's largest object ("Amazon S3 multipart upload limits").
REACH = 5 * MIB**2
#: Bytes that parts in flight and the next one may take, if ``parallel`` parts of the first size need less.
HELD = 512 * MIB


@dataclass(frozen=True)
class Schedule:
    """The length of each part of an object of unknown size, in bytes; all parts together hold ``reach``.

    The first fifth of the ``parts`` that the store accepts are ``first`` long; later ones grow with the square of their
    number, in multiples of ``unit``. So parts are never much longer than the amount written requires: with S3's 10,000
    parts, starting at 16 MiB, 16 MiB up to 31 GiB, 96 MiB at 100 GiB, 0.6 GiB at 1 TiB, 1.9 GiB at 5 TiB.
    """

    first: int
    parts: int
    reach: int = REACH
    unit: int = MIB

    def length(self, number: int) -> int:
        """The length of part ``number`` (from 1)."""
        flat = self.parts // 5
        growing, lacking = self.parts - flat, self.reach - self.first * self.parts
        if number <= flat or lacking <= 0:
            return self.first
        more = 3 * lacking * (number - flat) ** 2
        return self.first + -(-more // (growing**3 * self.unit)) * self.unit

    def held(self, parallel: int) -> int:
        """The bytes held in memory, unless two parts need more."""
        return max(self.first * (parallel + 2), min(HELD, self.length(self.parts) * (parallel + 2)))


class Upload(Protocol):
    """One create-only put of one object, by one kind of store. Nothing is visible before ``put`` or ``complete``."""

    def put(self, data: bytes, sha256: str) -> None:
        """Put the whole object in one request. Raises ``ObjectExists`` if the key is taken."""

    def begin(self) -> None:
        """Start the upload, before the first part."""

    def send(self, number: int, data: bytes, last: bool) -> Any:
        """Send part ``number`` (from 1), from any thread; the results go to ``complete`` in the order of the parts."""

    def complete(self, parts: List[Any]) -> None:
        """Create the object out of the parts. Raises ``ObjectExists`` if the key is taken."""

    def drop(self) -> None:
        """Remove whatever ``begin`` and ``send`` left in the store."""


class PartsWriter:
    """A streaming put: up to one part in one request at commit, beyond that in parts by the ``schedule``.

    At most ``parallel`` parts are in flight at once. Holds at most ``part_size * (parallel + 2)`` bytes while parts
    have the first length (with S3 for 31 GiB). Once they grow, it holds 512 MiB or two parts, whichever is more, with
    fewer in flight. With S3 and parts of 16 MiB, that is 512 MiB up to 300 GiB, 1.3 GiB at 1 TiB, 3.8 GiB at 5 TiB.
    """

    def __init__(self, name: str, upload: Upload, schedule: Schedule, parallel: int) -> None:
        self._name, self._upload = name, upload
        self._schedule, self._parallel = schedule, parallel
        self._length, self._held = schedule.length(1), schedule.held(parallel)
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._begun = False
        self._pool: Optional[ThreadPoolExecutor] = None
        self._pending: Deque[Future[Any]] = deque()
        self._lengths: Deque[int] = deque()
        self._parts: List[Any] = []
        self._written: Optional[Written] = None
        self._closed = False

    def write(self, data: bytes) -> int:
        """Take the next bytes; waits while ``parallel`` parts are in flight. Raises the error of a failed part."""
        self._check_open()
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        taken = 0
        while taken < len(view):
            if len(self._buffer) == self._length:
                self._make_room()
            room = self._length - len(self._buffer)
            self._buffer += view[taken : taken + room]
            taken += min(room, len(view) - taken)
        return len(view)

    def commit(self) -> Written:
        """Make the object visible. On failure the upload is aborted, so that nothing is left behind."""
        if self._written is not None:
            return self._written
        self._check_open()
        try:
            sha256 = self._digest.hexdigest()
            if self._begun:
                self._send_part(last=True)
                while self._pending:
                    self._parts.append(self._pending.popleft().result())
                self._upload.complete(self._parts)
            else:
                data = bytes(self._buffer)
                self._buffer.clear()
                self._upload.put(data, sha256)
        except BaseException:
            self._abort_after_failure()
            raise
        self._written = Written(self._name, self._size, sha256)
        self._close()
        return self._written

    def abort(self) -> None:
        """Wait for the parts in flight, then drop them all."""
        if self._closed:
            return
        self._close()
        if self._begun:
            self._upload.drop()

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        if exc_type is not None:
            self._abort_after_failure()
        elif not self._closed:
            self.commit()

    def _abort_after_failure(self) -> None:
        # Report only the first failure; the store, or retention, removes the leftovers.
        with contextlib.suppress(StoreError):
            self.abort()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The put of {self._name!r} has already ended.", "Open another writer.", key=self._name)

    def _close(self) -> None:
        self._closed = True
        self._buffer = bytearray()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _make_room(self) -> None:
        try:
            self._send_part(last=False)
        except BaseException:
            self._abort_after_failure()
            raise

    def _has_room(self, needed: int) -> bool:
        return len(self._pending) < self._parallel and sum(self._lengths) + needed <= self._held

    def _send_part(self, last: bool) -> None:
        """Pass the buffer to a thread; the first one starts the upload."""
        number = len(self._parts) + len(self._pending) + 1
        if number > self._schedule.parts:
            raise ConfigError(
                f"{self._name!r} needs more than {self._schedule.parts} parts, which hold at most {self._size} bytes.",
                "Raise part_size, or split the object: each tablespace and each file set is an archive of its own.",
                key=self._name,
                part_size=self._schedule.first,
            )
        if not self._begun:
            self._upload.begin()
            self._begun = True
        # This part, and its copy in the buffer, where the next one starts.
        self._length = self._schedule.length(number + 1)
        while self._pending and not self._has_room(len(self._buffer) + self._length):
            self._parts.append(self._pending.popleft().result())
            self._lengths.popleft()
        data = bytes(self._buffer)
        self._buffer.clear()
        self._lengths.append(len(data))
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._parallel, "lifeboat-put")
        self._pending.append(self._pool.submit(self._upload.send, number, data, last))
