# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that reads the clock."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def monotonic() -> float:
    """Seconds of a clock that never goes back, for durations."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    time.sleep(seconds)
