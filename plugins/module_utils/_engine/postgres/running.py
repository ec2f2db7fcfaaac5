# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find running servers on this host, and the directories they use, from ``/proc``, lock files and pid files.

A postmaster and all its children work in the data directory (``proc(5)``: ``cwd``). ``postmaster.pid``, and the lock
file beside a socket, begin with the process id and the data directory; the start, the port and the directory of the
sockets follow (``miscadmin.h``).
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ..base import clock

_PID_FILE = "postmaster.pid"
# Where PostgreSQL and the distributions put their sockets.
_LOCK_FILES = ("/tmp/.s.PGSQL.*.lock", "/run/postgresql/.s.PGSQL.*.lock")  # noqa: S108
# Seconds within which a process that starts changes to its data directory, on a busy host.
_STARTS = 1.0
_OF_A_TABLESPACE = re.compile(r"PG_\d+_\d+$")


@dataclass(frozen=True)
class Running:
    """A running server. ``directories`` are its data directory, WAL and tablespaces, as real paths.

    ``port`` and ``sockets`` are None if this user may not read them.
    """

    pid: int
    data_dir: str
    directories: Tuple[str, ...]
    port: Optional[int] = None
    sockets: Optional[str] = None


def within(path: str, directory: str) -> bool:
    """Whether a path is the directory or is below it. Pure."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def running_servers(around: Sequence[str] = ()) -> List[Running]:
    """The servers that run on this host; pid files are also searched above and below the paths ``around``."""
    found: Dict[str, int] = {}
    for pid, data_dir in (*_by_proc(), *_by_lock_files(), *_by_pid_files(around)):
        found.setdefault(os.path.realpath(data_dir), pid)
    return [_describe(data_dir, pid) for data_dir, pid in sorted(found.items())]


def _by_proc() -> Iterator[Tuple[int, str]]:
    deadline = clock.monotonic() + _STARTS
    for name in os.listdir("/proc"):
        # Processes of other users, and those that have just ended, cannot be inspected.
        with contextlib.suppress(OSError):
            if name.isdigit() and _is_postgres(int(name)):
                _await_data_dir(int(name), deadline)
                data_dir = os.readlink(f"/proc/{name}/cwd")
                # In a container the same path may mean another directory.
                if os.path.samefile(f"/proc/{name}/cwd", data_dir):
                    yield int(name), data_dir


def _await_data_dir(pid: int, deadline: float) -> None:
    """Wait for a process that has just started: it is in its parent's directory until it has read its options.

    A server whose files were deleted is in a directory without PG_VERSION too, and stays there.
    """
    while not os.path.exists(f"/proc/{pid}/cwd/PG_VERSION") and clock.monotonic() < deadline:
        os.stat(f"/proc/{pid}/cwd")
        clock.sleep(0.02)


def _by_lock_files() -> Iterator[Tuple[int, str]]:
    for pattern in _LOCK_FILES:
        for path in glob.glob(pattern):
            lines = _lines(path)
            if len(lines) > 1 and lines[0].isdigit() and _is_postgres(int(lines[0])):
                yield int(lines[0]), lines[1]


def _by_pid_files(around: Sequence[str]) -> Iterator[Tuple[int, str]]:
    for path in around:
        for directory in (*_above(os.path.realpath(path)), *_below(path)):
            first = (_lines(os.path.join(directory, _PID_FILE)) or [""])[0].strip()
            if first.isdigit() and _is_postgres(int(first)):
                yield int(first), directory


def _above(path: str) -> Iterator[str]:
    while True:
        yield path
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent


def _below(path: str) -> Iterator[str]:
    """The data directories below a path, without searching inside them or below mount points, which are kept."""
    for parent, directories, names in os.walk(path) if not os.path.ismount(path) else ():
        if _PID_FILE in names:
            yield parent
        if "PG_VERSION" in names:
            directories.clear()
        directories[:] = [name for name in directories if not _OF_A_TABLESPACE.match(name)]


def _is_postgres(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip() in ("postgres", "postmaster")
    except OSError:
        return False


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(4096).splitlines()
    except OSError:
        return []


def directories_of(data_dir: str) -> Tuple[str, ...]:
    """A cluster's data directory, and its WAL and tablespaces outside of it, as real paths."""
    data_dir = os.path.realpath(data_dir)
    links = [os.path.join(data_dir, "pg_wal")]
    with contextlib.suppress(OSError):
        links += [entry.path for entry in os.scandir(os.path.join(data_dir, "pg_tblspc"))]
    real = [os.path.realpath(link) for link in links]
    return (data_dir, *(path for path in real if not within(path, data_dir)))


def touches(path: str, directories: Sequence[str]) -> Optional[str]:
    """The directory that ``path`` is, contains or is inside of, with links resolved; None if there is none."""
    real = os.path.realpath(path)
    return next((d for d in directories if within(real, d) or within(d, real)), None)


def _describe(data_dir: str, pid: int) -> Running:
    lines = _lines(os.path.join(data_dir, _PID_FILE))
    port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None
    return Running(
        pid=int(lines[0]) if lines and lines[0].strip().isdigit() else pid,
        data_dir=data_dir,
        directories=directories_of(data_dir),
        port=port,
        sockets=lines[4].strip() if len(lines) > 4 else None,
    )
