# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL in a repository, and its holes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base.spans import Span, Stretch
from ..base.wal_names import Segment, is_segment
from ..postgres.timeline import TimelinePath
from ..repository.layout import ACKNOWLEDGED, is_sealed, wal_name
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo
from .ahead import farthest


class Archived(Dict[Segment, ObjectInfo]):
    """The complete segments of a repository. ``marks``: segments up to whose end WAL is acknowledged, on record."""

    def __init__(self, found: Iterable[Tuple[Segment, ObjectInfo]] = (), marks: Iterable[Segment] = ()) -> None:
        super().__init__(found)
        self.marks = set(marks)

    def merge(self, other: Archived) -> None:
        """Add the segments and marks of another listing."""
        self.update(other)
        self.marks |= other.marks


_NAMED_MISSING = 50
# Bytes of WAL. A hole of this size does not occur in an archive that somebody maintains.
_FAR = 64 * 2**40


@dataclass(frozen=True)
class Run:
    """The uninterrupted WAL from a point on along a timeline path.

    ``gap`` are the segments that are missing although later ones exist, ``ahead`` those that exist so far ahead of all
    others that no server of this cluster can have written them: they are ignored.
    ``end`` is the LSN after the last segment of the run, ``archived_at`` the time that segment was stored.
    ``sealed`` are those of the segments that need an identity.
    ``unused`` are segments after a hole that were never acknowledged to PostgreSQL: they had been stored ahead when
    the host was lost, and the hole ends the WAL. ``lost`` are missing segments after the run that are acknowledged on
    record, without later ones: they were deleted, or the record is forged.
    """

    segments: Tuple[Segment, ...]
    stored_bytes: int
    archived_at: Optional[datetime]
    first_needed: Segment
    gap: Sequence[Segment] = ()
    sealed: Tuple[Segment, ...] = ()
    ahead: Tuple[Segment, ...] = ()
    unused: Tuple[Segment, ...] = ()
    lost: Sequence[Segment] = ()

    @property
    def missing(self) -> Tuple[str, ...]:
        """The names of the first 50 segments of the gap."""
        return tuple(segment.name for segment in islice(self.gap, _NAMED_MISSING))

    @property
    def missing_count(self) -> int:
        """How many segments the gap has."""
        return len(self.gap)

    @property
    def end(self) -> int:
        """The LSN after the last segment; the start if the run is empty."""
        return self.segments[-1].end if self.segments else self.first_needed.start

    def since(self, number: int, stored_bytes: int) -> Run:
        """The run from its segment with this number on; ``stored_bytes`` are those of the remaining segments."""
        segments = self.segments[number - self.segments[0].number :]
        sealed = tuple(s for s in self.sealed if s.number >= number)
        return replace(self, segments=segments, first_needed=segments[0], sealed=sealed, stored_bytes=stored_bytes)

    @property
    def next_needed(self) -> Segment:
        """The first segment after the run (on the last one's timeline)."""
        return self.segments[-1].following if self.segments else self.first_needed


def archived(repository: Repository, system: str, timelines: Iterable[int], start: int, size: int) -> Archived:
    """Every complete segment in the repository from the LSN ``start`` on, by listing. Memory: about 300 bytes each."""
    found = Archived()
    for timeline in timelines:
        prefix = repository.layout.wal_log(system, timeline)
        first = Segment.at(timeline, start, size)
        before = repository.layout.wal(system, Segment(timeline, first.number - 1, size).name) if first.number else ""
        for info in repository.store.list(prefix, start_after=before):
            name = wal_name(info.key)
            marked = name.endswith(ACKNOWLEDGED)
            name = name[: -len(ACKNOWLEDGED)] if marked else name
            if is_segment(name):
                # A name that is impossible with segments of this size is a foreign object, and ignored.
                with contextlib.suppress(ValueError):
                    segment = Segment.parse(name, size)
                    if marked:
                        found.marks.add(segment)
                    else:
                        found[segment] = info
    return found


