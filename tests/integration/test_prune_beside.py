# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention during a backup, a sync or a restore that runs for days, and while a hold is placed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, List

import pytest
from lifeboat.backup import run as backup
from lifeboat.backup.run import BackupRequest
from lifeboat.base import clock
from lifeboat.base.errors import BackupMissing, FilesVanished, PruneIncomplete
from lifeboat.base.progress import Silent
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.dump import make
from lifeboat.fileset.backup import backup_files
from lifeboat.repository.holds import set_hold
from lifeboat.repository.leases import reading, restores_under_way
from lifeboat.repository.repository import Repositories, Repository
from lifeboat.retention import prune
from lifeboat.store.directory.store import DirectoryStore
from lifeboat.store.protocol import DeleteFailure
from lifeboat.sync import run as sync_
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import until
from support.stores import keys
from support.walagent import all_archived

pytestmark = pytest.mark.integration

NOTHING = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
           "settle_hours": 0}  # fmt: skip
ALL = ("share", "age", "restore", "clock")


class At(Silent):
    """Run an action once, when a phase with these words starts."""

    def __init__(self, words: str, what: Callable[[], object]) -> None:
        self._words, self._what, self.done = words, what, False

    def phase(self, name: str) -> None:
        if self._words in name and not self.done:
            self.done = True
            self._what()


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """A cluster with a tablespace that archives into a directory."""
    made = sites(newest_postgres, segment_mb=1, track_commit_timestamp="on", options={"retention": NOTHING})
    (tmp_path / "space").mkdir()
    made.cluster.execute(f"CREATE TABLESPACE space LOCATION '{tmp_path / 'space'}'")
    made.cluster.execute("CREATE TABLE wide TABLESPACE space AS SELECT generate_series(1, 1000) AS n")
    return made


@pytest.fixture
def repository(site: Site) -> Iterator[Repository]:
    repositories = Repositories.open(site.config)
    yield repositories.items[0]
    repositories.close()


def age(root: Path, below: str, hours: float) -> List[Path]:
    """Backdate these objects by this much."""
    old, found = (clock.now() - timedelta(hours=hours)).timestamp(), [p for p in root.glob(below) if p.is_file()]
    for path in found:
        os.utime(path, (old, old))
    return found


def test_a_backup_that_runs_for_days_keeps_its_files(site: Site, tmp_path: Path) -> None:
    """Its first archives are older than any grace when the last one is finished."""
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(3)

    def days_later() -> None:
        newest = max(p.name for p in (site.repository_dir / "backups").iterdir())
        assert len(age(site.repository_dir, f"backups/{newest}/*", 90)) == 3
        site.lifeboat("prune", "--allow", "share")

    at = At("wait for WAL", days_later)
    made = backup.apply(site.config, backup.plan(site.config, BackupRequest()), at).manifest
    assert at.done and site.lifeboat("verify", made.label).data["intact"]
    site.cluster.switch_wal()
    clone = site.clone("clone")
    mapped = ("--tablespace", f"{tmp_path / 'space'}={tmp_path / 'elsewhere'}")
    site.lifeboat(*restore_arguments(clone, "--label", made.label, *mapped))
    assert rows(clone) == expected(ledger.entries)
    # Once it has ended it is believed no more: what is left of one that broke goes.
    broken = site.repository_dir / "backups" / made.label
    (broken / "manifest.json").unlink()
    age(site.repository_dir, f"backups/{made.label}/*", 90)
    site.lifeboat("prune", "--allow", "share")
    assert not broken.exists()


