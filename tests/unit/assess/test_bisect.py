# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest sound backup is found with few restore tests."""

from __future__ import annotations

from math import log2
from typing import List, Optional

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.assess.bisect import next_to_prove


@given(count=st.integers(0, 200), data=st.data())
def test_the_boundary_is_found(count: int, data: st.DataObject) -> None:
    sound = data.draw(st.integers(0, count))
    truth = [n < sound for n in range(count)]
    known: List[Optional[bool]] = [data.draw(st.sampled_from([None, None, None, t])) for t in truth]
    steps = 0
    while (position := next_to_prove(known)) is not None:
        assert known[position] is None
        known[position] = truth[position]
        steps += 1
    assert max((n for n, proven in enumerate(known) if proven), default=-1) == sound - 1
    assert steps <= 2 + log2(count + 1)


def test_a_test_that_failed_before_a_newer_one_held_says_nothing() -> None:
    assert next_to_prove([False, None, True]) is None
    assert next_to_prove([True, False, True]) is None


def test_the_newest_is_tested_although_an_older_one_failed() -> None:
    """That damage may have been mended since; only if the newest fails too, those in between count as failed."""
    assert next_to_prove([True, False, None, None]) == 3
    assert next_to_prove([True, False, None, False]) is None
    assert next_to_prove([None, None, None]) == 2
