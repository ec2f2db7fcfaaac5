# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forged number neither ends a chain nor is costly to detect."""

from __future__ import annotations

from typing import Set

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.audit.event import MOST_EVENTS, Event
from lifeboat.audit.faults import Source, find_faults
from lifeboat.audit.numbers import JUMP, connected
from support.records import moment

CHAIN = "db1.postgres"


@given(st.integers(1, 10**9), st.integers(2, 30), st.data())
def test_what_hangs_together_is_found_whatever_lies_elsewhere(first: int, count: int, data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(1, JUMP), min_size=count, max_size=count))
    ours = [first + sum(steps[:n]) for n in range(count)]
    far = st.integers(1, MOST_EVENTS).filter(lambda n: n < ours[0] - JUMP or n > ours[-1] + JUMP)
    # One forged number each side, so that they are fewer than ours.
    forged: Set[int] = set(data.draw(st.lists(far, max_size=1)))
    assert connected([*forged, *ours]) == range(ours[0], ours[-1] + 1)
    # With the local file's last number even where there are more of the others.
    many = [MOST_EVENTS - 1 - n for n in range(100)]
    if ours[-1] < many[-1] - JUMP:
        assert connected([*many, *ours], ours[-1]) == range(ours[0], ours[-1] + 1)
    assert connected([]) == range(0)


def test_no_number_is_used_up_that_leaves_none_behind_it() -> None:
    assert connected([1, 2, MOST_EVENTS]) == range(1, 3)
    assert connected([MOST_EVENTS]) == range(0)


def an_event(number: int) -> bytes:
    return Event(CHAIN, number, None if number == 1 else "0" * 64, moment(0), "backup", "ok", "main", {}).record()


def test_a_number_far_ahead_is_reported_once_and_a_long_gap_in_few_words() -> None:
    events = {1: an_event(1), MOST_EVENTS: an_event(MOST_EVENTS), 5_000_000: an_event(5_000_000)}
    found = find_faults([Source("near", {CHAIN: events}), Source("far", {CHAIN: {1: events[1]}})])
    assert [(f.source, f.kind, f.number) for f in found] == [
        ("near", "unconnected", 5_000_000), ("near", "unconnected", MOST_EVENTS),
    ]  # fmt: skip
    # Where nothing else is there, all before it are missing: that is one gap.
    gap = find_faults([Source("near", {CHAIN: {5_000_000: events[5_000_000]}})])
    assert len(gap) < 100 and "up to 4999999" in gap[-1].message


def test_hostile_details_are_no_cut() -> None:
    for details in ({"audit_removed": [1]}, {"audit_removed": {"near": 7}}, {"audit_removed": {"near": {CHAIN: "x"}}}):
        event = Event(CHAIN, 1, None, moment(0), "prune", "ok", "main", {}, details=details)
        assert find_faults([Source("near", {CHAIN: {1: event.record()}})]) == []
