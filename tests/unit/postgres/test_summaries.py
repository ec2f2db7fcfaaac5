# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL summaries: whether they cover the WAL between two backups, along the server's timelines."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import IncrementalImpossible
from lifeboat.postgres.summaries import Summary, first_uncovered, require_version
from lifeboat.postgres.timeline import Step, TimelinePath

lsns = st.integers(0, 60)


@given(
    st.lists(st.builds(Summary, st.integers(1, 2), lsns, lsns), max_size=8),
    st.one_of(st.none(), lsns),
    lsns,
    lsns,
)
def test_the_first_byte_without_a_summary_is_found(
    summaries: List[Summary], switch: int | None, start: int, end: int
) -> None:
    path = TimelinePath((Step(1, None),) if switch is None else (Step(1, switch), Step(2, None)))

    def covered(at: int) -> bool:
        return any(s.timeline == path.at(at) and s.start <= at < s.end for s in summaries)

    bare = [at for at in range(start, end) if not covered(at)]
    assert first_uncovered(summaries, path, start, end) == (bare[0] if bare else None)


def test_an_old_server_is_told_from_a_new_one() -> None:
    require_version("17.0", 170000)
    with pytest.raises(IncrementalImpossible) as refused:
        require_version("16.9", 160009)
    assert "16.9" in refused.value.message
    assert refused.value.details["reason"] == "version"
