# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let several threads make one archive: each makes a compressed frame of its own, and they are joined in order.

Frames of zstd or lz4, one after the other, are a valid file, which every decompressor reads as one.
"""

from __future__ import annotations

import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import IO, Any, Callable, Deque, Iterable, Iterator, List, Tuple

from ..codec import archive
from ..records.model import MOST_FILES
from .scan import Listed

#: Bytes before compression; a frame has one piece of a large file, or several small files as a whole.
PIECE = 4 * 1024 * 1024
# A quarter, because volumes are not full, and each tablespace begins another one.
_MOST_VOLUMES = MOST_FILES // 4


def frame(method: str, level: int, data: bytes) -> bytes:
    """The data as one frame."""
    compressor = archive.compressor(method, level, 0)
    return compressor.feed(data) + compressor.finish() if compressor else data


def batches(files: Iterable[Listed], most: int = PIECE) -> Iterator[Tuple[Listed, ...]]:
    """The files in their order; several share a batch if they have at most ``most`` bytes together. Pure."""
    batch: List[Listed] = []
    size = 0
    for file in files:
        if batch and size + file.size > most:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield tuple(batch)


def volume_size(total: int, wanted: int) -> int:
    """The size of volumes for ``total`` bytes: what is ``wanted``, or more, so that a record can list them all. Pure.

    Of two volumes one after the other at least one is half full. 0: one volume for all.
    """
    return max(wanted, -(-total // _MOST_VOLUMES)) if wanted else sys.maxsize


class Line:
    """Work that threads do ahead, whose results are taken in the order in which it was given.

    As a context manager it waits for work that has begun, then closes what was passed to :meth:`keep`.
    """

    def __init__(self, pool: ThreadPoolExecutor, ahead: int) -> None:
        self._pool, self._ahead = pool, ahead
        self._waiting: Deque[Tuple[Future[Any], Callable[[Any], None]]] = deque()
        self._kept = ExitStack()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Threads may still be reading the files that are closed here.
        jobs = [job for job, _take in self._waiting if not job.cancel()]
        wait(jobs)
        self._kept.close()

    def keep(self, stream: IO[bytes]) -> None:
        """Close this at the end, if it is not closed before."""
        self._kept.callback(stream.close)

    def put(self, work: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Let a thread do this; ``take`` gets the result here. Waits if too much lies ahead; raises what failed."""
        self._waiting.append((self._pool.submit(work), take))
        while len(self._waiting) > self._ahead:
            self._next()

    def finish(self) -> None:
        """Take all results."""
        while self._waiting:
            self._next()

    def _next(self) -> None:
        job, take = self._waiting.popleft()
        take(job.result())
