# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a set are read again: never too few."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Dict, List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.config.retention import RetentionConfig
from lifeboat.fileset.changes import Seen, below, by_copy, merged, select, tar_name
from lifeboat.fileset.index import digest_of
from lifeboat.repository.chain import find_chains
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.retention.copies import CopyRecord
from lifeboat.retention.plan import Facts, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.records import EPOCH

PATHS = st.sampled_from([f"/d/{name}" for name in "abcdef"])
LOOKS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
LONG_AGO = 10**18


def look(path: str, looks: Tuple[int, int, int, int]) -> Seen:
    return Seen(path.strip("/").encode(), path, looks)


def member(path: str, looks: Tuple[int, int, int, int]) -> Dict[str, object]:
    """The content read from a file with these attributes: different attributes, different content."""
    return {"path": path, "kind": "file", "sha256": f"{path} {looks}", "mode": "0600"}


@given(st.lists(st.dictionaries(PATHS, LOOKS), min_size=1, max_size=5))
def test_through_all_copies_a_file_is_what_it_looked_like(states: List[Dict[str, Tuple[int, int, int, int]]]) -> None:
    members: List[Dict[str, object]] = []
    held: Dict[str, List[str]] = {}
    for number, state in enumerate(states):
        label = f"copy {number}"
        chosen = select([look(p, s) for p, s in sorted(state.items())], members, f"copy {number - 1}", LONG_AGO)
        read = [member("/" + name.decode(), state["/" + name.decode()]) for name in chosen.names]
        held[label] = [str(m["path"]) for m in read]
        members = merged(read, chosen)
        assert [m["path"] for m in members] == sorted(state)
        # What it is, and that the copy it is said to be in has it.
        assert digest_of(members) == digest_of([member(p, state[p]) for p in sorted(state)])
        for where, its in by_copy(members, label).items():
            assert where == label or where in chosen.parents
            assert {str(m["path"]) for m in its} <= set(held[where])


def test_indistinguishable_files_are_read() -> None:
    seen = look("/d/a", (1, 2, 3, 4))
    before = {**member("/d/a", (1, 2, 3, 4)), "looks": [1, 2, 3, 4]}
    assert select([seen], [before], "old", LONG_AGO).parents == ("old",)
    # No file, or one of several names; of two names that are written alike; read while it may have been written.
    assert select([replace(seen, looks=None)], [before], "old", LONG_AGO).names == (b"d/a",)
    assert select([seen], [before, before], "old", LONG_AGO).names == (b"d/a",)
    assert select([seen], [before], "old", 3 + 10**9).names == (b"d/a",)
    assert select([seen], [{**before, "looks": [1, 2, 9, 4]}], "old", LONG_AGO).names == (b"d/a",)


def test_names_and_what_lies_below() -> None:
    assert tar_name({"path": "/d/ü"}) == "d/ü".encode() and tar_name({"path": "/d/x", "bytes": "642fff"}) == b"d/\xff"
    members = [{"path": p} for p in ("/d", "/d/a", "/d/ab", "/e")]
    assert [m["path"] for m in below(members, ["/d/a"])] == ["/d", "/d/a"]
    assert [m["path"] for m in below(members, ["/d/"])] == ["/d", "/d/a", "/d/ab"] and len(below(members, [])) == 4


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.sets(st.integers(0, 9))), min_size=1, max_size=10, unique_by=lambda c: c[0]
    )
)
def test_retention_keeps_what_a_copy_that_stays_is_based_on(copies: List[Tuple[int, set[int]]]) -> None:
    layout, now = Layout("main"), EPOCH + timedelta(days=100)
    days = sorted(day for day, _wanted in copies)
    label = {day: make_label(EPOCH + timedelta(days=day), "changes") for day in days}
    objects = [
        ObjectInfo(layout.file_set("data", label[day], name), 1, EPOCH + timedelta(days=day))
        for day in days
        for name in ("data.tar.zst", "manifest.json")
    ]
    based_on = {
        ("data", label[day]): tuple(label[days[i]] for i in wanted if i < len(days) and days[i] < day)
        for day, wanted in copies
    }
    records = {
        ("files", "data", label[day]): CopyRecord(
            label[day], "data", EPOCH + timedelta(days=day), (("data.tar.zst", 1),), based_on["data", label[day]]
        )
        for day in days
    }
    facts = Facts("main", find_chains([], {}), copies=records)
    plan = make_plan(facts, objects, RetentionConfig(file_set_days=30), now)
    gone = {r.key.split("/")[3] for r in plan.removals}
    young = {label[day] for day in days if day > 70 or day == days[-1]}
    needed = {parent for child in young for parent in based_on["data", child]}
    assert gone == set(label.values()) - young - needed
    # A copy goes before those that it is based on.
    order = [r.key.split("/")[3] for r in plan.removals if r.record]
    assert order == sorted(order, reverse=True)
