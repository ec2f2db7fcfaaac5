# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention over histories of clusters: everything kept can be restored, and everything else is removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Dict, List, Optional, Set, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.wal_names import segments_between
from lifeboat.config.retention import RetentionConfig, with_data_sets
from lifeboat.postgres.timeline import path_to
from lifeboat.repository.chain import Chain, find_chains
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.labels import begun, make_label
from lifeboat.retention.copies import CopyRecord
from lifeboat.retention.plan import Facts, PrunePlan, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.choice import examples
from support.lives import BEGIN, FOREIGN, LAYOUT, POLICIES, SIZE, Life, lives


def after(plan: PrunePlan, objects: List[ObjectInfo]) -> List[ObjectInfo]:
    gone = {r.key for r in plan.removals}
    return [o for o in objects if o.key not in gone]


def stored_segments(objects: List[ObjectInfo], system: str) -> Set[str]:
    kinds = (kind_of("main", o.key) for o in objects)
    return {k.part for k in kinds if k.segment and k.owner == system}


def reachable(
    life: Life, chains: Dict[str, Chain], have: Set[str], at: datetime, timeline: int
) -> Optional[Tuple[int, int]]:
    """Timeline and number of the last segment that a restore on this timeline to this time replays."""
    path = path_to(timeline, life.histories)
    bases = [
        c[-1] for c in chains.values() if c[-1].finished_at <= at and path.contains(c[-1].timeline, c[-1].stop_lsn)
    ]
    best: Optional[Tuple[int, int]] = None
    for base in bases:
        last = None
        for segment in path.segments(base.start_lsn, SIZE):
            if segment.name not in have or life.segments[segment] > at:
                break
            last = (segment.timeline, segment.number)
        if last is not None and last[1] * SIZE + SIZE >= base.stop_lsn:
            best = max(best or last, last, key=lambda found: found[1])
    return best


@settings(max_examples=examples(400), deadline=None)
@given(lives(), POLICIES, st.integers(0, 400))
def test_what_is_kept_can_be_restored(life: Life, policy: RetentionConfig, later: int) -> None:
    now = life.now + timedelta(hours=later)
    objects, facts = life.objects(), life.facts()
    plan = make_plan(facts, objects, policy, now)
    left = after(plan, objects)
    keys = {o.key for o in left}
    have = stored_segments(left, life.system)

    # Every kept backup has its files, its parents and its WAL, as far as they were there.
    for label in plan.kept:
        for link in facts.chains.whole.get(label, ()):
            assert {LAYOUT.backup(link.label, n) for n in ("base.tar.zst", "backup_manifest", "manifest.json")} <= keys
            for segment in segments_between(link.timeline, link.start_lsn, link.stop_lsn, SIZE):
                assert segment.name in have
    # The newest backup that can be restored stays.
    whole = [facts.chains.known[label] for label in facts.chains.whole]
    assert not whole or max(whole, key=lambda b: (b.finished_at, b.label)).label in plan.kept
    # Enough full backups, the history files and all that is not ours stay.
    fulls = sorted(b.label for b in facts.chains.known.values() if b.type == "full")
    assert set(fulls[-policy.keep_last :]) <= set(plan.kept)
    assert {o.key for o in objects if o.key.endswith(".history") or o.key in FOREIGN} <= keys
    # What was in reach, at any time of the window, still is.
    before = stored_segments(objects, life.system)
    kept = {label: chain for label, chain in facts.chains.whole.items() if label in plan.kept}
    window_start = now - timedelta(days=policy.wal_days)
    written = {s.timeline for s, moment in life.segments.items() if moment >= window_start}
    for timeline in {life.timeline, *written}:
        for at in (window_start, now - (now - window_start) / 2, now):
            was = reachable(life, dict(facts.chains.whole), before, at, timeline)
            assert reachable(life, kept, have, at, timeline) == was
    # Once is enough, and no order of the listing matters.
    stay = find_chains([facts.chains.known[label] for label in plan.kept], {})
    again = make_plan(replace(facts, chains=stay), left[::-1], policy, now)
    assert not [r for r in again.removals if r.kind != "garbage"]


