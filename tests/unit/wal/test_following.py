# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stream starts, and what in its directory is WAL."""

from __future__ import annotations

from typing import List

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.wal.following import MOST_SEGMENTS, Local, available, begin, cuts, local_files

SIZE = 2**20
lsns = st.integers(0, 40 * SIZE)


def file(number: int, complete: bool = True, timeline: int = 1) -> Local:
    return Local(Segment(timeline, number, SIZE), complete)


def test_files_are_read_by_their_names() -> None:
    names = [Segment(1, 3, SIZE).name + ".partial", Segment(1, 2, SIZE).name, "00000002.history", "x.partial", "x"]
    assert local_files(names, SIZE) == (file(2), file(3, complete=False))
    assert [f.file for f in local_files(names, SIZE)] == [names[1], names[0]]


@given(st.sets(st.integers(0, 9)), st.booleans(), lsns)
def test_only_what_was_received_is_available(numbers: List[int], partial: bool, position: int) -> None:
    ordered = sorted(numbers)
    local = [file(n, complete=not (partial and n == ordered[-1])) for n in ordered]
    for new in available(local, position):
        assert 0 <= new.available <= SIZE
        assert new.file.complete or new.file.segment.start + new.available <= max(position, new.file.segment.start)
    assert [n.file for n in available(local, position)] == local


def test_an_unfinished_file_that_was_left_behind_is_not_wal() -> None:
    left = file(3, complete=False)
    assert [n.file for n in available([left, file(3, complete=False, timeline=2)], 4 * SIZE)] == [
        file(3, complete=False, timeline=2)
    ]


@given(lsns, lsns, st.one_of(st.none(), st.tuples(st.integers(0, 40), st.booleans())))
def test_a_stream_asks_only_for_wal_that_the_slot_keeps(position: int, flushed: int, newest: object) -> None:
    local = [file(newest[0], newest[1])] if isinstance(newest, tuple) else []
    start = begin(True, position, local, 1, flushed, SIZE)
    if start.renew or start.skip_to is not None:
        assert start.clear
        assert start.gap
        return
    assert start == type(start)()
    first = (local[0].segment.number + newest[1]) * SIZE if isinstance(newest, tuple) else position  # type: ignore[index]
    assert position // SIZE * SIZE <= first
    assert flushed - first < (MOST_SEGMENTS + 1) * SIZE
    assert first <= (flushed // SIZE + 1) * SIZE


def test_a_slot_that_a_crash_moved_back_is_no_gap() -> None:
    assert begin(True, 3 * SIZE + 5, [file(4), file(5, complete=False)], 1, 5 * SIZE + 9, SIZE).gap == ""


def test_gaps_are_reported() -> None:
    here = Segment(1, 9, SIZE).name
    flushed = 9 * SIZE + 7
    assert begin(False, None, [], 1, flushed, SIZE).gap == ""
    assert here in begin(False, None, [file(3)], 1, flushed, SIZE).gap
    assert "removed" in begin(True, None, [], 1, flushed, SIZE).gap
    assert "spool ends" in begin(True, 8 * SIZE, [file(3)], 1, flushed, SIZE).gap
    assert "timeline 2" in begin(True, 8 * SIZE, [file(8)], 2, flushed, SIZE).gap
    assert "ahead" in begin(True, 8 * SIZE, [file(30)], 1, flushed, SIZE).gap
    assert "behind" in begin(True, 0, [], 1, flushed, SIZE).gap


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 7))
def test_cuts_are_the_stretch(start: int, stop: int, most: int) -> None:
    assert [i for a, b in cuts(start, stop, most) for i in range(a, b)] == list(range(start, stop))
    assert all(b - a <= most for a, b in cuts(start, stop, most))
