# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the WAL agent does next. Pure.

PostgreSQL marks a file that waits to be archived by ``archive_status/<name>.ready``, and archives histories first, then
by name (``ready_file_comparator`` in ``pgarch.c``). The agent goes through the same order, a little ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Mapping, Sequence, Tuple

from ..base.wal_names import is_history

WAITING, RUNNING, STORED, FAILED, ACKNOWLEDGED = "waiting", "running", "stored", "failed", "acknowledged"
#: It is stored, and the repositories are being told that it is acknowledged.
MARKING = "marking"

#: How many files may be acknowledged before PostgreSQL asks for them, each a small file in the spool.
MOST_ACKNOWLEDGED = 256
#: Bytes of file contents, plain and compressed, that are on their way at once.
MOST_MEMORY = 192 * 1024 * 1024
_AHEAD = 4
ON_THE_WAY = (RUNNING, MARKING)
_LONGEST_PAUSE = 15.0


@dataclass(frozen=True)
class Job:
    """One file: ``stamp`` is its modification time in ns when it was read, ``retry_at`` a moment in monotonic s."""

    state: str = WAITING
    failures: int = 0
    stamp: int = 0
    retry_at: float = 0.0


_NEW = Job()


def archive_order(names: Iterable[str]) -> Tuple[str, ...]:
    """PostgreSQL's order."""
    return tuple(sorted(names, key=lambda name: (not is_history(name), name)))


def workers_for(parallel: int, segment_size: int) -> int:
    """How many files of this size (bytes) may be on their way at once: at least one, whatever its size."""
    return max(1, min(parallel, MOST_MEMORY // (2 * max(segment_size, 1))))


def farthest(segment_size: int) -> int:
    """How many segments of this size an agent has stored at most behind the last one that is acknowledged."""
    return _AHEAD * workers_for(MOST_MEMORY, segment_size)


def to_start(ready: Sequence[str], jobs: Mapping[str, Job], now: float, workers: int) -> Tuple[str, ...]:
    """The files to begin with, of those that are ``ready`` (in PostgreSQL's order).

    At most ``4 * workers`` files are considered. Once the first one failed, it is retried alone: PostgreSQL cannot
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
    """The stored files before which every ready file is stored too: acknowledgements come in PostgreSQL's order."""
    out: List[str] = []
    for name in ready:
        state = jobs.get(name, _NEW).state
        if state == STORED:
            out.append(name)
        elif state != ACKNOWLEDGED:
            break
    return tuple(out)


def to_forget(ready: Sequence[str], jobs: Mapping[str, Job]) -> Tuple[str, ...]:
    """The files that PostgreSQL is done with. One that is on its way is forgotten when it has ended."""
    there = set(ready)
    return tuple(name for name, job in jobs.items() if name not in there and job.state not in ON_THE_WAY)


def retry_pause(failures: int) -> float:
    """Seconds until a file that failed so many times is tried again."""
    return float(min(2 ** min(failures - 1, 10), _LONGEST_PAUSE))


def scan_pause(seconds: float) -> float:
    """Seconds between two looks at a directory that took ``seconds`` to read: reading it costs at most a twentieth."""
    return max(0.1, 20 * seconds)
