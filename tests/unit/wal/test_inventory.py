# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uninterrupted WAL of a repository, against a model that looks at every segment."""

from __future__ import annotations

from itertools import islice
from typing import Dict

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.postgres.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.postgres.wal_names import Segment
from lifeboat.store.protocol import ObjectInfo
from lifeboat.wal.inventory import find_run
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
