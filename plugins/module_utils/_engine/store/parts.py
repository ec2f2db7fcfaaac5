# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A streaming put made of parts: what every object store does in the same way.

The answer to a put may be lost after the store has kept the object; the repeated request then meets it and is refused.
So every object carries a random token in its metadata, which tells whether the object that was met is our own. A
rival's object of equal content is still ``ObjectExists``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Deque, List, Optional, Protocol

from ..errors import ConfigError, StoreError
from .protocol import Written

MIB = 1024 * 1024
#: How many parts a size hint plans to use: S3 allows 10,000 ("Amazon S3 multipart upload limits"), the others more.
_PLANNED_PARTS = 9_000


def part_size_for(part_size: int, size_hint: Optional[int]) -> int:
    """The part size in bytes: the configured one, or as many whole MiB as an object of ``size_hint`` bytes needs."""
    needed = -(-(size_hint or 0) // _PLANNED_PARTS)
    return max(part_size, -(-needed // MIB) * MIB)


class Upload(Protocol):
    """One create-only put of one object, as its store does it. Nothing is visible before ``put`` or ``complete``."""

    def put(self, data: bytes, sha256: str) -> None:
        """The whole object by one request. Raises ``ObjectExists`` when the key is taken."""

    def begin(self) -> None:
        """Before the first part."""

    def send(self, number: int, data: bytes, last: bool) -> Any:
        """Part ``number`` (from 1), from any thread; what it gives goes to ``complete``, in the parts' order."""

    def complete(self, parts: List[Any]) -> None:
        """Make the parts the object. Raises ``ObjectExists`` when the key is taken."""

    def drop(self) -> None:
        """Take back what ``begin`` and ``send`` left in the store."""


class PartsWriter:
    """A streaming put. Up to one part it is one request at commit, beyond that parts of equal sizes.

    ``parallel`` parts are on their way at once. Holds at most ``part_size * (parallel + 2)`` bytes.
    """

    def __init__(self, name: str, upload: Upload, part_size: int, parallel: int, max_parts: int) -> None:
        self._name, self._upload = name, upload
        self._part_size, self._parallel, self._max_parts = part_size, parallel, max_parts
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._begun = False
        self._pool: Optional[ThreadPoolExecutor] = None
        self._pending: Deque[Future[Any]] = deque()
        self._parts: List[Any] = []
        self._written: Optional[Written] = None
        self._closed = False

    def write(self, data: bytes) -> int:
        """Take the next bytes; waits while ``parallel`` parts are on their way. A part's failure ends it here."""
        self._check_open()
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        taken = 0
        while taken < len(view):
            if len(self._buffer) == self._part_size:
                self._make_room()
            room = self._part_size - len(self._buffer)
            self._buffer += view[taken : taken + room]
            taken += min(room, len(view) - taken)
        return len(view)

    def commit(self) -> Written:
        """Make the object visible. On any failure the upload is aborted, so that nothing is left."""
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
        """Wait for the parts on their way, then drop them all."""
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
        # What failed first is what the caller must hear of; the store, or retention, sweeps what stays.
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

    def _send_part(self, last: bool) -> None:
        """Hand the buffer to a thread, beginning the upload with the first one."""
        number = len(self._parts) + len(self._pending) + 1
        if number > self._max_parts:
            raise ConfigError(
                f"{self._name!r} needs more than {self._max_parts} parts of part_size {self._part_size}.",
                f"Raise part_size: one object holds at most {self._max_parts} parts.",
                key=self._name,
                part_size=self._part_size,
            )
        if not self._begun:
            self._upload.begin()
            self._begun = True
        while len(self._pending) >= self._parallel:
            self._parts.append(self._pending.popleft().result())
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._parallel, "lifeboat-put")
        self._pending.append(self._pool.submit(self._upload.send, number, data, last))
