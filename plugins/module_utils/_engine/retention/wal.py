# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which WAL is kept: that which makes kept backups consistent, or which recovery to a time needs. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Collection, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.wal_names import Segment
from ..config.retention import RetentionConfig
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import BackupManifest, format_time
from .keep import order_of


@dataclass(frozen=True)
class Span:
    """Segments of one timeline, by number, from ``first`` to ``last``, both included; None for no end."""

    timeline: int
    first: int
    last: Optional[int]


class Needed:
    """The union of spans, queried for single segments."""

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
    """The backup that point-in-time recovery along ``path`` starts from."""

    backup: BackupManifest
    path: TimelinePath


def find_bases(
    backups: Sequence[BackupManifest],
    strong: Collection[str],
    histories: Mapping[int, str],
    active: Iterable[int],
    window_start: datetime,
) -> List[Base]:
    """For each ``active`` timeline of one cluster identity, the newest strong backup on its path before the window.

    If none is that old, it is the oldest, and the window starts with it. A weak backup is a base if it would be one as
    a strong backup. WalInvalid if a history cannot be read.
    """
    found: List[Base] = []
    for timeline in sorted(set(active)):
        path = path_to(timeline, histories)
        usable = [b for b in backups if path.contains(b.timeline, b.stop_lsn)]
        counted = [b for b in usable if b.label in strong]
        before = max((order_of(b) for b in counted if b.finished_at <= window_start), default=None)
        oldest = min((order_of(b) for b in counted), default=None)
        for backup in usable:
            order = order_of(backup)
            if backup.finished_at <= window_start:
                is_base = before is None or order >= before
            else:
                is_base = before is None and (oldest is None or order <= oldest)
            if is_base:
                found.append(Base(backup, path))
    return found


@dataclass(frozen=True)
class Life:
    """When something of a cluster identity was last stored: WAL by timeline, and anything at all."""

    timelines: Mapping[int, datetime]
    last: datetime


def active_timelines(life: Life, strong: Iterable[BackupManifest], window_start: datetime, over: bool) -> Set[int]:
    """The timelines of a cluster identity that point-in-time recovery must reach.

    These have WAL in the window. If the cluster may still exist although it was idle that long (not ``over``), also
    each one without a strong backup on a later timeline, made after its last WAL.
    """
    found: Set[int] = set()
    waiting = sorted(strong, key=lambda b: b.timeline)
    followed: Optional[datetime] = None
    for timeline in sorted(life.timelines, reverse=True):
        while waiting and waiting[-1].timeline > timeline:
            began = waiting.pop().started_at
            followed = max(began, followed or began)
        last = life.timelines[timeline]
        if last >= window_start or not (over or (followed is not None and followed > last)):
            found.add(timeline)
    return found


def successors(
    lives: Mapping[str, Life], strong: Iterable[BackupManifest], policy: RetentionConfig, ages: Mapping[str, timedelta]
) -> Mapping[str, FrozenSet[str]]:
    """For each cluster identity those that replaced it: with backups since its last activity, for a whole window."""
    window = max(timedelta(days=policy.wal_days), policy.settle)
    fulls = [b for b in strong if b.type == "full" and ages[b.label] >= window]
    return {
        system: frozenset(
            b.system_identifier for b in fulls if b.system_identifier != system and b.started_at > life.last
        )
        for system, life in lives.items()
    }


def base_reasons(bases: Iterable[Base], window_start: datetime) -> Dict[str, str]:
    """The reason to keep each base, by label."""
    since = format_time(window_start.replace(microsecond=0))
    return {b.backup.label: f"recovery to any time since {since} starts from it" for b in bases}


def needed_spans(kept: Iterable[BackupManifest], bases: Iterable[Base]) -> Tuple[Span, ...]:
    """The WAL from start to stop of every kept backup, and all WAL of a base's path from the base's start on."""
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
    """Timeline and number of a segment's name; None if it is impossible with segments of this size."""
    try:
        segment = Segment.parse(name, size)
    except ValueError:
        return None
    return segment.timeline, segment.number