def find_run(path: TimelinePath, start: int, size: int, have: Mapping[Segment, ObjectInfo]) -> Run:
    """Follow ``path`` from ``start`` as far as ``have`` goes without interruption. Pure."""
    run: List[Segment] = []
    needed = path.segments(start, size)
    first = following = next(needed)
    while following in have and have[following].size > 0:
        run.append(following)
        following = next(needed)
    # An empty object is not a segment, but shows that there was one.
    later = [s for s in have if s.number >= following.number and path.at(s.end - 1) == s.timeline]
    known = sorted(later, key=lambda s: s.number)
    missing: List[Span] = []
    ahead, expected = len(known), following.number
    for index, segment in enumerate(known):
        if (segment.number - expected) * size > _FAR:
            ahead = index
            break
        whole = have[segment].size > 0
        missing += _between(path, expected, segment.number - 1 if whole else segment.number, size)
        expected = segment.number + 1
    known, beyond = known[:ahead], known[ahead:]
    marked = _last_marked(path, following.number, size, have)
    unused: List[Segment] = []
    lost: Iterable[Span] = ()
    if marked is not None and marked >= expected:
        lost = _between(path, expected, marked, size)
    elif marked is not None and _stored_ahead(known, marked, following.number, have):
        unused, missing = known, []
    return Run(
        segments=tuple(run),
        stored_bytes=sum(have[s].size for s in run),
        archived_at=have[run[-1]].modified if run else None,
        first_needed=first,
        gap=Stretch(missing),
        ahead=tuple(beyond),
        unused=tuple(unused),
        lost=Stretch(lost),
        sealed=tuple(s for s in run if is_sealed(have[s].key)),
    )


def find_runs(
    path: TimelinePath, starts: Iterable[int], size: int, have: Mapping[Segment, ObjectInfo]
) -> Dict[int, Run]:
    """:func:`find_run` for each of these LSNs. A run that contains the start of another shares its segments."""
    found: Dict[int, Run] = {}
    run: Optional[Run] = None
    for start in sorted(set(starts)):
        number = start // size
        if run is not None and run.segments and number <= run.segments[-1].number:
            passed = run.segments[: number - run.segments[0].number]
            run = run.since(number, run.stored_bytes - sum(have[s].size for s in passed))
        else:
            run = find_run(path, start, size, have)
        found[start] = run
    return found


def _last_marked(path: TimelinePath, needed: int, size: int, have: Mapping[Segment, ObjectInfo]) -> Optional[int]:
    """The number of the last segment on the path up to whose end WAL is acknowledged; None without such a record."""
    marks = have.marks if isinstance(have, Archived) else ()
    numbers = (mark.number for mark in marks if mark.size == size and path.at(mark.end - 1) == mark.timeline)
    return max((number for number in numbers if (number - needed) * size <= _FAR), default=None)


def _stored_ahead(known: Sequence[Segment], marked: int, needed: int, have: Mapping[Segment, ObjectInfo]) -> bool:
    """Whether an agent that stores ahead of its acknowledgements explains all segments after the hole at ``needed``.

    It does not explain an empty object, or more segments than an agent stores ahead.
    """
    if not known or marked >= needed:
        return False
    return known[-1].number - marked <= farthest(known[-1].size) and all(have[s].size for s in known)


def _between(path: TimelinePath, first: int, last: int, size: int) -> Iterator[Span]:
    """The spans of the path's segments with the numbers from ``first`` to ``last``: one for each of its timelines."""
    for step in path.steps:
        # The segment that contains a switch belongs to the next timeline.
        end = last if step.switch is None else min(last, step.switch // size - 1)
        if first <= end:
            yield Span(step.timeline, first, end, size)
            first = end + 1


def find_file(repository: Repository, system: str, name: str) -> Optional[ObjectInfo]:
    """The stored object of one WAL file, sealed or not; None if the repository confirms that it has neither."""
    found = None
    for key in repository.layout.wal_forms(system, name, repository.seal.seals):
        found = repository.store.head(key)
        if found is not None and found.size:
            return found
    return found


def absent(repository: Repository, system: str, segments: Sequence[Segment]) -> Tuple[str, ...]:
    """The names of the segments that the repository confirms are missing or empty."""
    heads = ((s.name, find_file(repository, system, s.name)) for s in segments)
    return tuple(name for name, info in heads if info is None or info.size == 0)
