# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bad object never prevents reading the others: it is reported, and does not count."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import BackupMissing, ObjectCorrupt, RecordImplausible
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.config.retention import RetentionConfig
from lifeboat.listing.contents import read_contents
from lifeboat.records.model import FORMAT, format_time
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.dumps import list_dumps, read_dumps
from lifeboat.repository.file_sets import list_files, read_copies
from lifeboat.repository.histories import read_histories
from lifeboat.repository.holds import look_at_holds, read_holds
from lifeboat.repository.records import read_records
from lifeboat.repository.repository import Repository
from lifeboat.repository.restore_tests import look_at_tests
from lifeboat.repository.verifications import note_verified, read_known
from support.records import COPY, DUMP, SYSTEM, a_backup, a_line_of_backups, put, put_backup

NOW = datetime.now(timezone.utc).replace(microsecond=0)
AGO = NOW - timedelta(hours=1)
DEEP = b"[" * 100_000


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.open(RepositoryConfig("near", DirectoryOptions(str(tmp_path))), "main")
    made.adopt(SYSTEM)
    return made


def test_only_what_is_plausible_is_a_backup(repository: Repository) -> None:
    full, child, late = a_line_of_backups(["full", "incremental", "full"], [0, 0, 0])
    for backup in (full, child):
        put_backup(repository, backup)
    layout = repository.layout
    # A record that was copied to another label; JSON that no parser survives; one of 20 MB; one that lies elsewhere.
    copied = "20261122T030000Z-full"
    put_backup(repository, full, copied)
    deep, large = "20261122T040000Z-full", "20261122T050000Z-full"
    put(repository, layout.manifest(deep), DEEP)
    put(repository, layout.manifest(large), b" " * 20_000_000)
    put(repository, layout.manifest(late.label), late.as_dict())
    stray = put(repository, layout.backup(full.label, "16385.tar.zst"), b"z")
    foreign = [
        put(repository, f"{layout.backups}{key}", b"z")
        for key in ("99999999T999999Z-full/manifest.json", "README", f"{full.label}/notes.txt")
    ]

    catalog = load_catalog(repository)
    assert [b.label for b in catalog.backups] == [full.label, child.label, late.label]
    assert {d.label: type(d.error) for d in catalog.damaged} == {
        copied: RecordImplausible, deep: ObjectCorrupt, large: ObjectCorrupt,
    }  # fmt: skip
    assert set(catalog.foreign) == {stray, *foreign}
    # A record without its files is known, and no chain with it is whole: it is not even the newest.
    assert catalog.lacking == {late.label: "lacks its file base.tar.zst"}
    assert set(catalog.chains().whole) == {full.label, child.label}
    assert catalog.newest() == child
    with pytest.raises(RecordImplausible, match=copied):
        catalog.find(copied)
    assert catalog.chains().broken[late.label].fault == "lacks its file base.tar.zst"


def test_files_of_another_size_are_lacking(repository: Repository) -> None:
    put_backup(repository, a_backup(), **{"base.tar.zst": b"x"})
    assert load_catalog(repository).lacking == {a_backup().label: "has 1 bytes of base.tar.zst instead of 1000"}


def test_a_repository_that_does_not_know_the_cluster_has_none_of_its_backups(repository: Repository) -> None:
    other = a_backup(system_identifier="1")
    put_backup(repository, other)
    with pytest.raises(BackupMissing, match="1 damaged"):
        load_catalog(repository).newest()


def test_a_bad_hold_holds_and_a_bad_release_does_not_release(repository: Repository) -> None:
    layout, labels = repository.layout, [f"2026112{n}T020000Z-full" for n in range(6)]

    def say(label: str, held: bool, token: str, /, **change: Any) -> str:
        at = AGO if held else AGO + timedelta(minutes=1)
        data = {"format": FORMAT, "label": label, "held": held, "reason": "r", "by": "me", "at": format_time(at)}
        key = layout.hold(label, at, token) if held else layout.release(label, at, token)
        return put(repository, key, {**data, **change})

    for label in labels:
        say(label, True, "aa")
    say(labels[0], False, "bb")
    bad = [
        say(labels[1], False, "bb", label=labels[2]),
        say(labels[2], False, "bb", at=format_time(NOW + timedelta(days=400))),
        put(repository, layout.release(labels[3], NOW, "cc"), DEEP),
        put(repository, layout.hold(labels[0], NOW, "cc"), b"{}"),
        put(repository, f"{layout.holds}{labels[4]}/x.json", b"{}"),
        put(repository, layout.release(labels[5], NOW + timedelta(days=400), "dd"), {
            "format": FORMAT, "label": labels[5], "held": False, "reason": "r", "by": "me",
            "at": format_time(NOW + timedelta(days=400)),
        }),
    ]  # fmt: skip
    found = look_at_holds(repository)
    assert {item.key for item in found.aside} == set(bad)
    assert set(found.held) == set(labels) and "is not credible" in found.held[labels[0]].reason
    assert read_holds(repository) == found.held
    # Nothing of the repository was in the way of the next hold.
    there = [*read_records(repository, layout.holds), *read_records(repository, layout.releases)]
    assert len(there) == len(labels) + 1 + len(bad)


