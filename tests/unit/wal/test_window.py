# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are prefetched: never too many, never wrong ones, and the awaited one first."""

from __future__ import annotations

from typing import List, Set

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.wal.window import PARALLEL, Window, bound, parallel

MIB = 2**20
NAMES = [f"{n:024X}" for n in range(40)]
FOREIGN = "00000009.history"
some = st.sets(st.sampled_from([*NAMES, FOREIGN]))


@given(st.integers(1, 1000), st.sampled_from([MIB, 16 * MIB, 64 * MIB, 1024 * MIB]))
def test_the_bound_is_a_number_of_files_and_a_gibibyte(segments: int, size: int) -> None:
    found = bound(segments, size)
    assert 1 <= found <= segments
    assert found == 1 or found * size <= 1024 * MIB


def test_a_gibibyte_bounds_large_segments() -> None:
    assert (bound(16, 16 * MIB), bound(16, 256 * MIB), bound(16, 1024 * MIB), bound(400, 16 * MIB)) == (16, 4, 1, 64)
    assert [parallel(mib * MIB) for mib in (1, 16, 32, 64, 128, 1024)] == [4, 4, 4, 2, 1, 1]


@given(st.integers(1, 20), st.integers(0, 40), some, some, st.lists(st.sampled_from([*NAMES, FOREIGN]), unique=True))
def test_a_step_keeps_the_bound(limit: int, position: int, there: Set[str], going: Set[str], wanted: List[str]) -> None:
    window = Window(tuple(NAMES), {n: i for i, n in enumerate(NAMES)}, limit, PARALLEL, position)
    busy = set(sorted(going)[:PARALLEL][:limit])
    ready = set(sorted(there - busy)[: limit - len(busy)])
    step = window.step(ready, busy, wanted, set())
    assert set(step.drop) <= ready - set(wanted)
    assert not set(step.fetch) & (ready | busy)
    assert len(set(step.fetch)) == len(step.fetch)
    assert len(ready) - len(step.drop) + len(busy) + len(step.fetch) <= limit
    urgent = [n for n in wanted if n not in ready and n not in busy]
    assert list(step.fetch[: len(urgent)]) == urgent[: len(step.fetch)]
    # Nothing lies ahead of the window, and nothing of it is given up for what nobody waits for.
    assert all(n in NAMES[position : position + limit] or n in urgent for n in step.fetch)
    assert len([n for n in step.drop if n in NAMES[position : position + limit]]) <= len(urgent)


@given(st.integers(1, 20), st.integers(0, 39), some)
def test_whoever_waits_is_served_as_soon_as_something_has_arrived(limit: int, place: int, there: Set[str]) -> None:
    name = NAMES[place]
    ready = set(sorted(there - {name})[:limit])
    window = Window.over(NAMES, limit).asked(name)
    assert window.step(ready, set(), [name], {name}).fetch[0] == name


@given(st.integers(1, 20), st.lists(st.integers(1, 4), min_size=1))
def test_replay_finds_every_segment_once_it_waits_for_the_store(limit: int, pace: List[int]) -> None:
    """Simulate a recovery: fetched files are handed over in order, and each file is fetched once."""
    window, ready, busy = Window.over(NAMES, limit), set(), set()  # type: ignore[var-annotated]
    fetched: List[str] = []
    replayed = 0
    for turn in range(2000):
        if replayed == len(NAMES):
            break
        step = window.step(ready, busy, [], set())
        ready -= set(step.drop)
        busy |= set(step.fetch)
        fetched += step.fetch
        arrived = set(sorted(busy)[: pace[turn % len(pace)]])
        ready |= arrived
        busy -= arrived
        while replayed < len(NAMES) and NAMES[replayed] in ready:
            ready.discard(NAMES[replayed])
            window = window.given({NAMES[replayed]})
            replayed += 1
    assert fetched == NAMES


def test_replay_that_asks_elsewhere_moves_the_window() -> None:
    window = Window.over(NAMES, 8)
    assert window.step(set(), set(), [], set()).fetch == tuple(NAMES[:PARALLEL])
    moved = window.asked(NAMES[20])
    assert moved.step(set(NAMES[:8]), set(), [NAMES[20]], set()).fetch == tuple(NAMES[20 : 20 + PARALLEL])
    assert moved.step(set(NAMES[:8]), set(), [NAMES[20]], set()).drop == tuple(NAMES[:PARALLEL])
    assert window.asked(FOREIGN).position == 0


def test_a_failed_segment_is_retried_later_unless_requested() -> None:
    window = Window.over(NAMES, 2)
    assert window.step(set(), set(), [], {NAMES[0]}).fetch == (NAMES[1],)
    assert window.step(set(), set(), [NAMES[0]], {NAMES[0]}).fetch == (NAMES[0], NAMES[1])
