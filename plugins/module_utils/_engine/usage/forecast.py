# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a repository is full, by how it grew. Pure.

    growth = stored per day - removed per day        days until full = free / growth

*Stored per day* is the mean of the complete days that make whole weeks (7, 14, 21 or 28 of the last 30): backups have
the rhythm of a week. The day of the oldest object is no part of it, since a repository often begins with much at once
(the first full backup, a sync). *Removed per day* is what retention would remove within 30 days of what is there now,
beyond what it would remove today, by 30. It counts for nothing where what is due by now is more than it removes in a
week: then nobody prunes, and what does not go makes no room.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional, Tuple

from ..base.units import size
from .limit import QUOTA, Limit
from .measure import DAYS, Usage

OK, WARNING, CRITICAL = "ok", "warning", "critical"
#: Per cent that are taken.
WARN_FROM, CRITICAL_FROM = 80.0, 95.0
#: Days until full below which that is a warning.
SOON = 7.0
#: How far ahead retention is looked at.
AHEAD = timedelta(days=30)
_WEEK = 7


def stored_per_day(usage: Usage, now: datetime) -> Optional[float]:
    """Bytes a day, by the last whole weeks; None where there is not yet one."""
    if usage.oldest is None:
        return None
    today = now.astimezone(timezone.utc).date()
    history = (today - usage.oldest.astimezone(timezone.utc).date()).days - 1
    days = min(DAYS, history) // _WEEK * _WEEK
    if days < _WEEK:
        return None
    return sum(usage.days.get(today - timedelta(days=n), 0) for n in range(1, days + 1)) / days


def removed_per_day(due: int, later: int, ahead: timedelta = AHEAD) -> float:
    """Bytes a day that retention removes: it would remove ``due`` now, and ``later`` (which has them too) ``ahead``."""
    rate = max(0, later - due) / (ahead / timedelta(days=1))
    return rate if due <= _WEEK * rate else 0.0


def growth_per_day(usage: Usage, now: datetime, removed: float = 0.0) -> Optional[float]:
    """Bytes a day; negative where more goes than comes. None where there is no whole week to judge by."""
    stored = stored_per_day(usage, now)
    return None if stored is None else stored - removed


def forecast(usage: Usage, limit: Optional[Limit], now: datetime, removed: float = 0.0) -> Optional[float]:
    """Days until it is full: ``free / (stored per day - removed)``, as above; 0 where it is full.

    None where there is no limit, no whole week to judge by, or no growth.
    """
    if limit is None:
        return None
    if limit.free <= 0:
        return 0.0
    growth = growth_per_day(usage, now, removed)
    return None if growth is None or growth <= 0 else limit.free / growth


def judge(usage: Usage, limit: Optional[Limit], now: datetime, removed: float = 0.0) -> Tuple[str, str, str]:
    """Status (``ok``, ``warning``, ``critical``), what is so in words, and what to do ("" where that is nothing).

    Critical from 95 % on; a warning from 80 % on, or where it is full within 7 days.
    """
    held = f"{size(usage.bytes)} in {usage.objects} objects"
    if limit is None:
        return OK, f"{held}; no limit is known", ""
    days = forecast(usage, limit, now, removed)
    of = "its quota" if limit.source == QUOTA else "its file system"
    words = f"{held}; {limit.used:.0f} % of {of} ({size(limit.bytes)}) is used, {size(limit.free)} is free"
    if days is not None and limit.free > 0:
        words += f"; full in {spoken(days)} at this rate"
    if limit.used >= CRITICAL_FROM:
        status = CRITICAL
    elif limit.used >= WARN_FROM or (days is not None and days < SOON):
        status = WARNING
    else:
        return OK, words, ""
    more = "raise quota_bytes" if limit.source == QUOTA else "enlarge the file system"
    return status, words, f"Run lifeboat usage to see what takes the room; shorten retention, or {more}."


def spoken(days: float) -> str:
    """Days until full, for people: a forecast is no more exact than this."""
    if days < 1:
        return "less than a day"
    if days < 2:
        return "about a day"
    return f"about {int(days)} days" if days <= 365 else "more than a year"
