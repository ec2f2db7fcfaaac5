# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that the WAL agent and ``lifeboat-wal-push`` (which PostgreSQL calls) share.

::

    <spool>/agent.lock          locked (flock) while an agent is running
    <spool>/push/data           a link to the data directory that the agent works for
    <spool>/push/asked          PostgreSQL has called; before that the agent does nothing
    <spool>/push/<name>.ok      acknowledged: every required repository has the file
    <spool>/push/<name>.error   why the last attempt failed
    <spool>/push/<name>.alone   a store refused the agent: the client pushes, with reread credentials

An acknowledgement is an empty file with exactly the modification time of the acknowledged file. Another file of
the same name (of a cluster created again, or a recycled segment) has another time, and is not acknowledged by it.
The spool may be lost at any moment: everything acknowledged is in the repositories.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from types import TracebackType
from typing import Iterator, Optional, Tuple, Type

from ..base import clock
from ..base.errors import AgentRunning, LifeboatError, SpoolUnusable, StoreAccessDenied, UntrustedPath
from ..base.files import make_directory, open_to_read, open_to_write, require_own
from ..config.load import Config

_LOCK = "agent.lock"
_ASKED = "asked"
# A client that checks for a running agent holds the lock for a moment.
_PATIENCE = 2.0


class Spool:
    """The agent's side. Entering locks it: AgentRunning if another agent has it, SpoolUnusable if it cannot be used."""

    def __init__(self, directory: str, data_dir: str) -> None:
        self.directory = directory
        self._push = os.path.join(directory, "push")
        self._data_dir = data_dir
        self._descriptor = -1

    def __enter__(self) -> Spool:
        require_own(self.directory)
        require_own(self._push)
        with self._usable():
            make_directory(self._push)
            self._descriptor = open_to_write(os.path.join(self.directory, _LOCK))
        try:
            with self._usable():
                self._lock()
            # Acknowledgements of an earlier agent may be about other repositories.
            self._clear()
            self._link_data()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.close(self._descriptor)

    @property
    def asked(self) -> bool:
        """Whether PostgreSQL archives through this spool: a server that archives elsewhere never calls."""
        return os.path.exists(os.path.join(self._push, _ASKED))

    def acknowledge(self, name: str, stamp: int) -> None:
        """Acknowledge that the file with the modification time ``stamp`` (ns) is durable."""
        path, temp = self._path(name, "ok"), self._path(name, "tmp")
        with self._usable():
            os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.utime(temp, ns=(stamp, stamp))
            if os.stat(temp).st_mtime_ns != stamp:
                raise SpoolUnusable(
                    f"The file system of {self.directory} does not keep times in nanoseconds.",
                    "Set spool_dir to a directory on ext4, XFS or tmpfs.",
                    spool_dir=self.directory,
                )
            os.rename(temp, path)
            self._remove(name, "error")
            self._remove(name, "alone")

    def complain(self, name: str, error: LifeboatError) -> None:
        """Make ``archive_command`` fail for this file, with this message."""
        temp = self._path(name, "tmp")
        with self._usable():
            if isinstance(error, StoreAccessDenied):
                os.close(os.open(self._path(name, "alone"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with open(temp, "w", encoding="utf-8") as stream:
                stream.write(f"lifeboat: {error.message}\n  -> {error.hint} [{error.error_code}]\n")
            os.rename(temp, self._path(name, "error"))

    def forget(self, name: str) -> None:
        """Remove the acknowledgement or error of the file."""
        with self._usable():
            for kind in ("ok", "error", "alone"):
                self._remove(name, kind)

    def _path(self, name: str, kind: str) -> str:
        return os.path.join(self._push, f"{name}.{kind}")

    def _remove(self, name: str, kind: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(name, kind))

    def _lock(self) -> None:
        if not take(self._descriptor, fcntl.LOCK_EX, _PATIENCE):
            raise AgentRunning(
                f"Another WAL agent has locked {os.path.join(self.directory, _LOCK)}.",
                "Stop the other agent (a cluster has one), or give this cluster a spool_dir of its own.",
                spool_dir=self.directory,
            )

    def _clear(self) -> None:
        with self._usable():
            for entry in set(os.listdir(self._push)) - {_ASKED}:
                os.unlink(os.path.join(self._push, entry))

    def _link_data(self) -> None:
        with self._usable():
            os.symlink(self._data_dir, os.path.join(self._push, "data"))

    def _usable(self) -> contextlib.AbstractContextManager[None]:
        return usable(self.directory, self.directory, " Until then archive_command pushes by itself.")


@contextlib.contextmanager
def usable(directory: str, spool_dir: Optional[str], meanwhile: str = "") -> Iterator[None]:
    """Turn errors of the operating system in a ``directory`` of the spool into SpoolUnusable."""
    try:
        yield
    except OSError as exc:
        raise SpoolUnusable(
            f"The spool {directory} cannot be used: {exc.strerror}.",
            f"Make sure that the owner of the data directory can write there and that there is space.{meanwhile}",
            spool_dir=spool_dir,
        ) from exc


def agent_lives(directory: str) -> bool:
    """Whether an agent is running on this spool."""
    try:
        lock = open_to_read(os.path.join(directory, _LOCK))
    except (OSError, UntrustedPath):
        return False
    with lock:
        return not take(lock.fileno(), fcntl.LOCK_SH)


def written_at(path: Optional[str]) -> Optional[int]:
    """The modification time of a file in ns; None if there is none."""
    try:
        return os.stat(path).st_mtime_ns if path else None
    except OSError:
        return None


def take(descriptor: int, kind: int, patience: float = 0.0) -> bool:
    """Lock the file (``flock``, of this kind); False if another process still has the lock after so many seconds."""
    deadline = clock.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if clock.monotonic() >= deadline:
                return False
            clock.sleep(0.05)


def configured_at(config: Config) -> Tuple[Optional[int], ...]:
    """A value that changes whenever the configuration or one of its credentials files is written."""
    named = (getattr(repository.store, "credentials_file", None) for repository in config.repositories)
    return tuple(written_at(path) for path in (config.source, *named))