def test_nothing_gets_a_record_whose_files_are_gone(site: Site, s3_options: S3Options, tmp_path: Path) -> None:
    """A backup in S3, a dump and a file set: the removal of an object is reported, whoever removed it."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file").write_text("text")
    site.repositories.append(entry(1, s3_options))
    site.write(file_sets=[{"name": "set", "paths": [str(tmp_path / "set")]}])
    store = Repositories.open(site.config).items[1].store

    def remove(end: str) -> Callable[[], object]:
        return lambda: store.delete([info.key for info in store.list("main/") if info.key.endswith(end)])

    with pytest.raises(FilesVanished, match=r"base\.tar\.zst is gone") as told:
        backup.apply(site.config, backup.plan(site.config, BackupRequest()), At("wait for WAL", remove("base.tar.zst")))
    assert "repo1" in told.value.message
    planned = make.plan(site.config, make.DumpsRequest(("postgres",)))
    with pytest.raises(FilesVanished, match=r"globals\.sql\.zst is gone"):
        make.apply(site.config, planned, At("read back", remove("globals.sql.zst")))
    assert not [key for found in keys(site.config).values() for key in found if key.endswith("/manifest.json")]
    backup_files(site.config, "set")
    assert len([key for key in keys(site.config)["repo1"] if key.endswith("/manifest.json")]) == 1
    store.close()


def test_a_sync_that_runs_for_days_keeps_what_it_brought(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    (tmp_path / "far").mkdir()
    site.repositories.append({**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False})
    site.write()
    far = tmp_path / "far" / "main"

    class Slow(Silent):
        def advance(self, done: int, total: int | None = None) -> None:
            """After each object, those before it are old."""
            if age(far, f"backups/{label}/*", 90):
                prune.apply(site.config, ALL)

    (done,) = sync_.apply(site.config, progress=Slow())[1]
    assert done.whole and sorted(p.name for p in (far / "backups" / label).iterdir()) == sorted(
        p.name for p in (site.repository_dir / "backups" / label).iterdir()
    )

    class Removes(Silent):
        def advance(self, done: int, total: int | None = None) -> None:
            """Somebody else's rule removes it during the sync."""
            (far / "backups" / label / "base.tar.zst").unlink(missing_ok=True)

    for path in (far / "backups" / label).iterdir():
        path.unlink()
    (done,) = sync_.apply(site.config, progress=Removes())[1]
    assert [f.key for f in done.failed] == [f"main/backups/{label}/manifest.json"]
    assert "base.tar.zst" in done.failed[0].error.message


def test_a_hold_counts_until_its_backup_goes(site: Site, repository: Repository) -> None:
    """Held after the plan was made: it stays, with its parent and its WAL."""
    first, second = (site.backup()["label"] for _ in range(2))
    site.cluster.switch_wal()
    site.backup()
    before = keys(site.config)["repo0"]
    held = At(": remove", lambda: set_hold(repository, first, True, "legal hold 7", "counsel"))
    with pytest.raises(PruneIncomplete, match=f"{first} .* was held after the plan was made: legal hold 7") as told:
        prune.apply(site.config, ALL, held)
    assert told.value.details == {"removed": 1, "held": first}
    left = keys(site.config)["repo0"]
    assert set(before) - set(left) == {f"main/backups/{second}/manifest.json"}
    site.lifeboat("prune", "--allow", "share")
    assert site.lifeboat("verify", first).data["intact"]
    assert [b["label"] for b in site.lifeboat("list").data["backups"] if b["held"]] == [first]


