# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of archived WAL: commits per second, and the time of the last one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.wal.scan import Record, pace

ZERO = datetime(2026, 11, 22, 14, 0, tzinfo=timezone.utc)


def at(seconds: float, kind: str = "COMMIT") -> Record:
    return Record(1, 2, kind, f"{ZERO + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f} UTC; inval msgs: none")


@given(st.lists(st.integers(0, 3600), min_size=2, max_size=30).filter(lambda s: len(set(s)) > 1))
def test_commits_are_counted_between_the_first_and_the_last(seconds: List[int]) -> None:
    told = pace([Record(1, 2, "RUNNING_XACTS", ""), *(at(s) for s in seconds), at(3601, "ABORT")])
    assert told is not None and told.last == ZERO + timedelta(seconds=3601)
    assert told.rate == pytest.approx((len(seconds) - 1) / (max(seconds) - min(seconds)))


@pytest.mark.parametrize("found", [[at(5)], [at(5), at(5)], [at(1, "ABORT"), at(5, "ABORT")]])
def test_a_pace_that_cannot_be_told_is_none(found: List[Record]) -> None:
    told = pace(found)
    assert told is not None and told.last == ZERO + timedelta(seconds=5) and told.rate is None


def test_without_commits_there_is_none() -> None:
    assert pace([Record(1, 2, "RUNNING_XACTS", "")]) is None
