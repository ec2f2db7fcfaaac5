# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository adds to a standby, how far the standby is behind it, and which requests make no standby."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.base.wal_names import Segment
from lifeboat.postgres.facts import Position
from lifeboat.postgres.timeline import Step, TimelinePath, path_to
from lifeboat.records.model import Target
from lifeboat.restore.request import RestoreRequest
from lifeboat.restore.standby_status import Status, Stored, walk
from lifeboat.store.protocol import ObjectInfo
from lifeboat.wal.inventory import Archived
from lifeboat.wal.pieces import Piece

SIZE = 2**20
FIRST = path_to(1, {})
NOW = datetime(2026, 11, 27, tzinfo=timezone.utc)
#: Segment number to its state: whole, by pieces as a whole, begun by pieces.
STATES = st.dictionaries(st.integers(2, 9), st.sampled_from(["whole", "pieces", "begun"]))


def walked(states: Dict[int, str], lsn: int, path: TimelinePath = FIRST) -> Stored:
    def info(number: int) -> ObjectInfo:
        return ObjectInfo("key", 1, NOW - timedelta(seconds=100 - number))

    def at(number: int) -> Segment:
        return Segment(path.at((number + 1) * SIZE - 1), number, SIZE)

    have = Archived((at(n), info(n)) for n, state in states.items() if state == "whole")
    parts = {at(n).name: SIZE if state == "pieces" else 300 for n, state in states.items() if state != "whole"}

    def pieces_of(name: str) -> List[Piece]:
        return [Piece(0, parts[name], "key", NOW, 1)] if name in parts else []

    return walk("repo", path, lsn, SIZE, have, pieces_of)


@given(STATES, st.integers(2 * SIZE, 4 * SIZE))
def test_the_repository_reaches_as_far_as_segments_and_pieces_go_without_a_hole(
    states: Dict[int, str], lsn: int
) -> None:
    stored = walked(states, lsn)
    number, end, only = lsn // SIZE, lsn // SIZE * SIZE, []
    while states.get(number) in ("whole", "pieces"):
        only += [Segment(1, number, SIZE).name] if states[number] == "pieces" else []
        number, end = number + 1, (number + 1) * SIZE
    end += 300 if states.get(number) == "begun" else 0
    assert stored.end == max(end, lsn)
    assert list(stored.only_pieces) == only
    assert stored.archive_end <= max(stored.end, end)
    later = [n for n, state in states.items() if state == "whole" and n > number]
    assert len(stored.missing) == (min(later) - number if later else 0)
    assert (stored.waiting_since is not None) == (end > lsn)


def test_a_path_over_two_timelines_is_followed() -> None:
    path = TimelinePath((Step(1, 4 * SIZE + 500), Step(2, None)))
    stored = walked({3: "whole", 4: "pieces", 5: "begun"}, 3 * SIZE, path)
    assert stored.only_pieces == (Segment(2, 4, SIZE).name,)
    assert (stored.timeline, stored.archive_end, stored.end) == (2, 4 * SIZE, 5 * SIZE + 300)


positions = st.builds(
    Position, st.integers(0, 100), st.none(), st.just(1), st.sampled_from(["not paused", "pause requested", "paused"])
)
names: st.SearchStrategy[Tuple[str, ...]] = st.sampled_from([(), ("000000010000000000000003",)])
stores = st.builds(
    Stored, st.just("repo"), st.just(1), st.integers(0, 100), st.integers(0, 100), st.none() | st.just(NOW), names,
    names, st.none() | st.integers(0, 100),
)  # fmt: skip


@given(positions, stores)
def test_it_can_be_promoted_without_a_gap_only_if_nothing_is_in_the_way(at: Position, stored: Stored) -> None:
    status = Status(at, stored, NOW + timedelta(seconds=5))
    told = status.as_dict()
    fine = at.lsn >= stored.end and at.pause == "not paused" and not stored.only_pieces and not stored.missing
    assert told["promotable_without_gap"] == (fine and stored.left_at is None)
    assert status.lag_bytes == max(0, stored.end - at.lsn)
    assert status.lag_seconds == (5 if status.lag_bytes and stored.waiting_since else 0)
    assert told["paused"] == (at.pause != "not paused")


def test_a_clock_that_is_behind_the_store_makes_no_negative_lag() -> None:
    stored = Stored("repo", 1, 100, 100, NOW)
    assert Status(Position(50, None, 1, "not paused"), stored, NOW - timedelta(seconds=9)).lag_seconds == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": Target("immediate")}, {"target": Target("lsn", "0/3000028")}, {"target": Target(timeline="current")},
        {"target": Target(timeline="2")}, {"target": Target(inclusive=False)}, {"leave": "stopped"},
    ],
)  # fmt: skip
def test_a_standby_has_no_target_and_is_left_running(wrong: Dict[str, Any]) -> None:
    assert RestoreRequest(action="standby").target.kind == "latest"
    with pytest.raises(ConfigError) as caught:
        RestoreRequest(action="standby", **wrong)
    assert caught.value.hint
