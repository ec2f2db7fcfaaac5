# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an object in order by parallel range requests, the same way for every object store."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Deque, Iterator, Optional

from ..base.errors import StoreError
from .checks import check_size

# As fast as 16 MiB, in half the memory. Parts of an upload are larger because S3 limits their number.
_RANGE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """The bytes of one response, and their object (``version``: its ETag or generation; ``size``: its whole size)."""

    data: bytes
    version: str
    object_size: int


#: ``fetch(first, length, version)``: ``length`` bytes (None: all) from ``first`` on, of exactly this ``version`` if
#: given; ``ObjectCorrupt`` if it has been replaced.
Fetch = Callable[[int, Optional[int], str], Fetched]


def _fetch_start(fetch: Fetch, length: int) -> Fetched:
    """The object's first range. For an empty object stores return 416, and it is read as a whole."""
    try:
        return fetch(0, length, "")
    except StoreError as exc:
        if exc.details.get("http_status") != 416:
            raise
        return fetch(0, None, "")


def read_ranges(fetch: Fetch, part_size: int, parallel: int, what: str, size: Optional[int]) -> Iterator[bytes]:
    """The object in order, in chunks of ``part_size`` or 8 MiB, with ``parallel`` of them prefetched.

    Holds at most ``parallel + 1`` of them, including the consumer's. All ranges are of the version that the first one
    found. ``size`` (bytes) is compared before the first chunk is returned.
    """
    step = min(part_size, _RANGE)
    start = _fetch_start(fetch, step)
    total, version, data = start.object_size, start.version, start.data
    del start
    check_size(what, total, size)
    if total <= step:
        yield data
        return
    pool = ThreadPoolExecutor(parallel, "lifeboat-get")
    pending: Deque[Future[Fetched]] = deque()
    offset = step

    def fill() -> None:
        nonlocal offset
        while offset < total and len(pending) < parallel:
            pending.append(pool.submit(fetch, offset, min(step, total - offset), version))
            offset += step

    try:
        fill()
        yield data
        del data
        while offset < total or pending:
            fill()
            # Bind no name to the chunk: it must not be kept alive here while the consumer uses it.
            yield pending.popleft().result().data
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