@settings(max_examples=examples(100), deadline=None)
@given(lives(), st.data())
def test_holds_and_the_newest_verified_backup_stay(life: Life, data: st.DataObject) -> None:
    labels = sorted(life.facts().chains.known)
    if not labels:
        return
    held, verified = data.draw(st.sampled_from(labels)), data.draw(st.sampled_from(labels))
    policy = RetentionConfig(full_days=0, differential_days=0, incremental_days=0, wal_days=0, keep_last=1)
    facts = life.facts(held={held: "a trial"}, verified=[verified])
    plan = make_plan(facts, life.objects(), policy, life.now + timedelta(days=400))
    assert {held, verified} <= set(plan.kept)
    assert "held: a trial" in plan.kept[held]
    gone = {kind_of("main", r.key).owner for r in plan.removals}
    assert not {link.label for label in (held, verified) for link in facts.chains.whole.get(label, ())} & gone


def test_children_go_before_their_parents_and_records_before_data() -> None:
    life = Life()
    life.back_up("full")
    life.back_up("incremental")
    life.back_up("incremental")
    first = [b.label for b in life.backups]
    life.idle(40)
    life.back_up("full")
    later = life.now + timedelta(days=2)
    plan = make_plan(life.facts(), life.objects(), RetentionConfig(keep_last=1, wal_days=1), later)
    removed = [r.key for r in plan.removals if r.kind == "backup"]
    assert removed[:3] == [LAYOUT.manifest(label) for label in first[::-1]]
    assert [k.split("/")[2] for k in removed[3::2]] == first[::-1]


def test_an_idle_cluster_keeps_the_wal_that_leads_to_its_end() -> None:
    life = Life()
    life.back_up("full")
    life.write(20)
    life.idle(300)
    plan = make_plan(life.facts(), life.objects(), RetentionConfig(), life.now)
    assert not plan.removals


def test_a_cluster_that_was_replaced_leaves() -> None:
    old, new = Life(), Life(system="7000000000000000002")
    old.back_up("full")
    old.write(20)
    new.now = old.now + timedelta(days=1)
    for _ in range(2):
        new.back_up("full")
    new.idle(60)
    new.back_up("full")
    both = [*old.backups, *new.backups]
    facts = Facts("main", find_chains(both, {}))
    plan = make_plan(facts, [*old.objects(), *new.objects()], RetentionConfig(), new.now)
    assert old.backups[0].label not in plan.kept
    assert {r.key for r in plan.removals} >= {o.key for o in old.objects() if old.system in o.key}


def test_leftovers_of_a_crash_are_removed_after_the_grace_period() -> None:
    life = Life()
    life.back_up("full")
    label = make_label(life.now, "full")
    segment = sorted(life.segments)[0].name
    for hours, expected in ((23, set()), (25, {label, segment})):
        stored = life.now - timedelta(hours=hours)
        more = [
            ObjectInfo(LAYOUT.backup(label, "base.tar.zst"), 5, stored),
            ObjectInfo(LAYOUT.wal_piece(life.system, segment, 0, 8192), 5, stored),
        ]
        plan = make_plan(life.facts(), [*life.objects(), *more], RetentionConfig(settle_hours=0), life.now)
        kinds = (kind_of("main", r.key) for r in plan.removals)
        assert {k.owner if k.name == "backup" else k.part for k in kinds} == expected


def test_the_newest_copy_of_a_file_set_stays_whatever_its_age() -> None:
    life = Life()
    life.back_up("full")
    life.idle(200)
    life.back_up("full")
    copies = [
        ObjectInfo(LAYOUT.file_set("config", f"2026010{n}T000000Z-files", name), 5, BEGIN + timedelta(days=n))
        for n in (1, 2)
        for name in ("manifest.json", "data.tar.zst")
    ]
    records = {
        ("files", "config", f"2026010{n}T000000Z-files"): CopyRecord(
            f"2026010{n}T000000Z-files", "config", BEGIN + timedelta(days=n - 1), (("data.tar.zst", 5),)
        )
        for n in (1, 2)
    }
    facts = life.facts(copies=records)
    plan = make_plan(facts, [*life.objects(), *copies], RetentionConfig(), life.now)
    assert [r.key for r in plan.removals if r.kind == "files"] == [copies[0].key, copies[1].key]
    # Each set has its own time.
    longer = make_plan(facts, [*life.objects(), *copies], RetentionConfig(file_sets={"config": 9999}), life.now)
    assert not [r for r in longer.removals if r.kind == "files"]
    soon = BEGIN + timedelta(days=31)
    shorter = make_plan(facts, [*life.objects(), *copies], RetentionConfig(file_sets={"config": 30.0}), soon)
    assert [r.key for r in shorter.removals if r.kind == "files"] == [copies[0].key, copies[1].key]
    data = make_plan(facts, [*life.objects(), *copies], with_data_sets(RetentionConfig(), ["config"]), soon)
    assert [r for r in data.removals if r.kind == "files"] == [r for r in shorter.removals if r.kind == "files"]
    assert not [r for r in make_plan(facts, copies, RetentionConfig(), soon).removals if r.kind == "files"]


