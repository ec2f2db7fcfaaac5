# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disaster: kill a server and all its children with SIGKILL, then delete its files.

Only a cluster below a directory with the drill's marker is ever touched, so a wrong path cannot destroy another one.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any, Dict, List, Optional, Tuple

from ..base import clock
from ..base.errors import DataDirectoryRefused
from ..base.wal_names import Segment, format_lsn, is_segment
from ..postgres.controldata import read_control
from ..records.model import format_time

#: The file that marks a directory as a drill's own.
MARK = ".lifeboat-drill"
_GONE_WITHIN = 30.0
_OWN = "Name a directory that the drill has created: nothing else is destroyed."
_START = "Start the server, because a disaster under load needs one."


def strike(root: str, data_dir: str, bin_dir: Optional[str] = None, spool_dir: Optional[str] = None) -> Dict[str, Any]:
    """Destroy the cluster in ``data_dir``, below the marked directory ``root``, as the loss of its host would.

    The whole process tree is frozen first, including archive_command, so that nothing happens after ``at``. Processes
    with a lock in ``spool_dir`` (the WAL stream, the agent) are killed too, and the spool is deleted.

    :return: ``at``, ``killed`` (command lines), ``removed`` (directories), ``archived_wal`` (the last segment that
        PostgreSQL had been told is safe), ``archived_lsn`` (its end), ``waiting`` (segments still to be archived),
        ``segment_size``
    :raises DataDirectoryRefused: not the drill's own, or no server runs in it
    """
    directories = _own_directories(root, data_dir, spool_dir)
    postmaster = _postmaster(data_dir)
    residents = _holders(spool_dir) if spool_dir else []
    at = clock.now()
    pids = _freeze([postmaster, *residents])
    killed = [_command_line(pid) for pid in pids]
    for pid in pids:
        _signal(pid, signal.SIGKILL)
    _await_end(pids)
    segment_size = read_control(bin_dir, data_dir).segment_size
    archived, waiting = _archive_status(data_dir, segment_size)
    for directory in directories:
        shutil.rmtree(directory)
    return {
        "at": format_time(at),
        "killed": killed,
        "removed": directories,
        "archived_wal": archived.name if archived else None,
        "archived_lsn": format_lsn(archived.end) if archived else None,
        "waiting": waiting,
        "segment_size": segment_size,
    }


def _own_directories(root: str, data_dir: str, spool_dir: Optional[str]) -> List[str]:
    """The data directory, its tablespaces and the spool, all below the marked root."""
    base = os.path.realpath(root)
    if not os.path.isfile(os.path.join(base, MARK)):
        raise DataDirectoryRefused(f"{root} is not a drill's directory: it has no file {MARK}.", _OWN, root=root)
    links = os.path.join(data_dir, "pg_tblspc")
    found = [os.path.realpath(data_dir)]
    if os.path.isdir(links):
        found += [os.path.realpath(os.path.join(links, name)) for name in sorted(os.listdir(links))]
    if spool_dir and os.path.isdir(spool_dir):
        found.append(os.path.realpath(spool_dir))
    for directory in found:
        if os.path.commonpath([base, directory]) != base or directory == base:
            raise DataDirectoryRefused(f"{directory} is not below {base}.", _OWN, directory=directory, root=root)
    return found


def _postmaster(data_dir: str) -> int:
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8") as stream:
            pid = int(stream.readline())
    except (OSError, ValueError) as exc:
        raise DataDirectoryRefused(f"No server runs in {data_dir}: {exc}.", _START, data_dir=data_dir) from exc
    if not os.path.isdir(f"/proc/{pid}") or os.path.realpath(f"/proc/{pid}/cwd") != os.path.realpath(data_dir):
        raise DataDirectoryRefused(
            f"No server runs in {data_dir}: process {pid} is not its postmaster.", _START, data_dir=data_dir
        )
    return pid


def _holders(spool_dir: str) -> List[int]:
    """The processes with an open lock file of the spool (``proc(5)``, ``fd``)."""
    locks = {os.path.join(os.path.realpath(spool_dir), name) for name in ("agent.lock", "stream.lock")}
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            descriptors = [os.path.join("/proc", name, "fd", fd) for fd in os.listdir(f"/proc/{name}/fd")]
        except OSError:
            continue
        if any(_link(descriptor) in locks for descriptor in descriptors):
            found.append(int(name))
    return found


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _freeze(roots: List[int]) -> List[int]:
    """Stop processes and all their descendants; a stopped process cannot start another."""
    frozen: List[int] = []
    fresh = list(roots)
    while fresh:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        frozen += fresh
        parents = _parents()
        fresh = [pid for pid, parent in parents.items() if parent in frozen and pid not in frozen]
    return frozen


def _parents() -> Dict[int, int]:
    """The parent of every running process (``proc(5)``, the fourth field of ``stat``)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:
                    state, parent = stream.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                found[int(name)] = int(parent)
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _await_end(pids: List[int]) -> None:
    deadline = clock.monotonic() + _GONE_WITHIN
    while any(pid in _parents() for pid in pids):
        if clock.monotonic() > deadline:
            raise DataDirectoryRefused(
                "The server's processes have not ended after SIGKILL.",
                "Inspect them with ps; nothing was removed.",
                pids=pids,
            )
        clock.sleep(0.01)


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"


def _archive_status(data_dir: str, segment_size: int) -> Tuple[Optional[Segment], List[str]]:
    """PostgreSQL's archive status: the last archived segment, and the names of those still to be archived."""
    names = sorted(os.listdir(os.path.join(data_dir, "pg_wal", "archive_status")))
    done = [n[: -len(".done")] for n in names if n.endswith(".done")]
    ready = [n[: -len(".ready")] for n in names if n.endswith(".ready")]
    segments = [Segment.parse(n, segment_size) for n in done if is_segment(n)]
    return max(segments, default=None, key=lambda s: s.number), [n for n in ready if is_segment(n)]
