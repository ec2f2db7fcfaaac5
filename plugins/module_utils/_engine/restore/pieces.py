# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL after the last complete segment, for a restore to the latest moment: read and checked by the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import List, Optional, Tuple

from ..base.wal_names import Segment, format_lsn
from ..postgres.timeline import TimelinePath
from ..repository.repository import Repository
from ..wal import scan
from ..wal.inventory import Run
from ..wal.pieces import follow, read_pieces


@dataclass(frozen=True)
class Pieces:
    """The segments to put together from pieces, and the LSN where their bytes end (None without pieces).

    ``last_record`` is the LSN of the last complete record, which recovery must pass; ``latest`` the time of the last
    commit.
    """

    segments: Tuple[Segment, ...] = ()
    end: Optional[int] = None
    last_record: Optional[int] = None
    latest: Optional[datetime] = None
    notes: Tuple[str, ...] = ()


NO_PIECES = Pieces()


def look(repository: Repository, bin_dir: Optional[str], system: str, path: TimelinePath, run: Run) -> Pieces:
    """Read the pieces after the run. A damaged piece ends the WAL before it, with a note."""
    notes: List[str] = []
    used: List[Segment] = []
    end = last = latest = None
    for segment in follow(repository, system, path, run).segments:
        pieced = read_pieces(repository, system, segment.name)
        if pieced.end:
            used.append(segment)
            end = segment.start + pieced.end
            for record in scan.records_in(bin_dir, segment, pieced.content, []):
                last = record.lsn
                latest = max(filter(None, (scan.ended_at(record), latest)), default=None)
        if pieced.damaged:
            where = format_lsn(segment.start + pieced.end)
            notes.append(
                f"a piece of {segment.name} is damaged, this repository's WAL ends at {where}: {pieced.damaged}"
            )
            break
    if end is not None:
        at = f", its last commit at {latest:%Y-%m-%dT%H:%M:%S.%fZ}" if latest else ""
        notes.append(f"pieces of {used[-1].name} reach to {format_lsn(end)}{at}")
    return Pieces(tuple(used), end, last, latest, tuple(notes))
