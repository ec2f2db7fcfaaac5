# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a single repository cannot reveal."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import FrozenSet, Mapping

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.repository.layout import Layout
from lifeboat.verify.compare import Held, compare

SIZE, SYSTEM = 16 * 2**20, "7000000000000000001"
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
OLD = NOW - timedelta(days=1)
NONE: FrozenSet[str] = frozenset()


def held(
    name: str, wal: Mapping[Segment, datetime], finished: FrozenSet[str] = NONE, unfinished: FrozenSet[str] = NONE
) -> Held:
    hour = NOW - timedelta(hours=1)
    return Held(name, Layout("main"), finished, unfinished, hour, hour, {SYSTEM: wal})


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_wal_behind_the_end_of_one_that_another_has_is_reported(
    ours: set[int], theirs: set[int], late: set[int]
) -> None:
    here = held("here", {Segment(1, n, SIZE): OLD for n in ours})
    there = held("there", {Segment(1, n, SIZE): NOW if n in late else OLD for n in theirs})
    found = {f.segment.number for f in compare([here, there]) if f.segment and f.repository == "here"}
    # Where nothing is there of a timeline, that is for sync; what has just arrived may be on its way.
    wanted = {n for n in theirs if ours and n > max(ours) and n not in late}
    assert found == wanted


def test_a_record_that_is_gone_while_its_files_are_there() -> None:
    old, new, odd = "backups/20261120T000000Z-full", "backups/20261122T115900Z-full", "files/app/by-hand"
    here = held("here", {}, frozenset({"backups/20261101T000000Z-full"}), frozenset({old, new, odd}))
    there = held("there", {}, frozenset({old, new, odd}))
    found = compare([here, there])
    # A new one may be on its way; a label of somebody else's tells no time.
    assert [(f.repository, f.label, f.key) for f in found] == [
        ("here", "20261120T000000Z-full", f"main/{old}/manifest.json"), ("here", odd, f"main/{odd}/manifest.json"),
    ]  # fmt: skip
    assert compare([here]) == []
