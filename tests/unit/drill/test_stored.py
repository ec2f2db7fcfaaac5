# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the WAL in a store reaches, according to the names of its objects."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.drill.stored import Stored, reach, stored, stored_end
from lifeboat.repository.layout import Layout

SIZE = 2**20
LAYOUT = Layout("main")
LAST = Segment(1, 7, SIZE)


def segment(number: int) -> Segment:
    return Segment(1, number, SIZE)


def whole(number: int) -> str:
    return LAYOUT.wal("1", segment(number).name)


def piece(number: int, start: int, stop: int) -> str:
    return LAYOUT.wal_piece("1", segment(number).name, start, stop)


def test_without_pieces_both_ends_are_that_of_the_complete_segments() -> None:
    assert reach([whole(6), whole(7)], LAST) == Stored(8 * SIZE, 8 * SIZE, 0)
    # PostgreSQL had not been told of the eighth, and it is there.
    assert reach([whole(7), whole(8), whole(10)], LAST) == Stored(9 * SIZE, 9 * SIZE, 0)


def test_pieces_continue_behind_the_complete_segments_until_a_hole() -> None:
    assert reach([piece(8, 0, 100), piece(8, 100, 300)], LAST) == Stored(8 * SIZE, 8 * SIZE + 300, 2)
    assert reach([piece(8, 0, 100), piece(8, 101, 300)], LAST) == Stored(8 * SIZE, 8 * SIZE + 100, 2)
    assert reach([piece(8, 0, SIZE), piece(9, 0, 50)], LAST) == Stored(8 * SIZE, 9 * SIZE + 50, 2)
    assert reach([piece(8, 0, 100), piece(9, 0, 50)], LAST) == Stored(8 * SIZE, 8 * SIZE + 100, 2)
    assert reach([piece(8, 0, SIZE), whole(9), piece(10, 0, 7)], LAST) == Stored(8 * SIZE, 10 * SIZE + 7, 2)
    assert reach([piece(9, 0, 50), piece(7, 0, 50)], LAST) == Stored(8 * SIZE, 8 * SIZE, 2)


def test_the_shortest_repository_counts() -> None:
    objects = {"a": {piece(8, 0, 300): 1}, "b": {piece(8, 0, 100): 1}}
    disaster = {
        "archived_wal": LAST.name,
        "segment_size": SIZE,
        "inventory": {name: {"objects": keys} for name, keys in objects.items()},
    }
    found = stored(disaster)
    assert found == Stored(8 * SIZE, 8 * SIZE + 100, 1)
    assert stored_end({"kind": "latest"}, found.as_dict()) == found.pieced
    assert stored_end({"kind": "latest", "pieces": False}, found.as_dict()) == found.whole


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12))
def test_every_byte_before_the_end_is_in_a_piece_and_the_next_one_in_none(spans: List[Tuple[int, int]]) -> None:
    found = reach([piece(8, start, start + length) for start, length in spans], LAST)
    covered = {byte for start, length in spans for byte in range(start, start + length)}
    end = found.pieced - 8 * SIZE
    assert set(range(end)) <= covered
    assert end not in covered
