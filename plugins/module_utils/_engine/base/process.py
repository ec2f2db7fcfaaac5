# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only file that spawns a program.

Programs run with ``LC_ALL=C`` so that their messages can be read, and never through a shell. Secrets go through the
environment or standard input, never through the arguments.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, Any, Iterable, Iterator, Mapping, Optional, Sequence, Set, cast

from .errors import DependencyMissing, ProcessFailed

_TAIL = 4000
_MOST_OUTPUT = 64 * 1024 * 1024
# linux/fcntl.h: F_SETPIPE_SZ, which Python names from 3.10 on; the size is what an ordinary user may have.
_SET_PIPE_SIZE = 1031
_PIPE_SIZE = 1024 * 1024
# The programs that run() waits for, in every thread.
_awaited: Set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Finished:
    """The result of a program: its exit status and its output as text (undecodable bytes replaced).

    ``cut``: it wrote more than 64 MiB to one of them, and only the first 64 MiB were kept.
    """

    status: int
    stdout: str
    stderr: str
    cut: bool = False


def environment(extra: Optional[Mapping[str, str]] = None) -> dict[str, str]:
    """The environment of a spawned program."""
    return {**os.environ, "LC_ALL": "C", **(extra or {})}


def run(
    argv: Sequence[str],
    check: bool = True,
    cwd: Optional[str] = None,
    env: Optional[Mapping[str, str]] = None,
    timeout: Optional[float] = None,
    data: bytes = b"",
) -> Finished:
    """Run a program to its end, with ``data`` as its standard input.

    With ``check`` a non-zero status raises ProcessFailed with the end of its output. Memory: the first 64 MiB of either
    output; all of it passes through a file in TMPDIR.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _run(argv, out, err, cwd, env, timeout, data)
        if check and status:
            raise failed(argv, status, _tail(err) or _tail(out))
        cut = any(os.fstat(stream.fileno()).st_size > _MOST_OUTPUT for stream in (out, err))
        return Finished(status, _head(out), _head(err), cut)


def _run(
    argv: Sequence[str],
    out: IO[bytes],
    err: IO[bytes],
    cwd: Optional[str],
    env: Optional[Mapping[str, str]],
    timeout: Optional[float],
    data: bytes,
) -> int:
    try:
        with subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv),
            stdin=subprocess.PIPE if data else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env=environment(env),
        ) as process:
            _awaited.add(process)
            try:
                process.communicate(data or None, timeout)
            except BaseException:
                process.kill()
                raise
            finally:
                _awaited.discard(process)
    except FileNotFoundError as exc:
        raise _missing(argv[0]) from exc
    except PermissionError as exc:
        raise ProcessFailed(
            f"Cannot run {argv[0]}: {exc.strerror}.", "Check its mode and owner.", argv=list(argv)
        ) from exc
    except subprocess.TimeoutExpired as exc:
        raise ProcessFailed(
            f"{_show(argv)} did not end within {timeout} s.", "Find out what it is blocked on.", argv=list(argv)
        ) from exc
    return process.returncode


def end_awaited() -> None:
    """End every program that :func:`run` is waiting for, in any thread, after an interruption."""
    for process in list(_awaited):
        process.kill()


def spawn(
    argv: Sequence[str],
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    cwd: Optional[str] = None,
    inherit: Sequence[int] = (),
    env: Optional[Mapping[str, str]] = None,
) -> subprocess.Popen[bytes]:
    """Start a program and return its handle. ``PIPE`` of this module stands for a pipe.

    ``inherit``: descriptors that it gets under the same numbers.
    """
    try:
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=environment(env),
            pass_fds=tuple(inherit),
        )
    except FileNotFoundError as exc:
        raise _missing(argv[0]) from exc


def widen(pipe: IO[bytes]) -> None:
    """Enlarge a pipe to 1 MiB if Linux allows it: with the usual 64 KiB, both ends mostly wake each other."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _PIPE_SIZE)