def test_objects_removed_by_repairs_have_their_own_days() -> None:
    life = Life()
    life.back_up("full")

    def repair(days: float, token: str) -> List[ObjectInfo]:
        stored = BEGIN + timedelta(days=days)
        # The bytes may take their time to be stored.
        ages = {"repair.json": stored, "object": stored + timedelta(minutes=1)}
        return [ObjectInfo(LAYOUT.damaged(stored, token, name), 5, t) for name, t in ages.items()]

    old, young = repair(0, "0a"), repair(1, "0b")
    odd = ObjectInfo("main/damaged/notes.txt", 5, BEGIN - timedelta(days=999))
    life.now = BEGIN + timedelta(days=90, minutes=2)
    plan = make_plan(life.facts(), [*old, *young, odd, *life.objects()], RetentionConfig(), life.now)
    assert {r.key: r.reason for r in plan.removals if r.kind == "damaged"} == {
        info.key: "removed by a repair, 90 days ago or longer" for info in old
    }
    assert odd.key not in {r.key for r in plan.removals}
    early = make_plan(life.facts(), [*old, *young], RetentionConfig(damaged_days=91), life.now)
    assert not [r for r in early.removals if r.kind == "damaged"]


def test_what_diverged_has_its_days_and_goes_as_a_whole() -> None:
    life = Life()
    life.back_up("full")

    def copy(days: float, token: str) -> List[ObjectInfo]:
        stored = BEGIN + timedelta(days=days)
        label = f"{stored:%Y%m%dT%H%M%SZ}-{token}"
        keys = [LAYOUT.diverged("7", label, name) for name in (f"{5:024X}", "commits.tsv", "diverged.json")]
        return [ObjectInfo(key, 5, stored + timedelta(minutes=n)) for n, key in enumerate(keys)]

    old, young = copy(0, "0a"), copy(1, "0b")
    life.now = BEGIN + timedelta(days=365, minutes=2)
    plan = make_plan(life.facts(), [*old, *young, *life.objects()], RetentionConfig(), life.now)
    found = [r for r in plan.removals if r.kind == "diverged"]
    assert {r.key for r in found} == {info.key for info in old}
    assert [r.record for r in found] == [True, False, False], "the record goes first"
    assert all("365 days" in r.reason for r in found)


def test_dumps_have_their_days_and_the_newest_of_each_database_stays() -> None:
    life = Life()
    life.back_up("full")
    names = ("manifest.json", "data.pgdump.zst.age", "globals.sql.zst.age")

    def dump(database: str, day: int, *parts: str) -> List[ObjectInfo]:
        stored = BEGIN + timedelta(days=day)
        label = f"{stored:%Y%m%dT%H%M%SZ}-dump"
        return [ObjectInfo(LAYOUT.dump(database, label, name), 5, stored) for name in parts]

    old, odd, unfinished = dump("shop", 0, *names), dump("../a b", 0, *names), dump("shop", 1, *names[1:])
    kept = [*dump("shop", 20, *names), *dump("shop", 40, *names)]
    keys = {(k.part, k.owner) for k in (kind_of("main", i.key) for i in (*old, *odd, *kept))}
    records = {
        ("dump", name, label): CopyRecord(label, name, begun(label) or BEGIN, tuple((n, 5) for n in names[1:]))
        for name, label in keys
    }
    plan = make_plan(life.facts(copies=records), [*life.objects(), *old, *odd, *unfinished, *kept], RetentionConfig(),
                     BEGIN + timedelta(days=41))  # fmt: skip
    gone = {r.key: r.kind for r in plan.removals if r.kind in ("dump", "garbage")}
    assert gone == {**{i.key: "dump" for i in old}, **{i.key: "garbage" for i in unfinished}}
    # The record first: without it there is no dump.
    assert next(r.key for r in plan.removals if r.kind == "dump").endswith("manifest.json")


def test_wal_whose_names_have_two_meanings_stays() -> None:
    life = Life()
    life.back_up("full")
    life.write(30)
    life.idle(60)
    life.back_up("full")
    life.back_up("full")
    life.backups[-1] = replace(life.backups[-1], segment_size=64 * 1024 * 1024)
    later = life.now + timedelta(days=3)
    plan = make_plan(life.facts(), life.objects(), RetentionConfig(keep_last=1, wal_days=1), later)
    assert not [r for r in plan.removals if r.kind == "wal"]
    assert [r for r in plan.removals if r.kind == "backup"]
