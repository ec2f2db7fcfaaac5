# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look into archived WAL with ``pg_waldump``: commit times, restore points, the end of a transaction."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from typing import Iterator, List, Optional, Sequence

from ..model import Target, read_moment
from ..postgres.controldata import program
from ..postgres.wal_names import Segment, parse_lsn
from ..process import run
from ..repository.repository import Repository
from .fetch import read_wal

_RECORD = re.compile(r"tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (\S+) ?(.*)$")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")


@dataclass(frozen=True)
class Record:
    """One WAL record as ``pg_waldump`` prints it."""

    lsn: int
    xid: int
    kind: str
    description: str

    @property
    def moment(self) -> Optional[datetime]:
        """The time in a commit's or abort's description."""
        match = _MOMENT.search(self.description)
        return read_moment(match.group(1) + "Z") if match else None


def records(
    repository: Repository, bin_dir: Optional[str], system: str, segment: Segment, arguments: Sequence[str]
) -> List[Record]:
    """The records that begin in one segment, filtered by ``pg_waldump``'s own arguments.

    ``pg_waldump`` ends with an error where the records end; what it printed before counts.
    """
    return records_in(bin_dir, segment, read_wal(repository, system, segment.name), arguments)


def records_in(bin_dir: Optional[str], segment: Segment, content: bytes, arguments: Sequence[str]) -> List[Record]:
    """As :func:`records`, of a segment that is in memory."""
    with tempfile.TemporaryDirectory(prefix="lifeboat-wal-") as scratch:
        path = os.path.join(scratch, segment.name)
        with open(path, "wb") as stream:
            stream.write(content)
        out = run([program(bin_dir, "pg_waldump"), *arguments, path], check=False, env={"TZ": "UTC"})
    found = (_RECORD.search(line) for line in out.stdout.splitlines())
    return [Record(parse_lsn(m.group(2)), int(m.group(1)), m.group(3), m.group(4)) for m in found if m]


@dataclass(frozen=True)
class Pace:
    """Where a stretch of WAL ends for its users: ``last``, the time of its last commit or abort.

    ``rate`` is commits a second between its first and its last one; None where that cannot be told.
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


def pace(found: Sequence[Record]) -> Optional[Pace]:
    """Of these records; None without a commit or abort. Pure."""
    last = last_moment(found)
    if last is None:
        return None
    moments = sorted(r.moment for r in found if r.kind in ("COMMIT", "COMMIT_PREPARED") and r.moment)
    seconds = (moments[-1] - moments[0]).total_seconds() if moments else 0.0
    return Pace(last, (len(moments) - 1) / seconds if seconds > 0 else None)


def last_moment(found: Sequence[Record]) -> Optional[datetime]:
    """The time of the last commit or abort among these records."""
    moments = [r.moment for r in found if r.kind in ("COMMIT", "ABORT", "COMMIT_PREPARED", "ABORT_PREPARED")]
    return max((m for m in moments if m), default=None)


def last_record(repository: Repository, bin_dir: Optional[str], system: str, segment: Segment) -> Optional[int]:
    """The LSN of the last record that begins in the segment."""
    found = records(repository, bin_dir, system, segment, [])
    return found[-1].lsn if found else None


def locate(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], target: Target
) -> Optional[int]:
    """The LSN of a restore point or of a transaction's end; None when these segments do not have it.

    Searches from the end: the target of an incident is most often recent. Costs a download of each segment searched.
    """
    return next(_matches(repository, bin_dir, system, segments, target), None)


def _matches(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], target: Target
) -> Iterator[int]:
    by_name = target.kind == "name"
    arguments = ["--rmgr=XLOG"] if by_name else ["--rmgr=Transaction", f"--xid={target.value}"]
    for segment in reversed(segments):
        for record in reversed(records(repository, bin_dir, system, segment, arguments)):
            if (by_name and record.kind == "RESTORE_POINT" and record.description.strip() == target.value) or (
                not by_name and record.kind.startswith(("COMMIT", "ABORT"))
            ):
                yield record.lsn