def test_a_verification_of_later_than_it_was_stored_proves_nothing(repository: Repository) -> None:
    layout, label = repository.layout, a_backup().label
    first = Segment(1, 3)
    span = {"first": "000000010000000000000000", "last": "00000001FFFFFFFF000000FF", "segment_size": SIZE}
    note_verified(repository, [label], {SYSTEM: [first]})
    future = NOW + timedelta(days=30_000)

    def say(at: datetime, token: str, /, **change: Any) -> str:
        data: Dict[str, Any] = {"format": FORMAT, "at": format_time(at), "labels": ["forged"], "wal": {SYSTEM: [span]}}
        return put(repository, layout.verification(at, token), {**data, **change})

    bad = [
        say(future, "aa"),
        say(NOW, "bb", at=format_time(future)),
        say(NOW, "cc", wal={SYSTEM: [{**span, "segment_size": 0}]}),
        say(NOW, "dd", wal={SYSTEM: [7]}),
        say(NOW, "ee", labels=[7]),
        put(repository, layout.verification(NOW, "ff"), DEEP),
        put(repository, f"{layout.verifications}notes.json", b"{}"),
    ]
    known = read_known(repository)
    assert {item.key for item in known.aside} == set(bad)
    assert set(known.labels) == {label}
    assert known.covers(label, AGO, [AGO]) and not known.covers(label, AGO, [NOW + timedelta(hours=1)])
    assert known.covers_segment(SYSTEM, first, AGO, AGO) and not known.covers_segment(SYSTEM, Segment(1, 4), AGO, AGO)
    assert not known.covers_segment(SYSTEM, first, AGO, NOW + timedelta(hours=1))
    # A span over everything is one span; a later finding takes its segments out of it.
    say(NOW - timedelta(seconds=5), "0a")
    say(NOW - timedelta(seconds=4), "0b", labels=[], wal={}, damaged={"labels": ["forged"], "wal": {SYSTEM: [span]}})
    say(NOW - timedelta(seconds=3), "0c", labels=[], wal={SYSTEM: [{**span, "last": span["first"]}]})
    known = read_known(repository)
    assert set(known.labels) == {label} and known.covers_segment(SYSTEM, Segment(1, 0), AGO, AGO)
    assert not known.covers_segment(SYSTEM, Segment(1, 2**30), AGO, AGO)


def test_a_restore_test_of_another_time_proves_nothing(repository: Repository) -> None:
    layout, label = repository.layout, a_backup().label

    def say(at: datetime, token: str, /, **change: Any) -> str:
        data = {"format": FORMAT, "ended_at": format_time(at), "label": label, "proven": True, **change}
        return put(repository, layout.restore_test(at, token), data)

    say(AGO, "aa", proven=False)
    future = NOW + timedelta(days=400)
    bad = [
        say(future, "bb"),
        say(AGO, "cc", ended_at=format_time(NOW)),
        say(NOW, "dd", label=7),
        say(NOW, "ee", proven="yes"),
        put(repository, layout.restore_test(NOW, "ff"), DEEP),
    ]
    tests, aside = look_at_tests(repository)
    assert not tests[label].proven and {item.key for item in aside} == set(bad)


def test_histories_that_are_none_are_set_apart(repository: Repository) -> None:
    layout = repository.layout
    put(repository, layout.wal(SYSTEM, "00000002.history"), b"1\t0/5000000\tpromoted\n")
    bad = [
        put(repository, layout.wal(SYSTEM, name), content)
        for name, content in {
            "00000003.history": b"rubbish\n", "00000004.history": b"", "00000005.history": b"-1\t0/5\tx\n",
            "00000006.history": b"9\t0/5\tx\n", "FFFFFFFF.history": b"1\t0/5000000\tpromoted\n",
            "00000007.history": b"1" * 5000 + b"\t0/5\tx\n", "00000008.history": b"#" * 5_000_000,
        }.items()
    ]  # fmt: skip
    found = read_histories(repository, SYSTEM)
    assert set(found.texts) == {2} and set(found.aside(repository, SYSTEM)) == set(bad)


def test_wal_far_ahead_is_reported_once_and_is_no_gap(repository: Repository) -> None:
    backups = [a_backup(n, n + 0.5, SIZE + 40, SIZE + 400) for n in (0, 10, 20)]
    for backup in backups:
        put_backup(repository, backup)
    for number in (1, 2, 3):
        put(repository, repository.layout.wal(SYSTEM, Segment(1, number).name), b"x")
    far = put(repository, repository.layout.wal(SYSTEM, "00000001FFFFFFFF000000FF"), b"x")
    contents = read_contents(repository, RetentionConfig())
    assert [item.key for item in contents.aside] == [far]
    assert not any(run.missing for run in contents.runs.values())
    assert {run.end for run in contents.runs.values()} == {4 * SIZE}
    # One that could be: two gaps, of which the far one takes no more room than the near one.
    for number in (6, 3_000_000):
        put(repository, repository.layout.wal(SYSTEM, Segment(1, number).name), b"x")
    run = read_contents(repository, RetentionConfig()).runs[backups[0].label]
    assert run.missing_count == 2 + (3_000_000 - 7) and run.missing[:3] == tuple(Segment(1, n).name for n in (4, 5, 7))


