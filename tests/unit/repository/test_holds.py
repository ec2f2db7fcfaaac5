# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is held is told by the last event of each backup."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.repository.holds import HoldEvent, current
from support.records import moment


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 5))))
def test_the_last_word_counts_and_in_doubt_the_hold(said: List[Tuple[str, bool, int]]) -> None:
    events = [HoldEvent(label, held, "why", "who", moment(second)) for label, held, second in said]
    for label in "ab":
        own = [(e.at, e.held) for e in events if e.label == label]
        assert (label in current(events)) == (bool(own) and max(own)[1])
    assert current(events) == current(events[::-1])
