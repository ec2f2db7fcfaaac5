# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide where a WAL stream starts, and which bytes in its directory are new. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from ..base.wal_names import Segment, format_lsn, is_segment

_PARTIAL = ".partial"
#: The most segments in the stream's directory, and the most that a stream can be behind the server and still catch up.
MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Local:
    """A WAL file written by pg_receivewal; the one in progress is not ``complete``."""

    segment: Segment
    complete: bool

    @property
    def file(self) -> str:
        """Its name in the directory."""
        return self.segment.name if self.complete else self.segment.name + _PARTIAL


def local_files(names: Iterable[str], size: int) -> Tuple[Local, ...]:
    """The WAL files among these names, in WAL order; other files are ignored."""
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
    """``clear`` the directory; ``renew`` the slot, or advance it by ``skip_to`` (LSN); ``gap``: why WAL is skipped."""

    clear: bool = False
    renew: bool = False
    skip_to: Optional[int] = None
    gap: str = ""


def begin(
    known: bool, position: Optional[int], local: Sequence[Local], timeline: int, flushed: int, size: int
) -> Start:
    """How to begin: where the last stream ended if the server still has that WAL, else at the current segment.

    ``known``: there is a slot; ``position``: the LSN from which it keeps WAL. After a crash of the server that is
    older than the received WAL, since the slot is saved only at a checkpoint.
    """
    here = f"it starts again at {Segment.at(timeline, flushed, size).name}"
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
    """How many bytes of a file, from its beginning, are received WAL."""

    file: Local
    available: int


def available(local: Sequence[Local], position: int) -> Iterator[New]:
    """The received WAL, up to the LSN ``position``, oldest first.

    An unfinished file counts only if it is the newest: pg_receivewal abandoned the others.
    """
    for number, file in enumerate(local):
        size = file.segment.size
        if file.complete:
            yield New(file, size)
        elif number == len(local) - 1:
            yield New(file, min(max(position - file.segment.start, 0), size))


def cuts(start: int, stop: int, most: int) -> Iterator[Tuple[int, int]]:
    """The range from ``start`` to ``stop`` in consecutive ranges of at most ``most`` bytes."""
    while start < stop:
        yield start, min(start + most, stop)
        start += most
