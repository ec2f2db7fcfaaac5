# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of records of one kind: reading is limited if nothing depends on the rest, and no hold is lost."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ErasureFailed
from lifeboat.config.load import DirectoryOptions, RepositoryConfig, parse
from lifeboat.config.retention import RetentionConfig
from lifeboat.erasure.register import read_register
from lifeboat.listing import read_contents
from lifeboat.records.model import FORMAT, format_time
from lifeboat.repository import erasures, holds, leases
from lifeboat.repository.histories import read_histories
from lifeboat.repository.holds import HoldEvent, current, decide, look_at_holds
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.repository.leases import being_written, restores_under_way
from lifeboat.repository.records import newest_of
from lifeboat.repository.repository import Repository
from lifeboat.repository.restore_tests import last_tested
from lifeboat.repository.verifications import read_all_known, read_known
from lifeboat.retention.facts import read_facts
from lifeboat.store.directory.store import DirectoryStore
from lifeboat.store.protocol import ObjectInfo
from support.records import SYSTEM, a_backup, moment, put, put_backup

LAYOUT = Layout("main")
LABEL = a_backup().label
NOW = datetime.now(timezone.utc).replace(microsecond=0)
HOUR = timedelta(hours=1)


class Counting(DirectoryStore):
    """A directory that records what was read."""

    def __init__(self, options: DirectoryOptions) -> None:
        super().__init__(options)
        self.asked: List[str] = []
        self.listed: List[str] = []

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        self.listed.append(prefix)
        return super().list(prefix, start_after)

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        self.asked.append(key)
        return super().read(key, sha256, size)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.open(RepositoryConfig("near", DirectoryOptions(str(tmp_path))), "main")
    made.adopt(SYSTEM)
    return replace(made, store=Counting(DirectoryOptions(str(tmp_path))))


def put_at(repository: Repository, key: str, data: Any, at: datetime) -> str:
    """Like :func:`put`, with this time of the store."""
    os.utime(Path(repository.store.location) / put(repository, key, data), (at.timestamp(), at.timestamp()))
    return key


def asked(repository: Repository, below: str = "") -> List[str]:
    assert isinstance(repository.store, Counting)
    return [key for key in repository.store.asked if key.startswith(below)]


# --- holds ------------------------------------------------------------------------------------------------------------

TIMES = st.integers(0, 20)
HOLDS = st.builds(
    lambda at, stored, apart, reason: HoldEvent(LABEL, True, reason, "", moment(at), apart, moment(stored)),
    TIMES, TIMES, st.booleans(), st.sampled_from("ab"),
)  # fmt: skip
# A release of a later time than an hour after it was stored is none.
RELEASES = st.builds(
    lambda stored, back, apart: HoldEvent(LABEL, False, "", "", moment(stored + 3600 - back), apart, moment(stored)),
    TIMES, st.integers(0, 3620), st.booleans(),
)  # fmt: skip


@given(st.lists(HOLDS, max_size=8), st.lists(RELEASES, max_size=5), st.integers(0, 3))
def test_no_hold_depends_on_what_is_not_read(held: List[HoldEvent], ended: List[HoldEvent], bad: int) -> None:
    known: Dict[str, Optional[HoldEvent]] = {}
    infos: List[ObjectInfo] = []
    for number, event in enumerate([*held, *ended]):
        place = LAYOUT.hold if event.held else LAYOUT.release
        key = place(LABEL, event.at, f"{number:08x}")
        # Some are not to be read as a release, or are gone.
        known[key] = None if not event.held and number % 4 < bad else event
        infos.append(ObjectInfo(key, 1, event.stored or event.at))
    all_of_it = current(event for event in known.values() if event).get(LABEL)
    found = decide(infos, lambda info: known[info.key])
    assert (found is None) is (all_of_it is None)
    if found and all_of_it:
        assert (found.since, found.reason) == (all_of_it.since, all_of_it.reason)


