# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare clocks with a store's before something is stored whose time decides later."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..base.errors import ClockWrong, StoreError
from ..records.model import format_time
from .repository import Repository


def require_clock(repository: Repository, whose: str, now: datetime, most: timedelta, why: str) -> None:
    """ClockWrong if the clock of ``whose`` shows ``now``, which is off by more than ``most``; ``why`` it matters.

    Nothing if the store does not tell its time, because a proxy may withhold it.
    """
    try:
        told = repository.store.clock()
    except StoreError:
        return
    if abs(now - told) > most:
        raise ClockWrong(
            f"The {whose} clock is at {format_time(now)}, but that of repository {repository.location} at"
            f" {format_time(told)}: {why}.",
            "Correct the wrong clock (NTP: timedatectl), then try again.",
            whose=whose,
            repository=repository.name,
            seconds=round((now - told).total_seconds()),
        )
