# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a target that no repository reaches, with the nearest one that can be reached. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import List, Optional, Sequence, Tuple

from ..base.errors import BackupMissing, TargetUnreachable
from ..records.model import format_time
from .facts import Asked, Facts, Place, Span


def reaches(place: Place, target: datetime) -> Optional[Span]:
    """The window of this repository in which the target lies: the last one, where there are several.

    A target beyond the last commit cannot be reached, since PostgreSQL stops at the first commit behind it.
    """
    newest = place.spans[-1] if place.spans else None
    for span in reversed(place.spans):
        end = place.last_commit if span is newest and place.last_commit is not None else span.end
        if span.start < target < end:
            return span
    return None


def require_reachable(facts: Facts, asked: Asked) -> None:
    """TargetUnreachable or BackupMissing unless a repository that answered reaches what was asked for, now or before.

    Nothing is refused where no repository answered: the assessment tells that.
    """
    # What an attacker removed is still there in the past.
    places = tuple(p for p in (*facts.places, *facts.past) if p.backups and not p.error)
    if not places:
        return
    if asked.label:
        _require_label(places, asked.label)
    if asked.target is None or any(reaches(place, asked.target) for place in places):
        return
    if asked.target > facts.now:
        why = f"lies in the future: it is {format_time(facts.now)}"
    else:
        why = "lies in no window"
    nearest = nearest_moment(places, asked.target)
    windows = "; ".join(f"{p.name}: {_told(p)}" for p in places)
    hint = "Make a full backup, or choose another repository: nothing reaches any moment now."
    if nearest is not None:
        hint = f"The nearest that can be reached is {format_time(nearest)}: --target-time {format_time(nearest)}."
    raise TargetUnreachable(
        f"The target {format_time(asked.target)} {why}. Windows are {windows}.",
        hint,
        nearest=format_time(nearest) if nearest else None,
    )


def nearest_moment(places: Sequence[Place], target: datetime) -> Optional[datetime]:
    """The moment closest to the target that any of these repositories reaches; None where none has a window."""
    found: List[Tuple[timedelta, datetime]] = []
    for place in places:
        for index, span in enumerate(place.spans):
            last = place.last_commit if index == len(place.spans) - 1 else None
            # Behind the start and before the last commit: neither itself is a target.
            first, end = span.start + _STEP, (last or span.end) - _STEP
            if first <= end:
                moment = min(max(target, first), end)
                found.append((abs(moment - target), moment))
    return min(found, default=(None, None))[1]


_STEP = timedelta(milliseconds=1)


def _told(place: Place) -> str:
    spans = [
        f"{format_time(span.start)} to {format_time(span.end)} on timeline {span.timeline}" for span in place.spans
    ]
    return ", ".join(spans) or "none"


def _require_label(places: Sequence[Place], label: str) -> None:
    known = sorted({backup.label for place in places for backup in place.backups})
    if label in known:
        return
    close = get_close_matches(label, known, 1, 0.0)
    raise BackupMissing(
        f"No repository that answered has a backup {label} that can be restored: {', '.join(known[-5:])}.",
        f"The nearest is {close[0]}: --label {close[0]}.",
        label=label,
        nearest=close[0],
    )
