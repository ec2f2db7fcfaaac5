# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever somebody adds to a repository, it causes no removal of a genuine object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment, segments_between
from lifeboat.config.retention import RetentionConfig
from lifeboat.records.model import ArchiveFile, BackupManifest
from lifeboat.repository.chain import find_chains
from lifeboat.repository.labels import make_label
from lifeboat.retention.copies import CopyKey, CopyRecord
from lifeboat.retention.plan import Facts, PrunePlan, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.choice import examples
from support.lives import BEGIN, LAYOUT, POLICIES, SIZE, Life, lives
from support.records import a_backup

OTHER = "7999999999999999999"
NAMES = ("base.tar.zst", "backup_manifest")
KINDS = (
    ("files", "etc", "files", "data.tar.zst"),
    ("files", "etc", "changes", "data.tar.zst"),
    ("dump", "shop", "dump", "data.pgdump.zst"),
)
HISTORIES = ("1\t0/1000000\tno\n", "rubbish", "", "9\t0/1\tx\n")


@dataclass
class Forged:
    """The added objects."""

    backups: List[BackupManifest] = field(default_factory=list)
    objects: List[ObjectInfo] = field(default_factory=list)
    histories: Dict[int, str] = field(default_factory=dict)
    copies: Dict[CopyKey, CopyRecord] = field(default_factory=dict)


def genuine_copies(life: Life) -> tuple[Dict[CopyKey, CopyRecord], List[ObjectInfo]]:
    """A copy of a set and a dump for each backup of the history."""
    records: Dict[CopyKey, CopyRecord] = {}
    objects: List[ObjectInfo] = []
    for backup in life.backups:
        for what, name, word, data in KINDS[::2]:
            label = make_label(backup.started_at, word)
            records[what, name, label] = CopyRecord(label, name, backup.started_at, ((data, 1000),))
            objects += copy_objects(what, name, label, {data: 1000}, backup)
    return records, objects


def copy_objects(what: str, name: str, label: str, sizes: Dict[str, int], backup: BackupManifest) -> List[ObjectInfo]:
    key = LAYOUT.file_set if what == "files" else LAYOUT.dump
    sizes = {**sizes, "manifest.json": 300}
    return [ObjectInfo(key(name, label, n), size, backup.finished_at) for n, size in sizes.items()]


def events(life: Life) -> List[ObjectInfo]:
    return [
        ObjectInfo(LAYOUT.audit_event("db.postgres", b.started_at, n), 9, b.finished_at)
        for n, b in enumerate(life.backups, 1)
    ]


def planned(life: Life, forged: Forged, policy: RetentionConfig, later: timedelta) -> PrunePlan:
    copies, objects = genuine_copies(life)
    real = [b for b in life.backups if b.label not in life.lost]
    facts = Facts(
        "main",
        find_chains([*real, *forged.backups], dict.fromkeys(life.lost, "was never finished")),
        histories={life.system: {**forged.histories, **life.histories}, OTHER: forged.histories},
        copies={**forged.copies, **copies},
        verified=[b.label for b in life.backups[:1]],
    )
    listing = [*life.objects(), *objects, *events(life), *forged.objects]
    return make_plan(facts, listing, policy, life.now + later)


def assert_nothing_more_goes(life: Life, forged: Forged, policy: RetentionConfig, later: timedelta) -> None:
    _copies, objects = genuine_copies(life)
    genuine = {o.key for o in (*life.objects(), *objects, *events(life))}
    forged.objects = [o for o in forged.objects if o.key not in genuine]
    without = {r.key for r in planned(life, Forged(), policy, later).removals}
    gone = {r.key for r in planned(life, forged, policy, later).removals}
    assert gone & genuine <= without


@st.composite
def records(draw: st.DrawFn, life: Life, later: timedelta) -> BackupManifest:
    """Any record that somebody may write, usually a consistent one."""
    now = life.now + later
    started = (now - timedelta(minutes=draw(st.integers(0, 60 * 24 * 500)))).replace(microsecond=0)
    kind = draw(st.sampled_from(["full", "full", "incremental", "differential"]))
    number = draw(st.one_of(st.sampled_from(sorted(s.number for s in life.segments)), st.integers(1, 2000)))
    system = draw(st.sampled_from([life.system, life.system, OTHER]))
    parents = [b.label for b in life.backups]
    return replace(
        a_backup(),
        label=make_label(started, kind),
        type=kind,
        parent=draw(st.sampled_from(parents)) if kind != "full" else None,
        system_identifier=system,
        timeline=draw(st.one_of(st.just(life.timeline), st.integers(1, 5))),
        start_lsn=number * SIZE + 40,
        stop_lsn=number * SIZE + 200,
        segment_size=SIZE,
        started_at=started,
        finished_at=started + timedelta(minutes=draw(st.integers(0, 10000))),
        files=tuple(ArchiveFile(n, draw(st.sampled_from([1, 100, 1000, 10**9])), "a" * 64) for n in NAMES),
    )


