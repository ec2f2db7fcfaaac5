# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done since a day, how often, with which pauses, by whom; what was removed. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

from ..audit.event import FAILED, Event
from ..records.model import BackupManifest, format_time

#: Operations that remove something, or allow it to be removed.
REMOVING = ("prune", "repair", "release", "erasure")


def longest_pause(moments: Iterable[datetime], since: datetime, now: datetime) -> float:
    """The longest time without any of these moments, in seconds, from ``since`` to ``now``."""
    points = [since, *sorted(moment for moment in moments if since <= moment <= now), now]
    return max((after - before).total_seconds() for before, after in zip(points, points[1:]))


def schedule_kept(events: Sequence[Event], since: datetime, now: datetime) -> Dict[str, Any]:
    """Of each operation: how often it succeeded and failed, when first and last, and its longest pause.

    The pause counts from the first success on: before that the operation may not have been in use.
    """
    found: Dict[str, Any] = {}
    for what in sorted({event.what for event in events}):
        own = [event for event in events if event.what == what]
        good = [event.at for event in own if event.result != FAILED]
        found[what] = {
            "succeeded": len(good),
            "failed": len(own) - len(good),
            "first_success": format_time(min(good)) if good else None,
            "last_success": format_time(max(good)) if good else None,
            "longest_pause_seconds": round(longest_pause(good, max(since, min(good)), now)) if good else None,
        }
    return found


def backups_kept(
    backups: Sequence[BackupManifest], since: datetime, now: datetime, max_age: Optional[float]
) -> Dict[str, Any]:
    """The backups that are there of the time since, and the longest pause between two that were finished.

    Retention has removed older ones, so that the pause counts from the oldest one that is there; what was made and
    removed since is among the events.
    """
    finished = [backup.finished_at for backup in backups]
    pause = longest_pause(finished, max(since, min(finished)), now) if finished else None
    return {
        "there": len([at for at in finished if at >= since]),
        "oldest": format_time(min(finished)) if finished else None,
        "newest": format_time(max(finished)) if finished else None,
        "longest_pause_seconds": None if pause is None else round(pause),
        "objective_seconds": max_age,
        "objective_kept": None if max_age is None else pause is not None and pause <= max_age,
    }


def access(events: Sequence[Event]) -> List[Dict[str, Any]]:
    """Who did what how often, as their hosts claim."""
    counts: Dict[tuple[str, str, str], int] = {}
    for event in events:
        key = (event.who.get("user", ""), event.who.get("host", ""), event.what)
        counts[key] = counts.get(key, 0) + 1
    return [
        {"user": user, "host": host, "what": what, "events": number}
        for (user, host, what), number in sorted(counts.items())
    ]


def deletions(events: Sequence[Event]) -> List[Mapping[str, Any]]:
    """The events that removed something, or allowed it, whole."""
    return [event.as_dict() for event in events if event.what in REMOVING]
