# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged, exchanged or removed objects of every kind are found, and repaired if another repository has them."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, List, Optional, Set, Tuple

import pytest
from lifeboat.base import clock
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.records.model import format_time, seal_record
from lifeboat.repository.repository import Repositories
from lifeboat.repository.restore_tests import store_report
from lifeboat.store import open_store
from support.age import make_key, needs_age
from support.installations import Installation
from support.lost import flip
from support.postgres import Ran, Site, Sites, entry, restore_arguments
from support.processes import run_program

pytestmark = pytest.mark.integration
HOUR = 3600.0


@dataclass
class Yard:
    """Copies of two repositories with one object of each kind; the server is stopped."""

    site: Site
    near: Path
    far: Path
    config_file: Path

    def verify(self, *arguments: str, status: Optional[int] = 1) -> Any:
        return self.site.lifeboat("verify", *arguments, status=status, config_file=self.config_file).data

    def run(self, *arguments: str, status: int = 0) -> Ran:
        return self.site.lifeboat(*arguments, status=status, config_file=self.config_file)

    def only_near(self) -> None:
        """Without the other repository."""
        self.site.write(self.config_file, repositories=[entry(0, DirectoryOptions(str(self.near)))])

    def one(self, pattern: str) -> Path:
        """The only object of the near repository that matches."""
        (found,) = self.near.glob(f"main/{pattern}")
        return found

    def key(self, path: Path) -> str:
        return str(path.relative_to(self.near))