def test_thousands_of_holds(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "_ALL", 50)
    other, gone = make_label(moment(100), "full"), make_label(moment(200), "full")
    for label in (LABEL, other):
        put_backup(repository, a_backup(label=label))

    def say(label: str, held: bool, at: datetime, number: int, **change: Any) -> str:
        data = {"format": FORMAT, "label": label, "held": held, "reason": "legal", "by": "me", "at": format_time(at)}
        key = (LAYOUT.hold if held else LAYOUT.release)(label, at, f"{number:08x}")
        return put_at(repository, key, {**data, "apart": True, **change}, at)

    say(LABEL, True, NOW - 9 * HOUR, 1)
    say(other, True, NOW - 9 * HOUR, 2)
    say(other, False, NOW - 8 * HOUR, 3)
    whole = look_at_holds(repository)
    assert set(whole.held) == {LABEL} and not whole.aside
    # Of a backup that is not there, and a word of what is no hold.
    for number in range(60):
        put(repository, LAYOUT.hold(gone, NOW, f"{number:08x}"), b"junk")
    del repository.store.asked[:]  # type: ignore[attr-defined]
    found = look_at_holds(repository)
    assert found.held == whole.held and found.held[LABEL].reason == "legal" and len(asked(repository)) <= 3
    assert ["60 of 63" in item.error.message for item in found.aside] == [True]
    # What cannot be read holds, as ever, and one of them is enough to know.
    for number in range(60):
        put_at(repository, LAYOUT.hold(other, NOW, f"{number:08x}"), b"junk", NOW + timedelta(seconds=number))
    del repository.store.asked[:]  # type: ignore[attr-defined]
    found = look_at_holds(repository)
    assert set(found.held) == {LABEL, other} and "is not credible" in found.held[other].reason
    assert len(asked(repository)) <= 4
    assert set(look_at_holds(repository, other).held) == {other}


# --- verifications and reports of restore tests -----------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 5)), max_size=30), st.integers(1, 8))
def test_the_newest_are_those_whose_keys_can_be_true(said: List[Tuple[int, int]], most: int) -> None:
    """Each claims a time this many hours after it was stored."""
    infos = [
        ObjectInfo(LAYOUT.verification(moment(stored * 3600 + ahead * 3600), f"{n:08x}"), 1, moment(stored * 3600))
        for n, (ahead, stored) in enumerate(said)
    ]
    kept, rest = newest_of(infos, most)
    assert len(kept) == min(most, len(infos)) and bool(rest) is (len(infos) > most)
    possible = sorted(i.key for i, (ahead, _stored) in zip(infos, said) if ahead <= 24)[-most:]
    assert set(possible) <= {i.key for i in kept}
    assert kept == sorted(kept, key=lambda i: i.key)


def verify(repository: Repository, label: str, at: datetime, number: int) -> str:
    record = {"format": FORMAT, "at": format_time(at), "labels": [label], "wal": {}}
    return put_at(repository, LAYOUT.verification(at, f"{number:08x}"), record, at)


def test_the_newest_verifications_are_read_and_all_of_them_where_something_goes(repository: Repository) -> None:
    labels = [make_label(moment(n * 100), "full") for n in range(6)]
    for n, label in enumerate(labels):
        verify(repository, label, NOW - (9 - n) * HOUR, n)
    known = read_known(repository, most=2)
    assert set(known.labels) == set(labels[4:]) and len(asked(repository, LAYOUT.verifications)) == 2
    assert ["3 older ones were not read" in item.error.message for item in known.aside] == [True]
    assert set(read_known(repository, most=6).labels) == set(labels) and not read_known(repository).aside
    del repository.store.asked[:]  # type: ignore[attr-defined]
    both = read_all_known(repository, NOW - 6 * HOUR)
    assert [set(found.labels) for found in both] == [set(labels), set(labels[:4])]
    # Each once.
    assert len(asked(repository, LAYOUT.verifications)) == 6


