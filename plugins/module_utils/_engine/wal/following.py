# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a WAL stream starts, and which bytes in its directory are new. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from ..base.wal_names import Segment, format_lsn, is_segment

_PARTIAL = ".partial"
#: How many segments the stream's directory holds at most, and how far behind the server a stream still catches up.
MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Local:
    """A file of pg_receivewal: complete, or the unfinished one."""

    segment: Segment
    complete: bool

    @property
    def file(self) -> str:
        """Its name in the directory."""
        return self.segment.name if self.complete else self.segment.name + _PARTIAL


def local_files(names: Iterable[str], size: int) -> Tuple[Local, ...]:
    """The WAL files among these names, in their order; other files are none of ours."""
    found: List[Local] = []
    for name in names:
        complete = not name.endswith(_PARTIAL)
        stem = name if complete else name[: -len(_PARTIAL)]
        if is_segment(stem):
            try:
                found.append(Local(Segment.parse(stem, size), complete))
            except ValueError:
                continue
    return tuple(sorted(found, key=lambda f: (f.segment, f.complete)))


@dataclass(frozen=True)
class Start:
    """``clear`` the directory; ``renew`` the slot, or ``skip_to`` an LSN with it; ``gap`` says what is left out."""

    clear: bool = False
    renew: bool = False
    skip_to: Optional[int] = None
    gap: str = ""


def begin(
    known: bool, position: Optional[int], local: Sequence[Local], timeline: int, flushed: int, size: int
) -> Start:
    """How to begin: where the last stream ended when the server still has that WAL, else at the current segment.

    ``known``: there is a slot; ``position``: the LSN from which on it keeps WAL. After a crash of the server that is
    older than what was received, since the slot is saved only at a checkpoint.
    """
    here = f"it begins anew at {Segment.at(timeline, flushed, size).name}"
    if position is None:
        lost = "the server has removed the WAL that the slot kept" if known else "there was no replication slot"
        return Start(clear=True, renew=True, gap=f"{lost}: {here}" if known or local else "")
    if position > flushed:
        return Start(clear=True, renew=True, gap=f"the slot is at {format_lsn(position)}, ahead of the server: {here}")
    newest = local[-1] if local else None
    if newest is None:
        next_lsn = position
    elif newest.segment.timeline != timeline:
        return Start(True, skip_to=flushed, gap=f"the server is on timeline {timeline} now: {here}")
    else:
        next_lsn = newest.segment.end if newest.complete else newest.segment.start
    if next_lsn < position // size * size:
        return Start(True, skip_to=flushed, gap=f"the spool ends at {format_lsn(next_lsn)}, the slot keeps WAL from"
                     f" {format_lsn(position)} on: {here}")  # fmt: skip
    if next_lsn > flushed // size * size + size:
        return Start(True, skip_to=flushed, gap=f"the spool is ahead of the server: {here}")
    behind = (flushed - next_lsn) // size
    if behind > MOST_SEGMENTS:
        return Start(True, skip_to=flushed, gap=f"it is {behind} segments behind: {here}")
    return Start()


@dataclass(frozen=True)
class New:
    """How many bytes of a file, from its beginning, are WAL."""

    file: Local
    available: int


def available(local: Sequence[Local], position: int) -> Iterator[New]:
    """What was received, up to the LSN ``position``, oldest first.

    An unfinished file counts only when it is the newest: pg_receivewal left the others.
    """
    for number, file in enumerate(local):
        size = file.segment.size
        if file.complete:
            yield New(file, size)
        elif number == len(local) - 1:
            yield New(file, min(max(position - file.segment.start, 0), size))


def cuts(start: int, stop: int, most: int) -> Iterator[Tuple[int, int]]:
    """The stretch as stretches of at most ``most`` bytes."""
    while start < stop:
        yield start, min(start + most, stop)
        start += most
