# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which old primary may follow the repository without a restore."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.controldata import ControlData
from lifeboat.postgres.timeline import parse_history
from lifeboat.restore.follow import refusal

FORK = 0x3000098
PATH = parse_history(2, f"1\t0/{FORK:X}\tno recovery target specified\n")


def control(
    checkpoint: int, timeline: int = 1, state: str = "shut down", min_recovery: Optional[int] = None
) -> ControlData:
    return ControlData("7", state, timeline, checkpoint, min_recovery, 2**24, timeline, 8192, 131072, 0)


@given(st.integers(1, 2 * FORK))
def test_a_checkpoint_before_the_fork_may_follow_and_no_other(checkpoint: int) -> None:
    assert (refusal(control(checkpoint), PATH, False) is None) == (checkpoint < FORK)


@given(st.integers(1, FORK - 1), st.integers(1, 2 * FORK))
def test_what_a_standby_has_replayed_counts_too(checkpoint: int, replayed: int) -> None:
    given_up = refusal(control(checkpoint, state="shut down in recovery", min_recovery=replayed), PATH, False)
    assert (given_up is None) == (replayed <= FORK)


def test_a_server_that_was_not_shut_down_may_not() -> None:
    assert "in production" in (refusal(control(FORK - 1, state="in production"), PATH, False) or "")
    assert refusal(control(FORK - 1, state="in production"), PATH, True) is None


@pytest.mark.parametrize(("timeline", "words"), [(2, None), (3, "timeline 3, which is not an ancestor of timeline 2")])
def test_its_timeline_has_to_be_on_the_way(timeline: int, words: Optional[str]) -> None:
    told = refusal(control(2 * FORK, timeline=timeline), PATH, False)
    assert told is None if words is None else words in (told or "")
