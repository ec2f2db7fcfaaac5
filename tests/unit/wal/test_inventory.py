# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contiguous WAL of a repository, against a model that checks every segment."""

from __future__ import annotations

from itertools import islice
from typing import Dict

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.store.protocol import ObjectInfo
from lifeboat.wal.ahead import farthest
from lifeboat.wal.inventory import Archived, find_run
from support.records import moment, stored

HORIZON = 14


@st.composite
def paths(draw: st.DrawFn) -> TimelinePath:
    points = sorted(draw(st.lists(st.integers(1, HORIZON * SIZE), max_size=2)))
    steps = [Step(number, point) for number, point in enumerate(points, 1)]
    return TimelinePath((*steps, Step(len(points) + 1, None)))


#: For each (timeline, number): not there, there but empty, or there.
contents = st.dictionaries(
    st.tuples(st.integers(1, 3), st.integers(0, HORIZON)), st.sampled_from([0, 100, 100, 100, 100]), max_size=45
)


@given(paths(), st.integers(0, HORIZON * SIZE), contents)
def test_the_run_is_all_that_is_there_without_interruption(
    path: TimelinePath, start: int, content: Dict[tuple[int, int], int]
) -> None:
    have = {Segment(t, n, SIZE): ObjectInfo("", size, moment(n)) for (t, n), size in content.items()}
    run = find_run(path, start, SIZE, have)

    line = list(islice(path.segments(start, SIZE), HORIZON + 5))
    good = [s in have and have[s].size > 0 for s in line]
    first_bad = good.index(False)
    last_known = max((i for i, s in enumerate(line) if s in have), default=-1)
    missing = [s.name for i, s in enumerate(line) if first_bad <= i <= last_known and not good[i]]

    assert list(run.segments) == line[:first_bad]
    assert list(run.missing) == missing
    assert run.missing_count == len(missing)
    assert run.first_needed == line[0]
    assert run.next_needed.number == line[first_bad].number
    assert run.end == (line[first_bad - 1].end if first_bad else line[0].start)
    assert run.stored_bytes == 100 * first_bad
    assert run.archived_at == (moment(line[first_bad - 1].number) if first_bad else None)


def test_a_long_gap_is_counted_in_full_and_named_in_part() -> None:
    have = stored([Segment(1, 0), Segment(1, 1001)])
    run = find_run(TimelinePath((Step(1, None),)), 0, SIZE, have)
    assert run.missing_count == 1000
    assert len(run.missing) == 50
    assert run.missing[0] == Segment(1, 1).name


def test_wal_of_a_branch_that_the_path_left_is_no_gap() -> None:
    path = TimelinePath((Step(1, 3 * SIZE), Step(2, None)))
    have = stored([*(Segment(1, n) for n in range(6)), Segment(2, 3)])
    run = find_run(path, 0, SIZE, have)
    assert [(s.timeline, s.number) for s in run.segments] == [(1, 0), (1, 1), (1, 2), (2, 3)]
    assert not run.missing


def test_an_empty_last_segment_is_a_gap_and_not_an_end() -> None:
    have = {**stored([Segment(1, 0), Segment(1, 1)]), **stored([Segment(1, 2)], size=0)}
    run = find_run(TimelinePath((Step(1, None),)), 0, SIZE, have)
    assert len(run.segments) == 2
    assert run.missing == (Segment(1, 2).name,)


@given(paths(), st.integers(1, HORIZON), st.sets(st.integers(0, HORIZON)), st.integers(0, HORIZON), st.booleans())
def test_a_record_of_the_acknowledged_tells_a_hole_from_a_loss(
    path: TimelinePath, first: int, absent: set[int], marked: int, recorded: bool
) -> None:
    line = list(islice(path.segments(first * SIZE, SIZE), HORIZON))
    have = Archived(stored([s for s in line if s.number not in absent]).items())
    if recorded:
        have.marks.add(path_segment(path, marked))
    run = find_run(path, first * SIZE, SIZE, have)
    plain = find_run(path, first * SIZE, SIZE, dict(have))

    behind = [s for s in have if s.number > run.next_needed.number]
    assert run.segments == plain.segments
    if not recorded:
        assert (list(run.gap), run.unused, list(run.lost)) == (list(plain.gap), (), [])
    elif behind and behind[-1].number - marked > farthest(SIZE):
        assert list(run.gap) == list(plain.gap)
    elif marked < run.next_needed.number:
        # PostgreSQL was never told that anything behind the hole is archived.
        assert (list(run.gap), list(run.unused), list(run.lost)) == ([], behind, [])
    else:
        last = max([s.number for s in behind], default=run.next_needed.number - 1)
        assert list(run.gap) == list(plain.gap)
        assert [s.number for s in run.lost] == list(range(last + 1, marked + 1))
    # Either it is all used, or a word is said of it.
    assert set(have) <= {*run.segments, *behind}


def path_segment(path: TimelinePath, number: int) -> Segment:
    return next(path.segments(number * SIZE, SIZE))


def test_more_than_an_agent_stores_ahead_is_no_end() -> None:
    """An earlier release that keeps archiving records nothing: then a hole is a gap as before."""
    path, most = TimelinePath((Step(1, None),)), farthest(SIZE)
    for last, gap in ((most, 0), (most + 1, 1)):
        have = Archived(stored([Segment(1, n) for n in range(last + 1) if n != 2]).items(), [Segment(1, 0)])
        assert len(find_run(path, 0, SIZE, have).gap) == gap


def test_an_emptied_segment_was_there_and_is_a_gap() -> None:
    have = Archived(stored([Segment(1, 0), Segment(1, 1)]).items(), [Segment(1, 0)])
    have.update(stored([Segment(1, 2)], size=0))
    assert find_run(TimelinePath((Step(1, None),)), 0, SIZE, have).missing == (Segment(1, 2).name,)


def test_a_record_of_another_timeline_or_far_away_says_nothing() -> None:
    path = TimelinePath((Step(1, 3 * SIZE), Step(2, None)))
    marks = [Segment(1, 5), Segment(2, 1), Segment(3, 9), Segment(2, 2**40)]
    run = find_run(path, 0, SIZE, Archived(stored([Segment(1, 0), Segment(1, 1)]).items(), marks))
    assert not run.lost
