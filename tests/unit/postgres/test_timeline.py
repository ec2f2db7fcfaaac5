# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timeline paths: which timeline a byte of WAL belongs to, across any number of switches."""

from __future__ import annotations

from itertools import islice
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import WalInvalid
from lifeboat.base.wal_names import Segment, format_lsn
from lifeboat.postgres.timeline import Step, TimelinePath, parse_history, path_to

SIZE = 1024 * 1024


@st.composite
def switches(draw: st.DrawFn) -> List[Tuple[int, int]]:
    """Ancestors with increasing numbers and switch points."""
    numbers = sorted(draw(st.sets(st.integers(1, 50), max_size=4)))
    points = sorted(draw(st.lists(st.integers(1, 20 * SIZE), min_size=len(numbers), max_size=len(numbers))))
    return list(zip(numbers, points))


def places(ancestors: List[Tuple[int, int]]) -> List[int]:
    """The bytes around every switch, where an off-by-one error would show."""
    return [max(0, point + d) for _, point in ancestors for d in (-1, 0, 1)] + [0, 25 * SIZE]


def history(ancestors: List[Tuple[int, int]]) -> str:
    return "".join(f"{number}\t{format_lsn(point)}\tno recovery target specified\n" for number, point in ancestors)


@given(switches())
def test_a_history_file_is_read_as_it_was_written(ancestors: List[Tuple[int, int]]) -> None:
    path = path_to(60, {60: history(ancestors)} if ancestors else {})
    assert path.timeline == 60
    assert [(s.timeline, s.switch) for s in path.steps] == [*ancestors, (60, None)]
    assert all(path.fork_of(number) == point for number, point in ancestors)
    assert path.fork_of(60) is None


@given(switches())
def test_every_byte_belongs_to_the_first_ancestor_not_yet_left(ancestors: List[Tuple[int, int]]) -> None:
    path = TimelinePath((*(Step(n, p) for n, p in ancestors), Step(60, None)))
    for lsn in places(ancestors):
        assert path.at(lsn) == next((n for n, p in ancestors if p > lsn), 60)


@given(switches(), st.integers(1, 60))
def test_a_cluster_may_follow_until_its_timeline_is_left(ancestors: List[Tuple[int, int]], other: int) -> None:
    path = TimelinePath((*(Step(n, p) for n, p in ancestors), Step(60, None)))
    left = {**dict(ancestors), 60: 2**63}
    for timeline in (other, *left):
        for lsn in places(ancestors):
            assert path.contains(timeline, lsn) == (timeline in left and lsn <= left[timeline])


@given(switches(), st.integers(0, 20 * SIZE))
def test_segments_follow_each_other_on_the_timeline_of_their_last_byte(
    ancestors: List[Tuple[int, int]], start: int
) -> None:
    path = TimelinePath((*(Step(n, p) for n, p in ancestors), Step(60, None)))
    found = list(islice(path.segments(start, SIZE), 25))
    assert found[0].start <= start < found[0].end
    assert [s.number for s in found] == list(range(found[0].number, found[0].number + 25))
    assert all(s == Segment(path.at(s.end - 1), s.number, SIZE) for s in found)
    assert [s.timeline for s in found] == sorted(s.timeline for s in found)


def test_a_segment_with_a_switch_is_read_from_the_new_timeline() -> None:
    path = parse_history(2, f"1\t{format_lsn(3 * SIZE + 5)}\treason\n")
    assert [s.timeline for s in islice(path.segments(2 * SIZE, SIZE), 3)] == [1, 2, 2]
    at_boundary = parse_history(2, f"1\t{format_lsn(3 * SIZE)}\treason\n")
    assert [s.timeline for s in islice(at_boundary.segments(2 * SIZE, SIZE), 3)] == [1, 2, 2]


def test_comments_and_blank_lines_are_passed_over() -> None:
    path = parse_history(3, '# a comment\n\n1\t0/5000000\tat restore point "x"\n  2 0/6000000\n')
    assert [(s.timeline, s.switch) for s in path.steps] == [(1, 0x5000000), (2, 0x6000000), (3, None)]


@pytest.mark.parametrize(
    "text",
    ["1\n", "one\t0/5000000\n", "1\t5000000\n", "1\t0/5000000\n1\t0/6000000\n", "2\t0/5000000\n1\t0/6000000\n",
     "3\t0/5000000\n", "4\t0/5000000\n", "\0\0\0\0", "", "# nothing but a comment\n"],
)  # fmt: skip
def test_a_malformed_history_is_refused_by_name(text: str) -> None:
    with pytest.raises(WalInvalid, match=r"00000003\.history"):
        parse_history(3, text)


def test_a_fork_before_the_parent_began_leaves_the_grandparent_there() -> None:
    """PostgreSQL 17 wrote this history for a restore to a time on timeline 2, which started at 0/A000000."""
    path = parse_history(
        3, "1\t0/A000000\tno recovery target specified\n\n2\t0/8194988\tbefore 2026-11-22 19:17:19.792866+00\n"
    )
    size = 16 * 1024 * 1024
    names = [next(path.segments(number * size, size)).name for number in (7, 8, 9, 10)]
    assert [name[:8] for name in names] == ["00000001", "00000003", "00000003", "00000003"]
    assert path.at(0x8194987) == 1
    assert path.at(0x8194988) == 3
    assert path.fork_of(1) == path.fork_of(2) == 0x8194988
    assert path.contains(1, 0x8194988)
    assert not path.contains(1, 0x8194989)
