# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an object by parallel ranges in order, the same for every object store."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Deque, Iterator, Optional

from ..base.errors import StoreError
from .checks import check_size

# As fast as 16 MiB beside the same store, in half the memory: an upload's parts are larger because S3 counts them.
_RANGE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """The bytes of one answer, and the object they belong to (``version``: its ETag or generation; its whole size)."""

    data: bytes
    version: str
    object_size: int


#: ``fetch(first, length, version)``: the bytes from ``first`` on; all of them where ``length`` is None; with a
#: ``version`` of exactly that one, or ``ObjectCorrupt``.
Fetch = Callable[[int, Optional[int], str], Fetched]


def _fetch_start(fetch: Fetch, length: int) -> Fetched:
    """The object's first range. An empty object has none: stores answer 416, and it is read whole."""
    try:
        return fetch(0, length, "")
    except StoreError as exc:
        if exc.details.get("http_status") != 416:
            raise
        return fetch(0, None, "")


def read_ranges(fetch: Fetch, part_size: int, parallel: int, what: str, size: Optional[int]) -> Iterator[bytes]:
    """The object in order, in chunks of ``part_size`` or 8 MiB, ``parallel`` of them being fetched ahead.

    Holds at most ``parallel + 1`` of them, with the chunk that the consumer works on. All ranges are of the object that
    the first one met. ``size`` (bytes) is compared before the first chunk is given.
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
            # No name is bound to the chunk: while it is being used elsewhere, it must not be held here as well.
            yield pending.popleft().result().data
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
