# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read archived WAL with ``pg_waldump``: commit times, restore points, the end of a transaction."""

from __future__ import annotations

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

from ..base.process import Drain
from ..base.temporary import temporary_directory
from ..base.wal_names import Segment, format_lsn, parse_lsn
from ..postgres.controldata import program
from ..records.model import Target, read_moment
from ..repository.repository import Repository
from .fetch import read_wal
from .window import parallel

_RECORD = re.compile(
    r"len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (\S+) ?(.*)$"
)
# Segments on disk at a time, besides one more that the last record may reach into.
_AT_ONCE = 8
_PREPARED = re.compile(r"(\d+): ")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")


@dataclass(frozen=True)
class Record:
    """One WAL record as ``pg_waldump`` prints it; ``length`` in bytes, without page headers."""

    lsn: int
    xid: int
    kind: str
    description: str
    length: int = 0

    @property
    def is_commit(self) -> bool:
        """Whether it commits a transaction, prepared or not."""
        return self.kind in ("COMMIT", "COMMIT_PREPARED")

    @property
    def ended(self) -> int:
        """The transaction that it commits or aborts: a prepared one is named in the description."""
        named = _PREPARED.match(self.description) if self.kind in ("COMMIT_PREPARED", "ABORT_PREPARED") else None
        return int(named.group(1)) if named else self.xid

    @property
    def moment(self) -> Optional[datetime]:
        """The time in the description of a commit or abort; None without one."""
        match = _MOMENT.search(self.description)
        return read_moment(match.group(1) + "Z") if match else None


def records(
    repository: Repository, bin_dir: Optional[str], system: str, segment: Segment, arguments: Sequence[str]
) -> Iterator[Record]:
    """The records that begin in one segment, filtered by ``pg_waldump``'s own arguments. Memory: the segment.

    ``pg_waldump`` ends with an error where the records end; what it printed before counts.
    """
    return records_in(bin_dir, segment, read_wal(repository, system, segment.name), arguments)


def records_in(bin_dir: Optional[str], segment: Segment, content: bytes, arguments: Sequence[str]) -> Iterator[Record]:
    """As :func:`records`, of a segment that is in memory."""
    with temporary_directory("lifeboat-wal-") as scratch:
        path = os.path.join(scratch, segment.name)
        with open(path, "wb") as stream:
            stream.write(content)
        yield from _dumped(bin_dir, [*arguments, path])


def records_along(
    bin_dir: Optional[str],
    segments: Sequence[Segment],
    content_of: Callable[[Segment], bytes],
    start: int,
    end: int,
    arguments: Sequence[str],
) -> Iterator[Record]:
    """The records that begin between two LSNs, in order, including those that reach into the next segment.

    ``segments`` are consecutive. Disk: nine of them; memory: one.
    """
    for place, batch in staged(segments, content_of):
        first, last = max(start, batch[0].start), min(end, batch[-1].end)
        # pg_waldump's own --end leaves out a record that reaches beyond it.
        yield from records_between(bin_dir, place, batch[0].timeline, first, last, arguments)


def staged(
    segments: Sequence[Segment], content_of: Callable[[Segment], bytes]
) -> Iterator[Tuple[str, Sequence[Segment]]]:
    """Batch by batch, a directory with the next segments, and these segments.

    The directory has one more, since the last record may reach into it. It is removed when the next one is made.
    """
    done = 0
    while done < len(segments):
        # pg_waldump reads one timeline at a time.
        timeline = segments[done].timeline
        batch = [s for s in segments[done : done + _AT_ONCE] if s.timeline == timeline]
        with temporary_directory("lifeboat-wal-") as place:
            for segment in segments[done : done + len(batch) + 1]:
                name = Segment(timeline, segment.number, segment.size).name
                with open(os.path.join(place, name), "wb") as stream:
                    stream.write(content_of(segment))
            yield place, batch
        done += len(batch)


def records_between(
    bin_dir: Optional[str], wal_dir: str, timeline: int, start: int, end: Optional[int], arguments: Sequence[str]
) -> Iterator[Record]:
    """The records that begin between two LSNs (``end`` None: to the end), from the segments in a directory."""
    words = [f"--path={wal_dir}", f"--timeline={timeline}", f"--start={format_lsn(start)}", *arguments]
    yield from (r for r in _dumped(bin_dir, words) if r.lsn >= start and (end is None or r.lsn < end))