PIPE = subprocess.PIPE
DEVNULL = subprocess.DEVNULL
TimeoutExpired = subprocess.TimeoutExpired


class Feed:
    """A program that is fed through its standard input: ``write``, then ``finish`` or ``kill``.

    ``stderr`` is a file that collects its messages, so that a full pipe never blocks it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        stderr: IO[bytes],
        cwd: Optional[str] = None,
        stdout: Any = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._argv = list(argv)
        self._stderr = stderr
        self._process = spawn(argv, stdin=PIPE, stdout=stdout or DEVNULL, stderr=stderr, cwd=cwd, env=env)
        # Popen sets it whenever a pipe was requested.
        self._stdin = cast(IO[bytes], self._process.stdin)
        widen(self._stdin)

    def write(self, data: bytes) -> None:
        """Write the next bytes; ProcessFailed with the program's message if it has exited."""
        try:
            self._stdin.write(data)
        except BrokenPipeError:
            self.finish()
            raise

    def pour(self, chunks: Iterable[bytes]) -> Iterator[int]:
        """Write all chunks, yielding the size of each, then ``finish``.

        A program may fail on damaged chunks before their final checksum is known. Then the rest is still read, so that
        the damage is reported instead of the program's failure. A full disk is reported immediately.
        """
        rest = iter(chunks)
        try:
            for chunk in rest:
                self.write(chunk)
                yield len(chunk)
            self.finish()
        except ProcessFailed as exc:
            if "No space left" not in exc.message:
                collections.deque(rest, maxlen=0)
            raise

    def finish(self) -> None:
        """Close its input and wait for it to exit; ProcessFailed if it fails."""
        try:
            self._stdin.close()
        except BrokenPipeError:
            pass
        self._ended(self._process.wait())

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _ended(self, status: int) -> None:
        if status:
            raise failed(self._argv, status, _tail(self._stderr))


class Drain:
    """A program whose standard output is read: ``chunks``, each at most 1 MiB; ProcessFailed at the end if it failed.

    ``accept`` are the exit statuses that count as success.
    """

    def __init__(
        self,
        argv: Sequence[str],
        stderr: IO[bytes],
        accept: Sequence[int] = (0,),
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._argv, self._stderr, self._accept = list(argv), stderr, accept
        self._process = spawn(argv, stdin=DEVNULL, stdout=PIPE, stderr=stderr, env=env)
        self._stdout = cast(IO[bytes], self._process.stdout)

    def chunks(self) -> Iterator[bytes]:
        """All its output; if the reader stops early, the program is killed."""
        try:
            while chunk := self._stdout.read(1024 * 1024):
                yield chunk
            status = self._process.wait()
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        if status not in self._accept:
            raise failed(self._argv, status, _tail(self._stderr))

    def lines(self) -> Iterator[str]:
        """All its output as lines, with invalid UTF-8 replaced. Memory: 1 MiB and one line."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
        if rest:
            yield rest.decode("utf-8", "replace")


def _head(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(_MOST_OUTPUT).decode(errors="replace")


def _tail(stream: IO[bytes]) -> str:
    """The last part of a program's output in a file; nothing else is read."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 2 * _TAIL))
    return stream.read(2 * _TAIL).decode(errors="replace")


def failed(argv: Sequence[str], status: int, output: str) -> ProcessFailed:
    """The error for a program that ended with ``status``."""
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    tail = output.strip()[-_TAIL:]
    return ProcessFailed(
        f"{_show(argv)} {how}: {tail or 'no output'}",
        "See its own message above.",
        argv=list(argv),
        status=status,
        output=tail,
    )


def _missing(program: str) -> DependencyMissing:
    return DependencyMissing(
        f"Program {program} not found.",
        "Install it, or set bin_dir to PostgreSQL's bin directory.",
        program=program,
    )


def _show(argv: Sequence[str]) -> str:
    return " ".join(shlex.quote(a) for a in argv)