def test_retention_reads_each_record_once_and_all_of_them(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifeboat.repository.verifications.ENOUGH", 2)
    monkeypatch.setattr("lifeboat.repository.restore_tests.ENOUGH", 2)
    put_backup(repository, a_backup())
    verify(repository, LABEL, NOW - 900 * HOUR, 0)
    at = NOW - 900 * HOUR
    report = {"format": FORMAT, "ended_at": format_time(at), "label": LABEL, "proven": True}
    put_at(repository, LAYOUT.restore_test(at, "00"), report, at)
    for number in range(5):
        verify(repository, make_label(moment(500 + number), "full"), NOW - HOUR, number)
        put_at(repository, LAYOUT.restore_test(NOW - HOUR, f"{number:08x}"), b"junk", NOW - HOUR)
    facts, _aside = read_facts(repository, RetentionConfig(), NOW)
    assert LABEL in facts.verified and facts.evidence.verified >= {LABEL}
    assert len(asked(repository, LAYOUT.verifications)) == 6
    assert last_tested(repository, NOW)[LABEL].proven


# --- leases -----------------------------------------------------------------------------------------------------------


def test_thousands_of_leases_hold_retention_up_without_being_read(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for area in ("restores", "writes"):
        for number in range(30):
            put(repository, LAYOUT.lease(area, f"{number:012x}", "begun"), b"main/backups/x\n")
    assert len(restores_under_way(repository, NOW)) == 30
    assert len(asked(repository)) == 20
    assert being_written(repository, NOW).has("main/backups/x/base.tar.zst")
    assert not being_written(repository, NOW).everything
    monkeypatch.setattr(leases, "_ASKED", 10)
    del repository.store.asked[:]  # type: ignore[attr-defined]
    # More than anybody has: any of them may write anything.
    assert being_written(repository, NOW).everything and not asked(repository)


# --- erasures ---------------------------------------------------------------------------------------------------------


def test_the_first_erasure_that_cannot_be_read_decides(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        put(repository, LAYOUT.erasure(moment(number), f"{number:08x}"), b"junk")
    read: List[str] = []
    load = erasures.load_erasure

    def noted(raw: bytes, name: str) -> Any:
        read.append(name)
        return load(raw, name)

    fetched: List[str] = []
    get = Repository.get_record

    def counted(self: Repository, key: str, *more: Any) -> bytes:
        fetched.append(key)
        return get(self, key, *more)

    monkeypatch.setattr("lifeboat.erasure.register.load_erasure", noted)
    monkeypatch.setattr(Repository, "get_record", counted)
    config = parse({"cluster": "main", "repositories": [{"type": "directory", "path": str(tmp_path)}]})
    with pytest.raises(ErasureFailed):
        read_register(config)
    assert len(read) == 1 and len(fetched) < 100


# --- histories --------------------------------------------------------------------------------------------------------


class Together(DirectoryStore):
    """Returns nothing until there are four concurrent requests."""

    barrier = threading.Barrier(4)

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        self.barrier.wait(timeout=20)
        return super().read(key, sha256, size)


def test_histories_are_read_several_at_a_time(repository: Repository, tmp_path: Path) -> None:
    for timeline in range(2, 10):
        text = "".join(f"{n}\t0/{n}000000\tno reason\n" for n in range(1, timeline))
        put(repository, LAYOUT.wal(SYSTEM, f"{timeline:08X}.history"), text.encode())
    found = read_histories(replace(repository, store=Together(DirectoryOptions(str(tmp_path)))), SYSTEM)
    assert set(found.texts) == found.unchecked == set(range(2, 10)) and not found.damaged


def test_a_history_is_far_only_from_the_last_sound_one(repository: Repository) -> None:
    first, second = 90_000, 180_000
    for timeline in (first, second, 400_000):
        put(repository, LAYOUT.wal(SYSTEM, f"{timeline:08X}.history"), b"1\t0/1000000\tno reason\n")
    put(repository, LAYOUT.wal(SYSTEM, "00000002.history"), b"junk")
    found = read_histories(repository, SYSTEM)
    assert set(found.texts) == {first, second} and set(found.damaged) == {2, 400_000}
    assert not asked(repository, LAYOUT.wal(SYSTEM, f"{400_000:08X}.history"))


def test_a_history_alone_costs_no_listing(repository: Repository) -> None:
    put_backup(repository, a_backup())
    for timeline in range(2, 60):
        put(repository, LAYOUT.wal(SYSTEM, f"{timeline:08X}.history"), b"1\t0/1000000\tno reason\n")
    for timeline in (1, 7):
        put(repository, LAYOUT.wal(SYSTEM, f"{timeline:08X}0000000000000003"), b"x")
    assert read_histories(repository, SYSTEM).stored == {1, 7}
    assert read_contents(repository, RetentionConfig()).latest == 7
    assert isinstance(repository.store, Counting)
    below = {key for key in repository.store.listed if key.startswith(LAYOUT.wal_root(SYSTEM))}
    assert below == {LAYOUT.wal_log(SYSTEM, timeline) for timeline in (1, 7)}
