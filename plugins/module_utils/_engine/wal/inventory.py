# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which WAL a repository has, and where it is interrupted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..postgres.timeline import TimelinePath
from ..postgres.wal_names import Segment, is_segment
from ..repository.layout import is_sealed, wal_name
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo

Archived = Dict[Segment, ObjectInfo]
_NAMED_MISSING = 50


@dataclass(frozen=True)
class Run:
    """The uninterrupted WAL from a point on along a timeline path.

    ``gap`` are the segments that interrupt it although later ones exist.
    ``end`` is the LSN behind the last segment of the run, ``archived_at`` the time the store took that segment.
    ``sealed`` are those of the segments that only an identity opens.
    """

    segments: Tuple[Segment, ...]
    stored_bytes: int
    archived_at: Optional[datetime]
    first_needed: Segment
    gap: Tuple[Segment, ...] = ()
    sealed: Tuple[Segment, ...] = ()

    @property
    def missing(self) -> Tuple[str, ...]:
        """The names of the first 50 segments of the gap."""
        return tuple(segment.name for segment in self.gap[:_NAMED_MISSING])

    @property
    def missing_count(self) -> int:
        """How many segments the gap has."""
        return len(self.gap)

    @property
    def end(self) -> int:
        """LSN behind the last segment; the start where the run is empty."""
        return self.segments[-1].end if self.segments else self.first_needed.start

    @property
    def next_needed(self) -> Segment:
        """The first segment that is not there (its timeline is the last one's)."""
        return self.segments[-1].following if self.segments else self.first_needed


def archived(repository: Repository, system: str, timelines: Iterable[int], start: int, size: int) -> Archived:
    """Every complete segment in the repository from the LSN ``start`` on, by listing. Memory: about 300 bytes each."""
    found: Archived = {}
    for timeline in timelines:
        prefix = repository.layout.wal_log(system, timeline)
        first = Segment.at(timeline, start, size)
        before = repository.layout.wal(system, Segment(timeline, first.number - 1, size).name) if first.number else ""
        for info in repository.store.list(prefix, start_after=before):
            name = wal_name(info.key)
            if is_segment(name):
                # A name that no server with such segments gives is a foreign object, and none of our business.
                with contextlib.suppress(ValueError):
                    found[Segment.parse(name, size)] = info
    return found


def find_run(path: TimelinePath, start: int, size: int, have: Archived) -> Run:
    """Follow ``path`` from ``start`` as far as ``have`` goes without interruption. Pure."""
    run: List[Segment] = []
    needed = path.segments(start, size)
    first = following = next(needed)
    while following in have and have[following].size > 0:
        run.append(following)
        following = next(needed)
    # An empty object is no segment, but it shows that there was one.
    known = [s.number for s in have if s.number >= following.number and path.at(s.end - 1) == s.timeline]
    gap: List[Segment] = []
    if known:
        for number in range(following.number, max(known) + 1):
            segment = Segment(path.at((number + 1) * size - 1), number, size)
            if segment not in have or have[segment].size == 0:
                gap.append(segment)
    return Run(
        segments=tuple(run),
        stored_bytes=sum(have[s].size for s in run),
        archived_at=have[run[-1]].modified if run else None,
        first_needed=first,
        gap=tuple(gap),
        sealed=tuple(s for s in run if is_sealed(have[s].key)),
    )


def find_file(repository: Repository, system: str, name: str) -> Optional[ObjectInfo]:
    """The facts of one WAL file, sealed or not; None when the repository confirms that it has neither."""
    found = None
    for key in repository.layout.wal_forms(system, name, repository.seal.seals):
        found = repository.store.head(key)
        if found is not None and found.size:
            return found
    return found


def absent(repository: Repository, system: str, segments: Sequence[Segment]) -> Tuple[str, ...]:
    """The names of those segments that the repository confirms it has not (or has empty)."""
    heads = ((s.name, find_file(repository, system, s.name)) for s in segments)
    return tuple(name for name, info in heads if info is None or info.size == 0)
