# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which WAL stays: what makes kept backups consistent, and all that point-in-time recovery needs. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..model import BackupManifest, format_time
from ..postgres.timeline import TimelinePath, path_to
from ..postgres.wal_names import Segment


@dataclass(frozen=True)
class Span:
    """Segments of one timeline, by number, both included; ``last`` None: without an end."""

    timeline: int
    first: int
    last: Optional[int]


class Needed:
    """The union of spans, asked for single segments."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._firsts: Dict[int, List[int]] = {}
        self._lasts: Dict[int, List[float]] = {}
        for span in sorted(spans, key=lambda s: (s.timeline, s.first)):
            firsts, lasts = self._firsts.setdefault(span.timeline, []), self._lasts.setdefault(span.timeline, [])
            last = math.inf if span.last is None else span.last
            if lasts and span.first <= lasts[-1] + 1:
                lasts[-1] = max(lasts[-1], last)
            else:
                firsts.append(span.first)
                lasts.append(last)

    def has(self, timeline: int, number: int) -> bool:
        """Whether this segment is in one of the spans."""
        index = bisect_right(self._firsts.get(timeline, []), number)
        return index > 0 and number <= self._lasts[timeline][index - 1]


@dataclass(frozen=True)
class Base:
    """The backup that point-in-time recovery along ``path`` begins with."""

    backup: BackupManifest
    path: TimelinePath


def find_bases(
    whole: Sequence[BackupManifest], histories: Mapping[int, str], active: Iterable[int], window_start: datetime
) -> List[Base]:
    """For each ``active`` timeline of one cluster identity the newest backup on its path before the window begins.

    Where there is none so old, it is the oldest: the window begins with it then.
    """
    found: List[Base] = []
    for timeline in sorted(set(active)):
        path = path_to(timeline, histories)
        usable = [b for b in whole if path.contains(b.timeline, b.stop_lsn)]
        before = [b for b in usable if b.finished_at <= window_start]
        if before:
            found.append(Base(max(before, key=lambda b: (b.finished_at, b.label)), path))
        elif usable:
            found.append(Base(min(usable, key=lambda b: (b.finished_at, b.label)), path))
    return found


def base_reasons(bases: Iterable[Base], window_start: datetime) -> Dict[str, str]:
    """Why the bases stay, by label."""
    since = format_time(window_start.replace(microsecond=0))
    return {b.backup.label: f"recovery to any time since {since} begins with it" for b in bases}


def needed_spans(kept: Iterable[BackupManifest], bases: Iterable[Base]) -> Tuple[Span, ...]:
    """The WAL between start and stop of every kept backup, and all WAL of a base's path from its start on."""
    spans: List[Span] = []
    for backup in kept:
        first = Segment.at(backup.timeline, backup.start_lsn, backup.segment_size).number
        last = Segment.ending_at(backup.timeline, backup.stop_lsn, backup.segment_size).number
        spans.append(Span(backup.timeline, first, max(first, last)))
    for base in bases:
        first, size = base.backup.start_lsn // base.backup.segment_size, base.backup.segment_size
        for step in base.path.steps:
            end = None if step.switch is None else step.switch // size
            if end is None or end >= first:
                spans.append(Span(step.timeline, first, end))
    return tuple(spans)


def segment_number(name: str, size: int) -> Optional[Tuple[int, int]]:
    """Timeline and number of a segment's name; None where no server with segments of this size gives it."""
    try:
        segment = Segment.parse(name, size)
    except ValueError:
        return None
    return segment.timeline, segment.number