@pytest.fixture(scope="module")
def loaded(newest_postgres: Installation, module_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two backups on two timelines, a hold, an erasure, a report, a dump, a copy of a file set, in two repositories."""
    root = tmp_path_factory.mktemp("loaded")
    for name in ("near", "far", "notes"):
        (root / name).mkdir()
    (root / "notes" / "a").write_bytes(os.urandom(5000))
    site = module_sites(
        newest_postgres, *(DirectoryOptions(str(root / name)) for name in ("near", "far")), segment_mb=1,
        options={
            "file_sets": [{"name": "notes", "paths": [str(root / "notes")]}], "audit": {"file": "", "syslog": ""},
        },
    )  # fmt: skip
    site.cluster.execute("CREATE TABLE people (id int)")
    label = site.backup()["label"]
    site.lifeboat("hold", label, "--reason", "evidence")
    command = f'"{site.command}" --config "{site.config_file}" --json erasure add --table people --column id'
    done = run_program("sh", "-c", f"echo 7 | {command}")
    assert json.loads(done)["changed"]
    site.lifeboat("dump", "create", "postgres")
    site.lifeboat("files", "backup", "notes")
    site.cluster.switch_wal()
    site.cluster.stop()
    (site.cluster.data_dir / "standby.signal").touch()
    site.cluster.start()
    site.cluster.pg_ctl("promote", "-w")
    site.cluster.switch_wal()
    site.backup()
    site.cluster.switch_wal()
    site.cluster.stop()
    repositories = Repositories.open(site.config)
    for repository in repositories.items:
        store_report(repository, {"format": 1, "label": label, "proven": True, "ended_at": "2026-11-22T00:00:00Z"})
    repositories.close()
    return site


@pytest.fixture
def yard(loaded: Site, tmp_path: Path) -> Yard:
    """Everything is older than what may still be unfinished."""
    for number, name in enumerate(("near", "far")):
        shutil.copytree(loaded.repositories[number]["path"], tmp_path / name)
        then = time.time() - HOUR
        for path in (tmp_path / name).rglob("*"):
            os.utime(path, (then, then))
    near, far = tmp_path / "near", tmp_path / "far"
    stores = [entry(number, DirectoryOptions(str(path))) for number, path in enumerate((near, far))]
    return Yard(loaded, near, far, loaded.write(tmp_path / "lifeboat.yml", repositories=stores))


def found(data: Any) -> Set[Tuple[str, str]]:
    return {(f["repository"], f["key"]) for f in data["findings"]}


def test_an_intact_repository_has_no_findings(yard: Yard) -> None:
    for _ in range(2):
        data = yard.verify(status=0)
        assert data["intact"] and data["foreign"] == {} and data["histories_without_digest"] == []
    # What lies there from before there were digests is intact, and told.
    for root in (yard.near, yard.far):
        for path in root.glob("main/wal/*/sha256/*.history"):
            path.unlink()
    data = yard.verify("--all", status=0)
    told = [key.rsplit("/", 1)[-1] for key in data["histories_without_digest"]]
    assert data["intact"] and told == ["00000002.history"]


# What is looked at in the repository, and what lies there.
OBJECTS = [
    "repository.json", "systems/*.json", "holds/*/*.json", "erasures/*.json", "restore_tests/*.json",
    "wal/*/*.history", "wal/*/sha256/*.history", "wal/*/00000001/*/*.backup.zst", "wal/*/00000002/*/*.backup.zst",
    "files/*/*/manifest.json", "dumps/*/*/manifest.json",
]  # fmt: skip


@pytest.mark.parametrize("pattern", OBJECTS)
def test_one_flipped_bit_is_found_and_healed(yard: Yard, pattern: str) -> None:
    path = yard.one(pattern)
    good = path.read_bytes()
    flip(path)
    wanted = yard.key(path)
    if "sha256" in pattern:
        # A digest that is none tells of the history that it does not fit.
        wanted = wanted.replace("sha256/", "")
    assert ("repo0", wanted) in found(yard.verify())
    assert yard.verify("--repair", status=0)["intact"]
    assert_healed(path, good)


def assert_healed(path: Path, good: bytes) -> None:
    """It is unchanged, or, for records that each repository has of its own, the other one's."""
    if path.parts[-3] == "holds":
        (path,) = path.parent.glob("*.json")
    if path.parent.name == "restore_tests":
        (path,) = path.parent.glob("*.json")
    if path.suffix != ".json" or path.name == "manifest.json":
        assert path.read_bytes() == good
    else:
        now, before = json.loads(path.read_bytes()), json.loads(good)
        own = ("sha256", "created_at", "at")
        assert {k: v for k, v in now.items() if k not in own} == {k: v for k, v in before.items() if k not in own}


# A .backup file is no more than a note for people: recovery needs none.
@pytest.mark.parametrize("pattern", [name for name in OBJECTS if not name.endswith(".backup.zst")])
def test_deleted_objects_are_found_and_healed(yard: Yard, pattern: str) -> None:
    path = yard.one(pattern)
    good = path.read_bytes()
    path.unlink()
    told = {(repository, Path(key).parent) for repository, key in found(yard.verify())}
    assert ("repo0", Path(yard.key(path)).parent) in told
    assert yard.verify("--repair", status=0)["intact"]
    assert_healed(path, good)


ALONE = [
    "repository.json", "systems/*.json", "holds/*/*.json", "erasures/*.json", "files/*/*", "dumps/*/*",
    "backups/*-full",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ALONE)
def test_backups_in_the_audit_trail_are_missed_without_another_repository(yard: Yard, pattern: str) -> None:
    yard.only_near()
    path = sorted(yard.near.glob(f"main/{pattern}"))[-1]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (finding,) = [f for f in yard.verify()["findings"] if f["error_code"] == "object_missing"]
    assert "repository" in finding["message"]
    if pattern not in ("repository.json", "systems/*.json"):
        assert "audit trail" in finding["message"] and finding["details"]["number"] > 0
        # Whoever removed it himself says so.
        name = finding["hint"].rsplit(" ", 1)[-1]
        yard.run("audit", "note", "prune", "--object", name)
        if path.is_dir():
            assert yard.verify(status=0)["intact"]


def test_records_that_were_exchanged_are_found(yard: Yard) -> None:
    path = yard.one("holds/*/*.json")
    moved = path.with_name("20260101T000000Z-held-00000000.json")
    path.rename(moved)
    assert ("repo0", yard.key(moved)) in found(yard.verify())
    copy = yard.one("files/*/*/manifest.json")
    other = copy.parent.with_name("20260101T000000Z-files")
    shutil.copytree(copy.parent, other)
    assert ("repo0", yard.key(other / "manifest.json")) in found(yard.verify())


def test_files_without_a_record_are_reported_when_no_writer_can_be_running(yard: Yard) -> None:
    yard.only_near()
    record = yard.one("files/*/*/manifest.json")
    planted = record.parent.with_name("20260101T000000Z-files")
    planted.mkdir()
    shutil.copy(record.with_name("data.tar.zst"), planted)
    assert yard.verify(status=0)["intact"]
    long_ago = time.time() - 25 * HOUR
    os.utime(planted / "data.tar.zst", (long_ago, long_ago))
    assert found(yard.verify()) == {("repo0", yard.key(planted / "manifest.json"))}


def test_a_history_without_a_digest_is_held_against_the_wal_of_its_timeline(yard: Yard) -> None:
    yard.only_near()
    history = yard.one("wal/*/*.history")
    yard.one("wal/*/sha256/*.history").unlink()
    timeline, switch, reason = history.read_text().strip().split("\t")
    high, low = switch.split("/")
    history.write_text(f"{timeline}\t{high}/{int(low, 16) + 64 * 2**20:X}\t{reason}\n")
    # A backup that ended before its timeline began is not plausible either.
    data = yard.verify()
    (told,) = (f["message"] for f in data["findings"] if f["key"] == yard.key(history))
    assert "exists" in told and {k.split("/")[1] for _r, k in found(data)} <= {"wal", "backups"}
    history.write_text("1\t0/30000zz\tno recovery target specified\n")
    assert found(yard.verify()) == {("repo0", yard.key(history))}


def test_two_repositories_with_different_histories_are_reported(yard: Yard) -> None:
    for root in (yard.near, yard.far):
        (digest,) = root.glob("main/wal/*/sha256/*.history")
        digest.unlink()
    history = yard.one("wal/*/*.history")
    history.write_text(history.read_text().replace("\tno", "\tNo"))
    assert found(yard.verify()) == {("repo0", yard.key(history)), ("repo1", yard.key(history))}


def test_a_damaged_history_is_fetched_from_the_other_repository_and_stops_a_restore_from_one(yard: Yard) -> None:
    history = yard.one("wal/*/*.history")
    good = history.read_bytes()
    # One bit of the point at which the timeline began: it reads well, and is another one.
    switch = good.index(b"/") + 1
    history.write_bytes(good[:switch] + bytes([good[switch] ^ 1]) + good[switch + 1 :])
    target = yard.near.parent / "fetched"
    yard.site.lifeboat(
        "wal-fetch", "00000002.history", str(target), config_file=yard.config_file, cwd=yard.site.cluster.data_dir
    )
    assert target.read_bytes() == good
    yard.only_near()
    error = yard.run(*restore_arguments(yard.site.clone("refused")), "--plan", status=1).error
    assert error["error_code"] == "object_corrupt" and "00000002.history" in error["message"]
    # A damaged one of which there is no WAL is somebody's, and stops nobody.
    history.write_bytes(good)
    history.with_name("000000FF.history").write_bytes(b"mine\n")
    assert not yard.run(*restore_arguments(yard.site.clone("planned")), "--plan").data["satisfied"]
    assert found(yard.verify()) == {("repo0", yard.key(history.with_name("000000FF.history")))}


def claim(root: Path, at: datetime, key_at: datetime, labels: List[str], wal: Any) -> None:
    """As somebody with the writer's keys stores it."""
    record = seal_record({"format": 1, "at": format_time(at), "labels": labels, "wal": wal})
    path = root / "main" / "verifications" / f"{key_at:%Y%m%dT%H%M%SZ}-00000000.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(record)


@pytest.mark.parametrize("year", [2099, 2027])
@pytest.mark.parametrize("told", ["in its record", "in its key too"])
def test_a_verification_of_the_future_is_none(yard: Yard, year: int, told: str) -> None:
    yard.only_near()
    first = yard.verify(status=0)
    (record,) = yard.near.glob("main/verifications/*.json")
    wal = json.loads(record.read_text())["wal"]
    record.unlink()
    damaged = sorted(yard.near.glob("main/backups/*/base.tar.zst"))[0]
    flip(damaged)
    future = clock.now().replace(year=year)
    claim(yard.near, future, future if "key" in told else clock.now(), first["labels"], wal)
    assert found(yard.verify()) == {("repo0", yard.key(damaged))}


def test_objects_put_after_a_verification_are_read(yard: Yard) -> None:
    yard.only_near()
    assert yard.verify(status=0)["intact"]
    base = sorted(yard.near.glob("main/backups/*/base.tar.zst"))[0]
    segment = sorted(yard.near.glob("main/wal/*/0*/*/*.zst"))[-1]
    for path in (base, segment):
        flip(path)
    # A bit that rots leaves no time: it is found when it is read again.
    for path in (base, segment):
        os.utime(path, (time.time() - HOUR, time.time() - HOUR))
    assert yard.verify(status=0)["intact"]
    for path in (base, segment):
        os.utime(path, (time.time() + 1, time.time() + 1))
    assert found(yard.verify()) == {("repo0", yard.key(base)), ("repo0", yard.key(segment))}


def test_foreign_objects_are_named_and_left_alone(yard: Yard) -> None:
    for name in ("README", "backups/notes.txt", "wal/1/x", "systems/mine.json", "wal/shell.php", "verifications/x"):
        path = yard.near / "main" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")
    data = yard.verify(status=0)
    keys = ["main/README", "main/backups/notes.txt", "main/systems/mine.json", "main/verifications/x", "main/wal/1/x"]
    assert data["foreign"] == {"repo0": {"count": 6, "keys": sorted([*keys, "main/wal/shell.php"])}}
    done = yard.site.lifeboat("check", status=None, config_file=yard.config_file)
    checks = {c["name"]: c for c in done.data["checks"]}
    told = checks["repository repo0: foreign objects"]
    assert told["status"] == "warning" and "6 objects" in told["message"] and "main/README" in told["message"]
    assert "ransomware.md" in told["hint"] and "repository repo1: foreign objects" not in checks
    assert (yard.near / "main" / "README").exists()


def test_a_bucket_is_examined_as_a_directory_is(
    loaded: Site, s3_options: S3Options, tmp_path: Path, yard: Yard
) -> None:
    store = open_store(s3_options)
    for path in sorted(p for p in yard.near.rglob("*") if p.is_file()):
        store.put(yard.key(path), path.read_bytes())
    alone = loaded.write(tmp_path / "bucket.yml", repositories=[entry(0, s3_options)])
    bucket = Yard(loaded, yard.near, yard.far, alone)
    assert bucket.verify(status=0)["intact"]
    lost = [yard.key(yard.one(p)) for p in ("systems/*.json", "erasures/*.json", "wal/*/*.history")]
    store.delete(lost)
    # Backups of a cluster that the repository does not know any more are not plausible.
    told = found(bucket.verify())
    assert {("repo0", key) for key in lost} <= told
    assert {key.split("/")[1] for _repository, key in told - {("repo0", key) for key in lost}} == {"backups"}
    store.close()


@needs_age
def test_digests_of_sealed_wal_are_held_against_what_the_identity_opens(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "identity")
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    site = sites(
        newest_postgres, *(DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")), segment_mb=1,
        options={"seal": {"recipients": [key.recipient], "identity_file": str(key.file)}},
    )  # fmt: skip
    site.backup()
    site.cluster.switch_wal()
    site.cluster.stop()
    assert site.lifeboat("verify").data["intact"]
    near = tmp_path / "near"
    # Of the segments that verification reads: the first ones are from before the backup.
    lost, wrong = sorted(p for p in near.glob("main/wal/*/sha256/*/*/*") if len(p.name) == 24)[-2:]
    good = lost.read_bytes(), wrong.read_bytes()
    lost.unlink()
    wrong.chmod(0o600)
    wrong.write_bytes(good[0].split()[0] + b"  " + good[1].split()[1] + b"\n")
    keys = {("repo0", str(path.relative_to(near))) for path in (lost, wrong)}
    assert found(site.lifeboat("verify", status=1).data) == {("repo0", str(lost.relative_to(near)))}
    assert found(site.lifeboat("verify", "--all", status=1).data) == keys
    data = site.lifeboat("verify", "--all", "--repair").data
    assert data["intact"] and (lost.read_bytes(), wrong.read_bytes()) == good
