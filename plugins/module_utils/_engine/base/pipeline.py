# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let two stages of a stream work at the same time."""

from __future__ import annotations

import queue
import threading
from typing import Iterable, Iterator, Optional, Union

_DEPTH = 8


class _End:
    """The end of the stream, with the exception that caused it, if any."""

    def __init__(self, error: Optional[BaseException] = None) -> None:
        self.error = error


def ahead(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same chunks, produced by a thread that is at most 8 of them ahead of their consumer.

    An exception in the producer is raised here, after the chunks before it. If the consumer stops, the producer does.
    """
    ready: queue.Queue[Union[bytes, _End]] = queue.Queue(_DEPTH)
    stop = threading.Event()

    def offer(item: Union[bytes, _End]) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for chunk in chunks:
                if not offer(chunk):
                    return
            offer(_End())
        except BaseException as exc:
            offer(_End(exc))

    worker = threading.Thread(target=produce, name="lifeboat-ahead", daemon=True)
    worker.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        worker.join()


class Readable:
    """An iterable of chunks as an object with ``read``, which returns what is there: a short read is not the end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        out, self._rest = self._rest[:size], self._rest[size:]
        return bytes(out)
