# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Up to where the paths of an old and a new primary are the same."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.failover.diverged import fork_between
from lifeboat.postgres.timeline import Step, TimelinePath

Steps = List[Tuple[int, Optional[int]]]


def path(steps: Steps) -> TimelinePath:
    return TimelinePath(tuple(Step(t, s) for t, s in steps))


@pytest.mark.parametrize(
    ("old", "new", "fork"),
    [
        ([(1, None)], [(1, 50), (2, None)], 50),
        ([(1, 50), (2, None)], [(1, 50), (2, 70), (3, None)], 70),
        # Both left timeline 1, the old one later, or earlier.
        ([(1, 90), (2, None)], [(1, 50), (3, None)], 50),
        ([(1, 30), (2, None)], [(1, 50), (3, None)], 30),
        ([(1, 50), (2, None)], [(1, 50), (3, None)], 50),
        # The newest timeline is the own one.
        ([(1, None)], [(1, None)], None),
        ([(1, 50), (2, None)], [(1, 50), (2, None)], None),
    ],
)
def test_forks(old: Steps, new: Steps, fork: Optional[int]) -> None:
    assert fork_between(path(old), path(new)) == fork


@given(
    common=st.lists(st.integers(1, 9), max_size=3), old=st.none() | st.integers(1, 9), new=st.integers(1, 9),
)  # fmt: skip
def test_it_is_where_the_first_of_them_leaves(common: List[int], old: Optional[int], new: int) -> None:
    lsns = [sum(common[: n + 1]) for n in range(len(common))]
    base: Steps = [(n + 1, lsn) for n, lsn in enumerate(lsns)]
    own, start = len(lsns) + 1, lsns[-1] if lsns else 0
    mine: Steps = [*base, (own, None)] if old is None else [*base, (own, start + old), (own + 1, None)]
    theirs: Steps = [*base, (own, start + new), (own + 2, None)]
    assert fork_between(path(mine), path(theirs)) == start + (new if old is None else min(old, new))
