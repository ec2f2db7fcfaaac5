# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which segments are settled: whole ones on the path, that the repository lacks and retention did not remove."""

from __future__ import annotations

from typing import Set

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.failover.settle import Place, complete, lacking
from lifeboat.postgres.timeline import Step, TimelinePath

SIZE = 2**20
PATH = TimelinePath((Step(1, 5 * SIZE + 100), Step(2, 9 * SIZE), Step(3, None)))


def names(timeline: int, *numbers: int) -> Set[str]:
    return {Segment(timeline, n, SIZE).name for n in numbers}


def test_only_whole_segments_of_the_path_count() -> None:
    there = names(1, 3, 4, 5, 6) | names(2, 4, 5, 8, 9) | names(3, 9, 10) | {"archive_status", "00000002.history"}
    found = [s.name for s in complete(there, PATH, 9 * SIZE, SIZE)]
    # Segment 5 of timeline 1 ends behind the fork, 9 of timeline 2 begins there.
    assert set(found) == names(1, 3, 4) | names(2, 5, 8)
    assert {s.name for s in complete(there, PATH, 11 * SIZE - 1, SIZE)} == set(found) | names(3, 9)


@given(
    here=st.sets(st.integers(0, 12)), there=st.sets(st.integers(0, 12)), oldest=st.none() | st.integers(0, 12),
    end=st.integers(0, 13 * SIZE),
)  # fmt: skip
def test_what_is_pushed_and_what_is_missing(here: Set[int], there: Set[int], oldest: int, end: int) -> None:
    path = TimelinePath((Step(1, None),))
    whole = complete({Segment(1, n, SIZE).name for n in here}, path, end, SIZE)
    first = None if oldest is None else Segment(1, oldest, SIZE)
    found = lacking("r", whole, [Segment(1, n, SIZE) for n in there], first, Place(path, end, True))
    pushed = {Segment.parse(n, SIZE).number for n in found.names}
    missing = {Segment.parse(n, SIZE).number for n in found.missing}
    last = end // SIZE
    assert pushed == {n for n in here - there if n < last and n >= (oldest or 0)}
    begin = min((n for n in here if n < last and n >= (oldest or 0)), default=last)
    assert missing == set(range(begin, last)) - here - there
