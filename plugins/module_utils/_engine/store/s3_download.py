# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading objects: whole, or by parallel ranges in order."""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Deque, Dict, Iterator, Optional

from ..errors import StoreError
from .checks import check_size
from .s3_client import Connection, back_off
from .s3_errors import S3_FAILURES, translate

# As fast as 16 MiB beside the same store, in half the memory: an upload's parts are larger because S3 counts them.
_RANGE = 8 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """The bytes of one answer, and of which object (``etag``, its whole size) they are."""

    data: bytes
    etag: str
    object_size: int


def fetch(connection: Connection, key: str, first: int = 0, length: Optional[int] = None, etag: str = "") -> Fetched:
    """``GetObject`` of a full key, whole or ``length`` bytes from ``first``; of exactly that ETag when given.

    botocore repeats requests, but not the reading of a body: a body that breaks is fetched again from its beginning.
    """
    params: Dict[str, Any] = {"IfMatch": etag} if etag else {}
    if length is not None:
        params["Range"] = f"bytes={first}-{first + length - 1}"
    attempt = 0
    while True:
        attempt += 1
        answer = connection.call("get_object", key, **params)
        size = _object_size(answer, length)
        if size is None:
            answer["Body"].close()
            raise StoreError(
                f"The store at {connection.place.endpoint} ignored the range {params['Range']} of {key!r}.",
                "The store must support HTTP ranges.",
                store=connection.place.endpoint, key=key, operation="GetObject",
            )  # fmt: skip
        try:
            with contextlib.closing(answer["Body"]) as body:
                return Fetched(body.read(), answer["ETag"], size)
        except S3_FAILURES as exc:
            if attempt >= connection.options.max_attempts:
                raise translate(exc, connection.place, "GetObject", key) from exc
        back_off(attempt)


def _object_size(answer: Dict[str, Any], length: Optional[int]) -> Optional[int]:
    """The whole object's size; None when a range was asked for and something longer is coming."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    if length is None or total.isdigit():
        return int(total or answer["ContentLength"])
    return int(answer["ContentLength"]) if answer["ContentLength"] <= length else None


def _fetch_start(connection: Connection, key: str, length: int) -> Fetched:
    """The object's first range. An empty object has none: S3 answers ``InvalidRange``, and it is read whole."""
    try:
        return fetch(connection, key, 0, length)
    except StoreError as exc:
        if exc.details.get("http_status") != 416:
            raise
        return fetch(connection, key)


def read_ranges(connection: Connection, key: str, what: str, size: Optional[int]) -> Iterator[bytes]:
    """The object in order, in chunks of ``part_size`` or 8 MiB, ``parallel`` of them being fetched ahead.

    Holds at most ``parallel + 1`` of them, with the chunk that the consumer works on. All ranges are of the object that
    the first one met (``If-Match``). ``size`` (bytes) is compared before the first chunk is given.
    """
    step, parallel = min(connection.options.part_size, _RANGE), connection.options.parallel
    start = _fetch_start(connection, key, step)
    total, etag, data = start.object_size, start.etag, start.data
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
            pending.append(pool.submit(fetch, connection, key, offset, min(step, total - offset), etag))
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
