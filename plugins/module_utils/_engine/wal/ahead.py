# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what the WAL agent does next. Pure.

PostgreSQL marks a file that waits to be archived by ``archive_status/<name>.ready``, and archives histories first, then
by name (``ready_file_comparator`` in ``pgarch.c``). The agent works in the same order, a little ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Mapping, Sequence, Tuple

from ..base.wal_names import is_history

WAITING, RUNNING, STORED, FAILED, ACKNOWLEDGED = "waiting", "running", "stored", "failed", "acknowledged"
#: Stored; the record of its acknowledgement is being written.
MARKING = "marking"

#: The most files acknowledged before PostgreSQL asks for them; each is a small file in the spool.
MOST_ACKNOWLEDGED = 256
#: The most bytes of file contents, plain and compressed, in upload at once.
MOST_MEMORY = 192 * 1024 * 1024
_AHEAD = 4
ON_THE_WAY = (RUNNING, MARKING)
_LONGEST_PAUSE = 15.0


@dataclass(frozen=True)
class Job:
    """One file: ``stamp`` is its modification time in ns when read, ``retry_at`` a monotonic time in seconds."""

    state: str = WAITING
    failures: int = 0
    stamp: int = 0
    retry_at: float = 0.0


_NEW = Job()


def archive_order(names: Iterable[str]) -> Tuple[str, ...]:
    """The names in the order in which PostgreSQL archives them."""
    return tuple(sorted(names, key=lambda name: (not is_history(name), name)))


def workers_for(parallel: int, segment_size: int) -> int:
    """How many files of this size (bytes) may be uploaded at once: at least one, whatever its size."""
    return max(1, min(parallel, MOST_MEMORY // (2 * max(segment_size, 1))))


def farthest(segment_size: int) -> int:
    """How many segments of this size an agent stores at most after the last acknowledged one."""
    return _AHEAD * workers_for(MOST_MEMORY, segment_size)


def to_start(ready: Sequence[str], jobs: Mapping[str, Job], now: float, workers: int) -> Tuple[str, ...]:
    """The files to start, of those that are ``ready`` (in PostgreSQL's order).

    At most ``4 * workers`` files are considered. If the first one failed, only that is retried: PostgreSQL cannot
    proceed without it, and one request is enough for a store that is down.
    """
    known = [(name, jobs.get(name, _NEW)) for name in ready]
    if sum(job.state == ACKNOWLEDGED for _name, job in known) >= MOST_ACKNOWLEDGED:
        return ()
    pending = [(name, job) for name, job in known if job.state != ACKNOWLEDGED][: _AHEAD * workers]
    if pending and pending[0][1].failures:
        pending = pending[:1]
    free = workers - sum(job.state == RUNNING for job in jobs.values())
    startable = [n for n, j in pending if j.state == WAITING or (j.state == FAILED and j.retry_at <= now)]
    return tuple(startable[: max(free, 0)])


def to_acknowledge(ready: Sequence[str], jobs: Mapping[str, Job]) -> Tuple[str, ...]:
    """The stored files up to the first that is not: acknowledgements keep PostgreSQL's order."""
    out: List[str] = []
    for name in ready:
        state = jobs.get(name, _NEW).state
        if state == STORED:
            out.append(name)
        elif state != ACKNOWLEDGED:
            break
    return tuple(out)


def to_forget(ready: Sequence[str], jobs: Mapping[str, Job]) -> Tuple[str, ...]:
    """The files that PostgreSQL no longer asks for, except those in upload, which are forgotten afterwards."""
    there = set(ready)
    return tuple(name for name, job in jobs.items() if name not in there and job.state not in ON_THE_WAY)


def retry_pause(failures: int) -> float:
    """Seconds until a file is tried again after so many failures."""
    return float(min(2 ** min(failures - 1, 10), _LONGEST_PAUSE))


def scan_pause(seconds: float) -> float:
    """Seconds between two scans of a directory that takes ``seconds`` to read: reading takes at most a twentieth."""
    return max(0.1, 20 * seconds)
