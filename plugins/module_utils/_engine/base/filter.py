# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pass a stream through a program, from its standard input to its standard output."""

from __future__ import annotations

import contextlib
import threading
from typing import IO, Callable, Iterable, Iterator, List, Optional, Sequence, cast

from .process import PIPE, Feed, failed, spawn, widen

_CHUNK = 1024 * 1024


class Filter(Feed):
    """Passes the program's output to ``consume``, in its own thread: ``write``, then ``finish`` or ``kill``.

    An error of ``consume`` ends the program, and is raised by the next call here.
    """

    def __init__(self, argv: Sequence[str], consume: Callable[[bytes], object], stderr: IO[bytes]) -> None:
        super().__init__(argv, stderr, stdout=PIPE)
        self._consume = consume
        self._trouble: Optional[BaseException] = None
        self._stdout = cast(IO[bytes], self._process.stdout)
        self._reader = threading.Thread(target=self._drain, name="lifeboat-filter", daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        try:
            while chunk := self._stdout.read(_CHUNK):
                self._consume(chunk)
        except BaseException as exc:
            self._trouble = exc
            self._process.kill()

    def kill(self) -> None:
        """Kill the program; nothing is consumed after that."""
        super().kill()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._drained()

    def _ended(self, status: int) -> None:
        """Wait until all output is consumed."""
        self._drained()
        if self._trouble is not None:
            raise self._trouble
        super()._ended(status)

    def _drained(self) -> None:
        self._reader.join()
        self._stdout.close()


def through(
    argv: Sequence[str], chunks: Iterable[bytes], stderr: IO[bytes], inherit: Sequence[int] = ()
) -> Iterator[bytes]:
    """The program's output for the input ``chunks``, in pieces of at most 1 MiB, while a thread feeds it.

    An error of ``chunks`` is raised here, instead of the program's complaint about truncated input.
    """
    trouble: List[BaseException] = []
    process = spawn(argv, stdin=PIPE, stdout=PIPE, stderr=stderr, inherit=inherit)
    stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    widen(stdin)
    widen(stdout)

    def feed() -> None:
        try:
            for chunk in chunks:
                stdin.write(chunk)
        except BrokenPipeError:
            pass  # The program has exited: its status tells why.
        except BaseException as exc:
            trouble.append(exc)
        finally:
            with contextlib.suppress(BrokenPipeError):
                stdin.close()

    feeder = threading.Thread(target=feed, name="lifeboat-filter", daemon=True)
    feeder.start()
    try:
        while chunk := stdout.read(_CHUNK):
            yield chunk
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        feeder.join()
        stdout.close()
    if trouble:
        raise trouble[0]
    if status:
        stderr.seek(0)
        raise failed(argv, status, stderr.read().decode(errors="replace"))
