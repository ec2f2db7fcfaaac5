# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecast when a repository will be full, by its growth. Pure.

    growth = stored per day - removed per day        days until full = free / growth

*Stored per day* is the mean of the complete days in whole weeks (7, 14, 21 or 28 of the last 30), because backups have
a weekly rhythm. The day of the oldest object is left out, because a repository often begins with a lot at once
(the first full backup, a sync). *Removed per day* is what retention would remove within 30 days of what is there now,
beyond what it would remove today, divided by 30. It does not count if more is due now than is removed in a week,
because then nobody prunes.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional, Tuple

from ..base.units import size
from .limit import QUOTA, Limit
from .measure import DAYS, Usage

OK, WARNING, CRITICAL = "ok", "warning", "critical"
#: Percentages of the limit that are used.
WARN_FROM, CRITICAL_FROM = 80.0, 95.0
#: Days until full below which there is a warning.
SOON = 7.0
#: How far ahead retention is planned.
AHEAD = timedelta(days=30)
_WEEK = 7


def stored_per_day(usage: Usage, now: datetime) -> Optional[float]:
    """Bytes a day over the last whole weeks; None before the first one."""
    if usage.oldest is None:
        return None
    today = now.astimezone(timezone.utc).date()
    history = (today - usage.oldest.astimezone(timezone.utc).date()).days - 1
    days = min(DAYS, history) // _WEEK * _WEEK
    if days < _WEEK:
        return None
    return sum(usage.days.get(today - timedelta(days=n), 0) for n in range(1, days + 1)) / days


def removed_per_day(due: int, later: int, ahead: timedelta = AHEAD) -> float:
    """Bytes a day that retention removes: ``due`` are due now, ``later`` (including those) after ``ahead``."""
    rate = max(0, later - due) / (ahead / timedelta(days=1))
    return rate if due <= _WEEK * rate else 0.0


def growth_per_day(usage: Usage, now: datetime, removed: float = 0.0) -> Optional[float]:
    """Bytes a day, negative if it shrinks; None before the first whole week."""
    stored = stored_per_day(usage, now)
    return None if stored is None else stored - removed


def forecast(usage: Usage, limit: Optional[Limit], now: datetime, removed: float = 0.0) -> Optional[float]:
    """Days until it is full: ``free / (stored per day - removed)``, as above; 0 if it is full.

    None if there is no limit, no whole week yet, or no growth.
    """
    if limit is None:
        return None
    if limit.free <= 0:
        return 0.0
    growth = growth_per_day(usage, now, removed)
    return None if growth is None or growth <= 0 else limit.free / growth


def judge(usage: Usage, limit: Optional[Limit], now: datetime, removed: float = 0.0) -> Tuple[str, str, str]:
    """Status (``ok``, ``warning``, ``critical``), message and hint ("" if there is nothing to do).

    Critical from 95 %; a warning from 80 %, or if it will be full within 7 days.
    """
    held = f"{size(usage.bytes)} in {usage.objects} objects"
    if limit is None:
        return OK, f"{held}; no known limit", ""
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
    return status, words, f"Run lifeboat usage to see what takes the space; shorten retention, or {more}."


def spoken(days: float) -> str:
    """Days until full as text, no more exact than the forecast."""
    if days < 1:
        return "less than a day"
    if days < 2:
        return "about a day"
    return f"about {int(days)} days" if days <= 365 else "more than a year"
