# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which timelines, besides the chosen one, contain a moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Dict, Iterable, Tuple

import pytest
from lifeboat.base.wal_names import Segment
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.restore.branches import branches_at
from lifeboat.store.protocol import ObjectInfo

SIZE = 1 << 20
BEGIN = datetime(2026, 11, 22, tzinfo=timezone.utc)


def at(minute: float) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def stored(*runs: Tuple[int, Iterable[int], int]) -> Dict[Segment, ObjectInfo]:
    """Segments of timelines, each archived a minute after the previous one, from a given minute on."""
    return {
        Segment(timeline, number, SIZE): ObjectInfo(f"{timeline}/{number}", 1, at(begin + index))
        for timeline, numbers, begin in runs
        for index, number in enumerate(numbers)
    }


# Timeline 1 was left in its segment 5, archived at minute 5; it had gone on until minute 9.
LEFT = TimelinePath((Step(1, 5 * SIZE + 100), Step(2, None)))
WAL = stored((1, range(10), 0), (2, range(5, 9), 20))


@pytest.mark.parametrize(("minute", "found"), [(2, []), (4.5, [1]), (7, [1]), (9, [1]), (9.5, []), (21, [])])
def test_a_moment_between_the_fork_and_the_end_of_what_was_left(minute: float, found: list[int]) -> None:
    assert branches_at(LEFT, at(minute), WAL) == found


def test_a_sibling_is_a_branch_too() -> None:
    path = TimelinePath((Step(1, 5 * SIZE), Step(3, None)))
    have = stored((1, range(5), 0), (2, range(5, 8), 10), (3, range(5, 9), 20))
    assert branches_at(path, at(11), have) == [2] and branches_at(path, at(13), have) == []


def test_along_the_old_timeline_there_is_no_other() -> None:
    assert branches_at(TimelinePath((Step(2, None),)), at(7), stored((2, range(9), 0))) == []