def put(forged: Forged, backup: BackupManifest, stored: object, wal: bool = True) -> None:
    """Its record and files, and with ``wal`` the segments that it needs."""
    forged.backups.append(backup)
    sizes = {**{f.name: f.size for f in backup.files}, "manifest.json": 1000}
    forged.objects += [ObjectInfo(LAYOUT.backup(backup.label, n), size, stored) for n, size in sizes.items()]  # type: ignore[arg-type]
    if wal:
        for segment in segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, SIZE):
            key = LAYOUT.wal(backup.system_identifier, segment.name)
            forged.objects.append(ObjectInfo(key, 100, stored))  # type: ignore[arg-type]


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), lives(), POLICIES, st.integers(0, 1000))
def test_recently_stored_objects_cause_no_removal(
    data: st.DataObject, life: Life, policy: RetentionConfig, hours: int
) -> None:
    """Flawless records with all files, WAL, histories, copies and events, which the store received recently."""
    later = timedelta(hours=hours)
    now, forged = life.now + later, Forged()
    stored = st.integers(0, 23 * 3600).map(lambda s: now - timedelta(seconds=s))
    labels = {b.label for b in life.backups}
    for backup in data.draw(st.lists(records(life, later), max_size=5)):
        if backup.label not in labels:
            labels.add(backup.label)
            put(forged, backup, data.draw(stored))
    for timeline, number in data.draw(
        st.lists(st.tuples(st.sampled_from([1, 2, 3, 0xFFFFFFFF]), st.integers(0, 200)), max_size=5)
    ):
        name = Segment(timeline, number, SIZE).name
        system = data.draw(st.sampled_from([life.system, OTHER]))
        forged.objects.append(ObjectInfo(LAYOUT.wal(system, name), 100, data.draw(stored)))
    for timeline in data.draw(st.sets(st.integers(2, 6))):
        # A history that is missing may be put: it then tells of a timeline that was never written.
        if timeline > life.newest_timeline:
            forged.histories[timeline] = data.draw(st.sampled_from(HISTORIES))
    for what, name, word, file in KINDS:
        for backup in data.draw(st.lists(records(life, later), max_size=2)):
            label = make_label(backup.started_at, word)
            record = CopyRecord(label, name, backup.started_at, ((file, 1000),))
            if (what, name, label) not in forged.copies:
                forged.copies[what, name, label] = record
                at = replace(backup, finished_at=data.draw(stored))
                forged.objects += copy_objects(what, name, label, {file: 1000}, at)
    for number in data.draw(st.sets(st.sampled_from([len(life.backups) + 1, 9_999_999_999]))):
        forged.objects.append(ObjectInfo(LAYOUT.audit_event("db.postgres", BEGIN, number), 9, data.draw(stored)))
    assert_nothing_more_goes(life, forged, policy, later)


LIES = {
    "a file is missing": lambda b: replace(b, files=(*b.files, ArchiveFile("16384.tar.zst", 5, "c" * 64))),
    "another label": lambda b: replace(b, started_at=b.started_at - timedelta(days=1)),
    "another type": lambda b: replace(b, type="full" if b.type != "full" else "incremental", parent=None),
    "the year 2999": lambda b: replace(b, finished_at=b.finished_at.replace(year=2999)),
    "no segments": lambda b: replace(b, segment_size=0),
    "WAL far ahead": lambda b: replace(b, start_lsn=b.start_lsn + (1 << 60), stop_lsn=b.stop_lsn + (1 << 60)),
    "WAL without an end": lambda b: replace(b, stop_lsn=(1 << 64) - 1),
    "WAL backwards": lambda b: replace(b, start_lsn=b.stop_lsn + 1),
    "its own parent": lambda b: replace(b, type="incremental", label=make_label(b.started_at, "incremental"),
                                        parent=make_label(b.started_at, "incremental"), stop_lsn=b.start_lsn),
    "empty files": lambda b: replace(b, files=tuple(replace(f, size=0) for f in b.files)),
    "no files": lambda b: replace(b, files=()),
    "no zone": lambda b: replace(b, finished_at=b.finished_at.replace(tzinfo=None)),
    "not verified": lambda b: b,
}  # fmt: skip


@settings(max_examples=examples(25), deadline=None)
@given(st.data(), lives(), POLICIES, st.integers(0, 1000))
@pytest.mark.parametrize("lie", LIES)
def test_incomplete_or_implausible_backups_cause_no_removal(
    lie: str, data: st.DataObject, life: Life, policy: RetentionConfig, hours: int
) -> None:
    """However long the store has had it, and even if nothing else is wrong with it."""
    later = timedelta(hours=hours)
    policy = replace(policy, settle_hours=0.0, trust="verified" if lie == "not verified" else "whole")
    now, forged, labels = life.now + later, Forged(), {b.label for b in life.backups}
    for backup in data.draw(st.lists(records(life, later), min_size=1, max_size=4)):
        backup = LIES[lie](backup)
        if backup.label not in labels:
            labels.add(backup.label)
            put(forged, backup, min(now, backup.started_at + timedelta(days=data.draw(st.integers(0, 3)))), wal=False)
            if lie == "a file is missing":
                forged.objects = [o for o in forged.objects if not o.key.endswith("16384.tar.zst")]
    plan = planned(life, forged, policy, later)
    assert {b.label for b in forged.backups} <= {*plan.weak, *plan.foreign}
    assert_nothing_more_goes(life, forged, policy, later)