def test_a_record_of_another_segment_size_hides_no_wal(repository: Repository) -> None:
    forged = a_backup(-100, -90, SIZE + 40, SIZE + 400, segment_size=2**20)
    put_backup(repository, forged)
    put_backup(repository, a_backup(0, 1, SIZE + 40, SIZE + 400))
    for number in (1, 2, 3):
        put(repository, repository.layout.wal(SYSTEM, Segment(1, number).name), b"x")
    assert read_contents(repository, RetentionConfig()).runs[a_backup().label].end == 4 * SIZE


def test_bad_copies_and_dumps_do_not_hide_the_good_ones(repository: Repository) -> None:
    layout = repository.layout
    for prefix, record, files in (
        (layout.file_set("web", COPY.label, ""), COPY, COPY.files),
        (layout.dump("shop", DUMP.label, ""), DUMP, (DUMP.data, DUMP.globals)),
    ):
        for file in files:
            put(repository, f"{prefix}{file.name}", b"x" * file.size)
        put(repository, f"{prefix}manifest.json", record.as_dict())
    bad = [
        put(repository, layout.file_set("web", "20271122T020000Z-files", "manifest.json"), COPY.as_dict()),
        put(repository, layout.file_set("web", "20281122T020000Z-files", "manifest.json"), DEEP),
    ]
    assert list_files(repository, "web") == [COPY]
    assert {item.key for item in read_copies(repository, "web")[1]} == set(bad)
    bad = [
        put(repository, layout.dump("shop", "20271122T020000Z-dump", "manifest.json"), DUMP.as_dict()),
        put(repository, layout.dump("other", DUMP.label, "manifest.json"), DUMP.as_dict()),
        put(repository, layout.dump("shop", "20281122T020000Z-dump", "manifest.json"), DEEP),
    ]
    assert list_dumps(repository) == list_dumps(repository, "shop") == [DUMP]
    assert {item.key for item in read_dumps(repository)[1]} == set(bad)


def test_a_record_that_grows_without_end_is_not_fetched(repository: Repository, tmp_path: Path) -> None:
    key = repository.layout.manifest(a_backup().label)
    path = tmp_path / key
    path.parent.mkdir(parents=True)
    with open(path, "wb") as stream:
        os.truncate(stream.fileno(), 2**40)
    with pytest.raises(ObjectCorrupt, match="more than"):
        repository.get_record(key)


def test_the_last_word_counts_within_a_second_and_over_one_of_the_future(repository: Repository) -> None:
    layout, label = repository.layout, a_backup().label
    now = datetime.now(timezone.utc)

    def say(at: datetime, held: bool, token: str) -> None:
        data = {"format": FORMAT, "label": label, "held": held, "reason": "r", "by": "me", "at": format_time(at)}
        key = layout.hold(label, at, token) if held else layout.release(label, at, token)
        path = put(repository, key, data)
        # As a store tells it: to the second.
        os.utime(Path(repository.store.location) / path, (stored := int(now.timestamp()), stored))

    say(now.replace(microsecond=200_000), True, "aa")
    say(now.replace(microsecond=700_000), False, "bb")
    assert not read_holds(repository)
    say(now.replace(microsecond=900_000), True, "cc")
    say(now + timedelta(hours=20), False, "dd")
    now += timedelta(seconds=3)
    say(now, True, "ee")
    assert set(read_holds(repository)) == {label}


def test_foreign_names_are_reported_without_a_get(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of them cost one listing, not a get each."""
    asked = []
    get = Repository.get_record
    monkeypatch.setattr(Repository, "get_record", lambda self, key, *more: asked.append(key) or get(self, key, *more))
    layout = repository.layout
    prefixes = (layout.holds, layout.releases, layout.verifications, layout.restore_tests, layout.erasures)
    junk = [put(repository, f"{prefix}junk-{number}.json", b"{}") for prefix in prefixes for number in range(3)]
    held = layout.hold("20260101T000000Z-full", NOW, "0a1b2c3d")
    put(repository, held, b"{}")
    found = [record for prefix in prefixes for record in read_records(repository, prefix)]
    assert {record.key for record in found} == {*junk, held} and asked == [held]
    assert all(isinstance(record.error, RecordImplausible) for record in found if record.key in junk)
    assert {item.key for item in look_at_holds(repository).aside} >= {key for key in junk if "/holds/" in key}
    assert {item.key for item in look_at_tests(repository)[1]} == {key for key in junk if "/restore_tests/" in key}