def record_at(bin_dir: Optional[str], wal_dir: str, timeline: int, lsn: int) -> Optional[Record]:
    """The record that begins at ``lsn``, from the segments in a directory; None if there is none."""
    found = records_between(bin_dir, wal_dir, timeline, lsn, None, ["--limit=1"])
    return next((record for record in found if record.lsn == lsn), None)


def _dumped(bin_dir: Optional[str], arguments: Sequence[str]) -> Iterator[Record]:
    argv = [program(bin_dir, "pg_waldump"), *arguments]
    with tempfile.TemporaryFile() as words:
        for line in Drain(argv, words, accept=(0, 1), env={"TZ": "UTC"}).lines():
            if match := _RECORD.search(line):
                length, xid, lsn, kind, description = match.groups()
                yield Record(parse_lsn(lsn), int(xid), kind, description, int(length))


@dataclass(frozen=True)
class Pace:
    """The end of a stretch of WAL in time: ``last``, the time of its last commit or abort.

    ``rate`` is commits a second between its first and its last one; None if they have the same time.
    """

    last: datetime
    rate: Optional[float]


def last_commits(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment]
) -> Optional[Pace]:
    """The pace of the last segment among these that has a commit or abort, read from the end backwards."""
    for segment in reversed(segments):
        known = pace(records(repository, bin_dir, system, segment, ["--rmgr=Transaction"]))
        if known:
            return known
    return None


def pace(found: Iterable[Record]) -> Optional[Pace]:
    """The pace of these records; None without a commit or abort. Pure."""
    commits = 0
    last: Optional[datetime] = None
    first = newest = None
    for record in found:
        moment = ended_at(record)
        if moment is None:
            continue
        last = max(moment, last or moment)
        if record.is_commit:
            commits += 1
            first, newest = min(moment, first or moment), max(moment, newest or moment)
    if last is None:
        return None
    seconds = (newest - first).total_seconds() if first and newest else 0.0
    return Pace(last, (commits - 1) / seconds if seconds > 0 else None)


def ended_at(record: Record) -> Optional[datetime]:
    """The time of a commit or abort; None for any other record."""
    return record.moment if record.kind in ("COMMIT", "ABORT", "COMMIT_PREPARED", "ABORT_PREPARED") else None


def last_record(repository: Repository, bin_dir: Optional[str], system: str, segment: Segment) -> Optional[int]:
    """The LSN of the last record that begins in the segment."""
    last = None
    for record in records(repository, bin_dir, system, segment, []):
        last = record.lsn
    return last


def locate(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], target: Target
) -> Optional[int]:
    """The LSN of a restore point or of a transaction's end; None if these segments do not have it.

    Searches from the end, because the target of an incident is usually recent. Downloads each segment searched.
    Memory, and space for temporary files: 128 MiB each, or one segment.
    """
    return next(_matches(repository, bin_dir, system, segments, target), None)


def positions(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], target: Target
) -> List[int]:
    """As :func:`locate`, but all of them, the last one first."""
    return list(_matches(repository, bin_dir, system, segments, target))


def _matches(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], target: Target
) -> Iterator[int]:
    by_name = target.kind == "name"
    # Not --xid: the record that ends a prepared transaction has another one, or none.
    arguments = ["--rmgr=XLOG" if by_name else "--rmgr=Transaction"]

    def look(segment: Segment) -> List[int]:
        return [
            record.lsn
            for record in records(repository, bin_dir, system, segment, arguments)
            if (by_name and record.kind == "RESTORE_POINT" and record.description.strip() == target.value)
            or (not by_name and record.kind.startswith(("COMMIT", "ABORT")) and str(record.ended) == target.value)
        ]

    behind = list(reversed(segments))
    at_once = parallel(behind[0].size) if behind else 1
    with ThreadPoolExecutor(at_once, "lifeboat-scan") as pool:
        for first in range(0, len(behind), at_once):
            for found in pool.map(look, behind[first : first + at_once]):
                yield from reversed(found)