def test_a_hold_between_the_last_look_and_the_removal_counts_too(
    site: Site, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.backup()["label"]
    site.cluster.switch_wal()
    site.backup()
    delete, manifest = DirectoryStore.delete, repository.layout.manifest(first)

    def hold_first(self: DirectoryStore, names: Iterable[str]) -> List[DeleteFailure]:
        names = list(names)
        if manifest in names:
            monkeypatch.setattr(DirectoryStore, "delete", delete)
            assert set_hold(repository, first, True, "legal hold 8", "counsel")
        return delete(self, names)

    monkeypatch.setattr(DirectoryStore, "delete", hold_first)
    with pytest.raises(PruneIncomplete, match=f"{first} .* was held after the plan was made: legal hold 8"):
        prune.apply(site.config, ALL)
    assert site.lifeboat("verify", first).data["intact"]
    assert [b["label"] for b in site.lifeboat("list").data["backups"] if b["held"]] == [first]


def test_a_restore_that_begins_after_the_plan_ends_the_removal(site: Site, repository: Repository) -> None:
    first = site.backup()["label"]
    site.cluster.switch_wal()
    site.backup()
    before = keys(site.config)["repo0"]
    with ExitStack() as stack:
        begun = At(": remove", lambda: stack.enter_context(reading(repository, first)))
        with pytest.raises(PruneIncomplete, match=r"A restore from .* began after the plan was made") as told:
            prune.apply(site.config, ("share", "age", "clock"), begun)
        assert told.value.details["removed"] == 0
    assert set(before) <= set(keys(site.config)["repo0"])


def test_a_timeline_without_its_history_keeps_the_one_before(site: Site, repository: Repository) -> None:
    first, cluster = site.backup()["label"], site.cluster
    cluster.switch_wal()
    cluster.stop()
    # Recovery finds no more WAL, and begins another timeline.
    cluster.configure({"restore_command": "false"})
    (cluster.data_dir / "recovery.signal").touch()
    cluster.start()
    until(lambda: not cluster.value("SELECT pg_is_in_recovery()"), "the new timeline")
    # A timeline counts as left only if its last WAL was stored before a backup of the next one began.
    all_archived(site)
    second = site.backup()["label"]
    (history,) = site.repository_dir.glob("wal/*/00000002.history")
    digests = list(site.repository_dir.glob("wal/**/*00000002.history*"))
    kept = {path: path.read_bytes() for path in {history, *digests}}

    def planned() -> Any:
        return site.lifeboat("prune", "--plan", status=None).data["repositories"][0]

    # The window of this very second still begins at the first backup.
    until(lambda: first in str(planned()["removals"]), "the first backup is not needed")
    for path in kept:
        path.unlink()
    without = planned()
    assert without["removals"] == [] and "the history of timeline 2 is missing" in str(without)
    assert {first, second} <= set(without["kept"])
    for path, content in kept.items():
        path.write_bytes(content)
    assert first in str(planned()["removals"])


def test_a_hold_that_comes_too_late_is_refused(
    site: Site, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = site.backup()["label"]
    put = Repository.put_record

    def removed_meanwhile(self: Repository, key: str, record: object) -> None:
        repository.store.delete([repository.layout.manifest(label)])
        put(self, key, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "put_record", removed_meanwhile)
    with pytest.raises(BackupMissing, match="removed before the hold was stored"):
        set_hold(repository, label, True, "legal hold 7", "counsel")


def test_a_restore_is_believed_for_as_long_as_it_runs(repository: Repository, site: Site) -> None:
    """A restore of two days renews its lease. The lease of a killed one counts for a day."""
    label = site.backup()["label"]
    home = site.repository_dir
    with reading(repository, label, every=timedelta(milliseconds=5)):
        until(lambda: list(home.glob("restores/*/held-*")), "the first renewal")
        age(home, "restores/*/begun", 47)
        assert [words.split()[0] for words in restores_under_way(repository, clock.now())] == [label]
    assert restores_under_way(repository, clock.now()) == []
    # What is told of all of it goes together, two days after the last word.
    age(home, "restores/*/*", 47)
    next(home.glob("restores/*/ended")).unlink()
    assert restores_under_way(repository, clock.now()) == []
    last = max(home.glob("restores/*/held-*"))
    os.utime(last)
    assert [words.split()[0] for words in restores_under_way(repository, clock.now())] == [label]
    age(home, "restores/*/*", 73)
    os.utime(last)
    assert not [r for r in prune.plan(site.config)[0].plan.removals if "/restores/" in r.key]
    age(home, "restores/*/*", 73)
    told = {r.key for r in prune.plan(site.config)[0].plan.removals if "/restores/" in r.key}
    assert told == {str(p.relative_to(home.parent)) for p in home.glob("restores/*/*")}


def test_leftovers_of_crashed_writers_are_removed(site: Site, repository: Repository) -> None:
    site.backup()
    # Its archiver writes there too.
    site.cluster.stop()
    temp = site.repository_dir.parent / ".tmp"
    for name, hours in (("0" * 32, 90), ("1" * 32, 1)):
        (temp / name).write_bytes(b"half")
        age(temp, name, hours)
    with repository.store.writer("main/running") as running:
        running.write(b"1")
        (theirs,) = set(os.listdir(temp)) - {"0" * 32, "1" * 32}
        age(temp, theirs, 90)
        planned = site.lifeboat("prune", "--plan").data["repositories"][0]
        assert [u["key"] for u in planned["uploads"]] == [f".tmp/{'0' * 32}"]
        site.lifeboat("prune")
        assert set(os.listdir(temp)) == {"1" * 32, theirs}
