# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills are removed as a whole, by the store's time; the newest of each scenario and unfinished ones stay."""

from __future__ import annotations

from datetime import timedelta
from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.config.retention import RetentionConfig
from lifeboat.repository.chain import find_chains
from lifeboat.repository.labels import stamp
from lifeboat.repository.layout import Layout
from lifeboat.repository.leases import Writing
from lifeboat.retention.plan import Facts, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.records import EPOCH

LAYOUT = Layout("main")
NOW = EPOCH + timedelta(days=2000)
DATA = ["SHA256SUMS", "report.json"]
NOBODY = Writing()
SCENARIOS = st.sampled_from(["server", "region"])


def parts(label: str, day: float, record: bool = True) -> List[ObjectInfo]:
    names = [*DATA, "manifest.json"] if record else DATA
    at = EPOCH + timedelta(days=day)
    return [ObjectInfo(f"{LAYOUT.drills}{label}/{name}", 10, at) for name in names]


def plan(objects: List[ObjectInfo], days: float, writing: Writing = NOBODY) -> List[str]:
    facts = Facts("main", find_chains([], {}), writing=writing)
    found = make_plan(facts, objects, RetentionConfig(drill_days=days), NOW)
    assert {r.kind for r in found.removals} <= {"drill", "garbage"}
    return [r.key for r in found.removals]


@given(st.lists(st.tuples(SCENARIOS, st.integers(0, 1990)), max_size=12, unique=True), st.integers(0, 1999))
def test_old_ones_go_but_the_newest_of_each_scenario(drills: List[Tuple[str, int]], days: int) -> None:
    # Their labels claim a time of the future: only the store's counts.
    labels = {(s, day): f"{stamp(EPOCH + timedelta(days=9000 - day))}-{s}" for s, day in drills}
    gone = plan([info for (s, day), label in labels.items() for info in parts(label, day)], days)
    newest = {s: max(day for other, day in drills if other == s) for s, _day in drills}
    old = {labels[s, day] for s, day in drills if day != newest[s] and 2000 - day >= days}
    assert {key.split("/")[2] for key in gone} == old
    assert len(gone) == 3 * len(old)
    # The records go first, so that an interrupted run leaves no record without its files.
    assert all(key.endswith("manifest.json") for key in gone[: len(old)])


def test_what_has_no_record_goes_after_the_grace_unless_it_is_written() -> None:
    left, fresh = "20261122T020000Z-server", "20261122T020001Z-server"
    objects = [*parts(left, 1998, record=False), *parts(fresh, 1999.5, record=False)]
    assert {key.split("/")[2] for key in plan(objects, 9999)} == {left}
    assert plan(objects, 9999, Writing(frozenset({f"main/drills/{left}"}))) == []
    assert plan(objects, 9999, Writing(everything=True)) == []


def test_one_that_has_no_record_never_counts_as_the_newest() -> None:
    label, left = "20261122T020000Z-server", "20281122T020000Z-server"
    assert plan([*parts(label, 1), *parts(left, 1999.9, record=False)], 10) == []
