# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain of events reveals removed, changed and swapped events; its limits are tested too."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.audit.event import Event, chain_name, digest, load_event
from lifeboat.audit.faults import Source, find_faults
from support.records import moment

ONE, TWO = "db1.postgres", "db2.root"


def a_chain(length: int, chain: str = ONE, **more: object) -> Dict[int, bytes]:
    """A number of events, each referring to the previous one."""
    records: Dict[int, bytes] = {}
    for number in range(1, length + 1):
        before = digest(records[number - 1]) if number > 1 else None
        event = Event(
            chain, number, before, moment(number), "backup", "ok", "main", {"user": "postgres"}, objects=(f"b{number}",)
        )
        records[number] = replace(event, **more).record() if number == length else event.record()
    return records


def faults(*trails: Dict[str, Dict[int, bytes]], local: bool = False) -> List[str]:
    sources = [Source(f"repo{i}", trail) for i, trail in enumerate(trails)]
    if local:
        sources[-1] = replace(sources[-1], name="file", partial=True)
    return [f"{f.source} {f.kind} {f.chain} {f.number}" for f in find_faults(sources)]


def forged(record: bytes) -> bytes:
    """Different content, with a correct checksum of itself."""
    return replace(load_event(record, "it"), objects=("forged",)).record()


@given(st.integers(1, 12))
def test_a_whole_chain_has_no_fault(length: int) -> None:
    assert faults({ONE: a_chain(length), TWO: a_chain(3, TWO)}) == []


@given(st.integers(2, 12), st.data())
def test_any_event_that_is_removed_before_the_last_is_missed(length: int, data: st.DataObject) -> None:
    records = a_chain(length)
    gone = data.draw(st.sets(st.integers(1, length - 1), min_size=1))
    left = {n: r for n, r in records.items() if n not in gone}
    assert {f"repo0 missing {ONE} {n}" for n in gone} == set(faults({ONE: left}))


@given(st.integers(2, 12), st.data())
def test_any_event_that_is_changed_before_the_last_is_found(length: int, data: st.DataObject) -> None:
    records = a_chain(length)
    number = data.draw(st.integers(1, length - 1))
    assert faults({ONE: {**records, number: forged(records[number])}}) == [f"repo0 changed {ONE} {number}"]
    broken = records[number].replace(b"main", b"mane")
    assert f"repo0 changed {ONE} {number}" in faults({ONE: {**records, number: broken}})


@given(st.integers(2, 12), st.data())
def test_any_two_events_that_are_swapped_are_found(length: int, data: st.DataObject) -> None:
    records = a_chain(length)
    one, other = data.draw(st.lists(st.integers(1, length), min_size=2, max_size=2, unique=True))
    found = faults({ONE: {**records, one: records[other], other: records[one]}})
    assert {f"repo0 reordered {ONE} {one}", f"repo0 reordered {ONE} {other}"} <= set(found)


def test_a_renumbered_chain_does_not_close_the_gap() -> None:
    records = a_chain(5)
    moved = {n: replace(load_event(records[n + 1], "it"), number=n).record() for n in (3, 4)}
    assert f"repo0 changed {ONE} 2" in faults({ONE: {1: records[1], 2: records[2], **moved}})


def test_a_tail_is_missed_by_another_repository_the_file_or_another_chain() -> None:
    records = a_chain(4)
    cut = {n: records[n] for n in (1, 2)}
    gone = [f"repo0 missing {ONE} 3", f"repo0 missing {ONE} 4"]
    assert faults({ONE: cut}, {ONE: records}) == gone
    assert faults({ONE: cut}, {ONE: {4: records[4], 3: records[3]}}, local=True) == gone
    assert faults({ONE: cut, TWO: a_chain(1, TWO, witnessed={ONE: 4})}) == gone[1:]
    # Nobody else knows of it: it cannot be told.
    assert faults({ONE: cut}) == []
    # The last one that was changed, likewise by another.
    last = {**records, 4: forged(records[4])}
    assert faults({ONE: last}) == []
    assert faults({ONE: records}, {ONE: last}) == [f"repo1 different {ONE} 4"]


def test_what_retention_removed_is_known_and_no_more_than_that() -> None:
    records = a_chain(6)
    pruned = a_chain(1, TWO, what="prune", details={"audit_removed": {"repo0": {ONE: 3}}})
    assert faults({ONE: {n: records[n] for n in (4, 5, 6)}, TWO: pruned}) == []
    assert faults({ONE: {n: records[n] for n in (5, 6)}, TWO: pruned}) == [f"repo0 missing {ONE} 4"]
    assert faults({ONE: {6: records[6]}, TWO: {}} | {TWO: a_chain(1, TWO)})[0] == f"repo0 missing {ONE} 1"


def test_a_local_file_may_begin_anywhere_and_lack_other_chains() -> None:
    records = a_chain(4)
    everything = {ONE: records, TWO: a_chain(3, TWO)}
    assert faults(everything, {ONE: {3: records[3], 4: records[4]}}, local=True) == []
    assert faults(everything, {ONE: {2: records[2], 3: records[3]}}, local=True) == [f"file missing {ONE} 4"]
    assert faults(everything, {ONE: {2: records[2], 4: records[4]}}, local=True) == [f"file missing {ONE} 3"]


def test_the_name_of_a_chain_is_part_of_a_key() -> None:
    assert chain_name("db1.example.org", "post gres") == "db1-example-org.post-gres"
    assert chain_name("", "/") == "-.-"
