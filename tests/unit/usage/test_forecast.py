# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Growth, forecast and judgement, over any history of a repository."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Dict, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.usage import Amount, Limit, Usage, forecast, growth_per_day, judge, removed_per_day, stored_per_day

NOW = datetime(2026, 11, 27, 13, 0, tzinfo=timezone.utc)
GB = 10**9
SIZES = st.integers(0, 10**15)
LIMITS = st.builds(lambda size, part: Limit(size, int(size * part)), st.integers(1, 10**15), st.floats(0, 1))


def day(ago: int) -> date:
    return NOW.date() - timedelta(days=ago)


def usage(days: Dict[date, int], history: int, held: Optional[int] = None) -> Usage:
    """A repository whose oldest object was stored this many days ago."""
    total = sum(days.values()) if held is None else held
    return Usage({"wal": Amount(1, total, NOW)}, {}, days, NOW - timedelta(days=history))


HISTORIES = st.builds(
    lambda sizes, history: usage({day(n): size for n, size in enumerate(sizes) if n <= history}, history),
    st.lists(st.integers(0, 10**12), min_size=31, max_size=31),
    st.integers(0, 400),
)


def test_whole_weeks_after_the_first_day() -> None:
    days = {day(n): 1 * GB for n in range(1, 31)}
    assert stored_per_day(usage(days, 7), NOW) is None and stored_per_day(Usage(), NOW) is None
    # The first day's full backup and what came today are no growth; a full backup a week is a seventh of it each day.
    days.update({day(8): 500 * GB, day(0): 900 * GB})
    assert stored_per_day(usage(days, 8), NOW) == 1 * GB
    weekly = {day(n): 70 * GB for n in (3, 10, 17, 24)}
    for history in (9, 13, 14, 15, 22, 29, 300):
        assert stored_per_day(usage(weekly, history), NOW) == 10 * GB


@given(st.integers(1, 10**12), st.integers(8, 400), LIMITS)
def test_what_comes_evenly_is_full_on_the_day_that_it_says(rate: int, history: int, limit: Limit) -> None:
    if limit.free <= 0:
        return
    found = forecast(usage({day(n): rate for n in range(31)}, history), limit, NOW)
    assert found is not None and found * rate == pytest.approx(limit.free)


@given(HISTORIES, st.one_of(st.none(), LIMITS), st.floats(0, 1e12))
def test_a_forecast_is_one_only_where_it_can_be(found: Usage, limit: Optional[Limit], removed: float) -> None:
    days, growth = forecast(found, limit, NOW, removed), growth_per_day(found, NOW, removed)
    if limit is None:
        assert days is None
    elif limit.free == 0:
        assert days == 0
    elif growth is None or growth <= 0:
        assert days is None
    else:
        assert days is not None and days > 0
        # What retention removes only ever gains time.
        sooner = forecast(found, limit, NOW)
        assert sooner is not None and sooner <= days


@given(HISTORIES, LIMITS, st.floats(0, 1e12))
def test_the_judgement_follows_the_share_and_the_forecast(found: Usage, limit: Limit, removed: float) -> None:
    status, message, hint = judge(found, limit, NOW, removed)
    days = forecast(found, limit, NOW, removed)
    soon = days is not None and days < 7
    assert status == ("critical" if limit.used >= 95 else "warning" if limit.used >= 80 or soon else "ok")
    assert bool(hint) is (status != "ok") and message
    # Less room is never better.
    order = ["ok", "warning", "critical"]
    less = judge(found, Limit(limit.bytes, limit.free // 2, limit.source), NOW, removed)[0]
    assert order.index(less) >= order.index(status)


def test_the_words() -> None:
    steady = usage({day(n): 2 * GB for n in range(1, 31)}, 300, held=60 * GB)
    assert judge(steady, None, NOW) == ("ok", "60.0 GB in 1 objects; no known limit", "")
    status, message, hint = judge(steady, Limit(100 * GB, 40 * GB), NOW)
    assert (status, hint) == ("ok", "") and message.endswith("is free; full in about 20 days at this rate")
    assert judge(steady, Limit(100 * GB, 40 * GB), NOW, 2.0 * GB)[1].endswith("40.0 GB is free")
    status, message, hint = judge(steady, Limit(100 * GB, 21 * GB), NOW, 0.1 * GB)
    assert status == "ok" and "79 % of its quota (100 GB) is used" in message
    assert judge(steady, Limit(100 * GB, 20 * GB), NOW, 2.0 * GB)[0] == "warning"
    status, message, hint = judge(steady, Limit(1000 * GB, 13 * GB, "file system"), NOW)
    assert status == "critical" and "99 % of its file system" in message and "enlarge the file system" in hint
    # Little is used, and a week is enough to fill the rest.
    assert judge(steady, Limit(100 * GB, 13 * GB), NOW)[0] == "warning"
    fast = usage({day(n): 10 * GB for n in range(1, 31)}, 300)
    assert judge(fast, Limit(1000 * GB, 60 * GB), NOW)[0] == "warning"
    assert judge(fast, Limit(200 * GB, 69 * GB), NOW)[0] == "warning"
    assert judge(fast, Limit(200 * GB, 70 * GB), NOW)[0] == "ok"


@given(SIZES, SIZES)
def test_retention_counts_where_it_is_at_work(due: int, more: int) -> None:
    rate = removed_per_day(due, due + more)
    assert rate == (more / 30 if due <= 7 * (more / 30) else 0)


def test_nobody_prunes() -> None:
    # A month's worth is due, so that what would go by then makes no room.
    assert removed_per_day(30 * GB, 60 * GB) == 0
    assert removed_per_day(1 * GB, 31 * GB) == 1 * GB and removed_per_day(0, 0) == 0