def a_life(days: int = 40) -> Life:
    life = Life()
    life.write(4)
    life.back_up("full")
    life.write(4)
    life.back_up("full")
    life.idle(days)
    return life


def whole(life: Life, days_ago: float, **more: object) -> BackupManifest:
    """A forged full backup over existing WAL, with nothing wrong but its content."""
    started = (life.now - timedelta(days=days_ago)).replace(microsecond=0)
    real = life.backups[-1]
    files = tuple(replace(f, sha256="f" * 64) for f in real.files)
    times = {"label": make_label(started, "full"), "started_at": started, "finished_at": started}
    return replace(real, **{**times, "files": files, **more})  # type: ignore[arg-type]


def test_a_dead_server_keeps_its_last_backups_beside_tiny_ones() -> None:
    """Past its days, with nothing newer: complete but nearly empty ones do not replace it, however old they are."""
    life, forged = a_life(), Forged()
    tiny = tuple(ArchiveFile(n, 1, "f" * 64) for n in NAMES)
    for day in (30, 20, 10):
        backup = whole(life, day, files=tiny)
        put(forged, backup, backup.finished_at, wal=False)
    assert_nothing_more_goes(life, forged, RetentionConfig(keep_last=1), timedelta())
    assert "--allow shrunk" in planned(life, forged, RetentionConfig(), timedelta()).weak[forged.backups[0].label]
    # Who looked and knows may lift it.
    facts = Facts("main", find_chains([*life.backups, *forged.backups], {}))
    plan = make_plan(facts, [*life.objects(), *forged.objects], RetentionConfig(), life.now, lifted=["shrunk"])
    assert life.backups[1].label in {r.key.split("/")[2] for r in plan.removals}


def test_backdated_backups_displace_no_monthly_one() -> None:
    life, forged = a_life(20), Forged()
    policy = RetentionConfig(keep_last=1, full_days=1, monthly=5)
    for _ in range(3):
        life.back_up("full")
        life.idle(31)
    life.back_up("full")
    began = life.backups[2].started_at.replace(microsecond=0) + timedelta(hours=5)
    times = {"label": make_label(began, "full"), "started_at": began, "finished_at": began + timedelta(hours=1)}
    put(forged, whole(life, 0, **times), life.now, wal=False)
    assert_nothing_more_goes(life, forged, policy, timedelta(days=2))
    assert "stored after newer ones" in planned(life, forged, policy, timedelta(days=2)).weak[str(times["label"])]


def test_another_identity_replaces_none_that_it_was_not_backed_up_beside_for_a_window() -> None:
    life, policy = a_life(), RetentionConfig(keep_last=1, wal_days=7)
    for days, gone in ((6, False), (8, True)):
        forged = Forged()
        put(forged, whole(life, days, system_identifier=OTHER), life.now - timedelta(days=days))
        put(forged, whole(life, 1.5, system_identifier=OTHER), life.now - timedelta(days=1.5))
        plan = planned(life, forged, policy, timedelta())
        assert (life.backups[1].label in {r.key.split("/")[2] for r in plan.removals}) == gone


def test_wal_stays_without_a_backup_that_counts() -> None:
    """All backups of a system identifier became weak: its WAL may make them good again."""
    life = a_life()
    objects = [o for o in life.objects() if not o.key.endswith("base.tar.zst")]
    plan = make_plan(life.facts(), objects, RetentionConfig(), life.now + timedelta(days=400))
    assert not [r for r in plan.removals if r.kind == "wal"]
    assert set(plan.weak) == {b.label for b in life.backups} <= set(plan.kept)
    assert "base.tar.zst is missing" in plan.weak[life.backups[0].label]


def test_a_history_that_cannot_be_read_costs_no_base() -> None:
    """WAL of a timeline that never existed, with an invalid history: nobody knows where recovery on it starts."""
    life, forged, policy = a_life(0), Forged(), RetentionConfig(keep_last=1, full_days=3, wal_days=7)
    life.idle(5)
    life.back_up("full")
    name = Segment(9, 3, SIZE).name
    forged.objects.append(ObjectInfo(LAYOUT.wal(life.system, name), 100, life.now))
    forged.histories[9] = "rubbish"
    later = timedelta(days=3)
    assert life.backups[1].label in planned(life, Forged(), policy, later).kept
    assert_nothing_more_goes(life, forged, policy, later)
    assert f"wal/{life.system}" in planned(life, forged, policy, later).weak


def test_other_bytes_do_not_thin_out_what_goes() -> None:
    """The share is that of what counts: junk beside it does not make a great loss smaller."""
    life, policy = a_life(), RetentionConfig(keep_last=1)
    rubbish = ObjectInfo("main/rubbish", 10**12, life.now)
    shares = [
        make_plan(life.facts(), [*life.objects(), *more], policy, life.now + timedelta(days=99)).share
        for more in ([], [rubbish])
    ]
    assert shares[0] == pytest.approx(shares[1], abs=1) and shares[0] > 10
