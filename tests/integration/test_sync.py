# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that was added, unavailable or emptied is completed from another one, and restores as well as it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lifeboat.codec import zstd
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.layout import wal_name
from lifeboat.repository.repository import Repositories
from lifeboat.store.protocol import Store
from lifeboat.wal.fetch import MAX_WAL_FILE
from support.age import make_key, needs_age
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import run_program
from support.stores import keys

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster in one S3 repository, with a directory that is not in the configuration yet."""
    (tmp_path / "far").mkdir()
    made = sites(
        newest_postgres, s3_options, segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={"file_sets": [{"name": "notes", "paths": [str(tmp_path / "notes")]}]},
    )  # fmt: skip
    (tmp_path / "notes").write_text("kept")
    return made


def both(site: Site, tmp_path: Path, **more: Any) -> None:
    far = {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}
    site.repositories = [site.repositories[0], far]
    site.write(**more)


def only(ran: Any) -> Dict[str, Any]:
    (found,) = ran.data["repositories"]
    return dict(found)


def test_a_new_repository_gets_everything_and_restores_alone(site: Site, tmp_path: Path) -> None:
    ledger = Ledger(site.cluster)
    full = site.backup()["label"]
    ledger.write(3)
    last = site.backup("--type", "incremental")["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    site.lifeboat("files", "backup", "notes")
    site.lifeboat("hold", full, "--reason", "a trial")
    both(site, tmp_path)
    far = tmp_path / "far"

    told = only(site.lifeboat("sync", "--plan"))
    assert told["copied"] == 0 and told["lacking"] > 0 and not list(far.glob("main/**/*"))
    assert told["lacking_of"][f"backup {last}"] == 3 and told["lacking_of"]["hold"] == 1
    done = only(site.lifeboat("sync"))
    assert (done["copied"], done["bytes"]) == (told["lacking"], told["lacking_bytes"])
    assert sorted(keys(site.config)["repo1"]) == sorted(keys(site.config)["repo0"])
    again = site.lifeboat("sync")
    assert not again.data["changed"] and only(again)["copied"] == 0
    assert site.lifeboat("verify").data["intact"]

    # The far one alone: to the latest moment, and a file set.
    alone = site.write(site.root / "alone.yml", repositories=[{**site.repositories[1], "required": True}])
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone), config_file=alone)
    assert rows(clone) == expected(ledger.entries)
    (tmp_path / "notes").unlink()
    site.lifeboat("files", "restore", "notes", config_file=alone)
    assert (tmp_path / "notes").read_text() == "kept"

    # What the near one lacks comes back from there, here the restores' events: names are compared, both ways work.
    words = run_program(str(site.command), "--config", str(site.config_file), "sync", "--from", "repo1", "--plan")
    assert "from repo1" in words and "2 objects are missing" in words and "2 of audit" in words


def test_damaged_objects_are_not_copied_and_conflicts_are_left_alone(site: Site, tmp_path: Path) -> None:
    site.repositories = [entry(0, DirectoryOptions(str(tmp_path / "near")))]
    (tmp_path / "near").mkdir()
    site.write()
    labels = [site.backup()["label"] for _ in range(2)]
    both(site, tmp_path)
    near, far = tmp_path / "near" / "main", tmp_path / "far" / "main"
    flip(near / "backups" / labels[0] / "base.tar.zst")
    segment = sorted(near.glob("wal/*/00000001/*/*.zst"))[0]
    flip(segment)

    done = only(site.lifeboat("sync", status=1))
    failed = {f["key"]: f["error_code"] for f in done["failed"]}
    assert failed == {
        f"main/backups/{labels[0]}/base.tar.zst": "object_corrupt",
        str(segment.relative_to(tmp_path / "near")): "object_corrupt",
    }
    # No record, so no backup; the other one is whole.
    assert not (far / "backups" / labels[0] / "manifest.json").exists()
    assert (far / "backups" / labels[1] / "manifest.json").exists()

    # The damaged one is mended by hand; the next run goes on.
    flip(near / "backups" / labels[0] / "base.tar.zst")
    flip(segment)
    assert only(site.lifeboat("sync"))["failed"] == []
    (far / "backups" / labels[1] / "base.tar.zst").chmod(0o600)
    (far / "backups" / labels[1] / "base.tar.zst").write_bytes(b"something else")
    done = only(site.lifeboat("sync", status=1))
    assert done["conflicts"] == [f"main/backups/{labels[1]}/base.tar.zst"] and done["copied"] == 0


def test_a_backup_gets_no_record_where_its_wal_could_not_be_copied(site: Site, tmp_path: Path) -> None:
    site.repositories = [entry(0, DirectoryOptions(str(tmp_path / "near")))]
    (tmp_path / "near").mkdir()
    site.write()
    label = site.backup()["label"]
    both(site, tmp_path)
    near, far = tmp_path / "near" / "main", tmp_path / "far" / "main"
    segment, record = max(near.glob("wal/*/00000001/*/*.zst")), far / "backups" / label / "manifest.json"
    flip(segment)
    failed = {f["key"]: f["error_code"] for f in only(site.lifeboat("sync", status=1))["failed"]}
    assert failed == {
        str(segment.relative_to(tmp_path / "near")): "object_corrupt",
        f"main/backups/{label}/manifest.json": "wal_gap",
    }
    assert not record.exists()
    flip(segment)
    assert only(site.lifeboat("sync"))["failed"] == [] and record.exists()


def test_a_copy_may_lag_within_its_configured_limit(site: Site, tmp_path: Path) -> None:
    site.backup()
    both(site, tmp_path, objectives={"rpo": 60})
    site.lifeboat("sync")
    Ledger(site.cluster).write(1)
    site.cluster.switch_wal()

    def window() -> Dict[str, Any]:
        found = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}
        return dict(found["repository repo1: window"])

    # Not the RPO: the near one keeps that.
    assert window()["status"] == "ok"
    site.repositories[1]["max_lag"] = 0.001
    site.write(objectives={"rpo": 60})
    told = window()
    assert told["status"] == "warning" and "more than its max_lag of 0.001 s" in told["message"]
    assert "lifeboat sync" in told["hint"]


def test_the_hints_restore_what_the_first_repository_lost(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    """The first available one would be the source, and the target lacks nothing that it has."""
    stores = [tmp_path / name for name in ("near", "far")]
    for store in stores:
        store.mkdir()
    site = sites(newest_postgres, *(DirectoryOptions(str(store)) for store in stores), segment_mb=1)
    label = site.backup()["label"]
    for _ in range(4):
        site.cluster.switch_wal()
    segments = sorted(p for p in site.repository_dir.glob("wal/*/*/*/*.zst") if len(p.stem) == 24)
    plan = restore_arguments(site.clone("clone"), "--plan")

    def advised(words: str) -> List[str]:
        found = re.search(r"lifeboat (sync(?: --\w+ \w+)+|verify --repair)", words)
        assert found, words
        return found.group(1).split()

    def hints(command: str, part: str) -> Iterator[str]:
        data = site.lifeboat(command, status=None).data
        yield from (f["hint"] for f in data.get("checks", data.get("findings", [])) if part in f["message"])

    base = next((site.repository_dir / "backups" / label).glob("base.tar*"))
    for lost, command, part in (
        (segments[-2], "restore", ""),
        (segments[-2], "check", "is missing"),
        (segments[-1], "check", "were archived"),
        (segments[-1], "verify", "recorded there as archived"),
        (segments[-2], "verify", "which has later ones"),
        (base, "restore", ""),
        (base, "verify", "does not exist"),
        (base.with_name("manifest.json"), "restore", ""),
    ):
        lost.unlink()
        hint = site.lifeboat(*plan, status=1).error["hint"] if command == "restore" else next(hints(command, part))
        site.lifeboat(*advised(hint))
        assert lost.exists(), (command, part, hint)
        site.lifeboat(*plan)


def test_repositories_that_do_not_belong_together(
    site: Site, newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    site.backup()
    other = sites(newest_postgres, DirectoryOptions(str(tmp_path / "far")), fresh=True, segment_mb=1)
    other.backup()
    both(site, tmp_path)
    done = only(site.lifeboat("sync", status=1))
    assert done["error"]["error_code"] == "repository_foreign" and done["copied"] == 0
    assert site.lifeboat("sync", "--from", "nowhere", status=1).error["error_code"] == "config_invalid"
    shutil.rmtree(tmp_path / "far")
    assert only(site.lifeboat("sync", status=1))["error"]["error_code"] == "bucket_missing"


def test_other_wal_under_the_same_name_is_reported_and_left(site: Site, s3_options: S3Options, tmp_path: Path) -> None:
    """As after a split brain. Compressed differently it is the same; the listing of a directory shows only sizes."""
    for _ in range(2):
        site.cluster.switch_wal()
    elsewhere = entry(1, replace(s3_options, prefix=f"{s3_options.prefix}-elsewhere"))
    far = entry(2, DirectoryOptions(str(tmp_path / "far")))
    site.repositories = [site.repositories[0], *({**r, "required": False} for r in (elsewhere, far))]
    site.write()
    assert all(found["copied"] for found in site.lifeboat("sync").data["repositories"])
    repositories = Repositories.open(site.config)
    stores = [repository.store for repository in repositories.items]
    names = sorted(i.key for i in stores[0].list("main/wal/") if kind_of("main", i.key).segment)
    first, second = names[0], names[1]
    content = zstd.decompress(stores[0].get(first), first, MAX_WAL_FILE)

    def put(key: str, data: bytes, *where: Store) -> None:
        for store in where:
            store.delete([key])
            store.put(key, data)

    # The same content in other bytes, and, of the same size, other content.
    put(first, zstd.compress(content, 19), *stores[1:])
    other = bytearray(stores[0].get(second))
    put(second, zstd.compress(bytes(len(content) - 1) + b"1", 3), stores[2])
    other[-1] ^= 1
    put(second, bytes(other), stores[1])
    before = {key: [store.get(key) for store in stores] for key in names}
    told = [found["conflicts"] for found in site.lifeboat("sync", status=1).data["repositories"]]
    assert told == [[second], [second]]
    assert before == {key: [store.get(key) for store in stores] for key in names}
    repositories.close()


@needs_age
def test_different_sealed_wal_is_recognized_by_its_digest(site: Site, s3_options: S3Options, tmp_path: Path) -> None:
    """Syncing does not require the identity: sealing produces different bytes each time."""
    identity = make_key(tmp_path / "identity")
    site.write(seal={"recipients": [identity.recipient]})
    for _ in range(2):
        site.cluster.switch_wal()
    elsewhere = {**entry(1, replace(s3_options, prefix=f"{s3_options.prefix}-elsewhere")), "required": False}
    site.repositories = [site.repositories[0], elsewhere]
    site.write(seal={"recipients": [identity.recipient]})
    assert only(site.lifeboat("sync"))["copied"]
    repositories = Repositories.open(site.config)
    near, far = (repository.store for repository in repositories.items)
    sealed = sorted(i.key for i in near.list("main/wal/") if i.key.endswith(".zst.age"))
    # Sealed once more it is the same; under another digest it is not.
    for key in sealed[:2]:
        far.delete([key])
        far.put(key, near.get(key)[:-1] + b"?")
    assert only(site.lifeboat("sync"))["conflicts"] == []
    layout = repositories.items[0].layout
    system = kind_of("main", sealed[1]).owner
    digest = layout.wal_digest(system, wal_name(sealed[1]))
    line = far.get(digest)
    far.delete([digest])
    far.put(digest, b"0" * 64 + line[64:])
    assert only(site.lifeboat("sync", status=1))["conflicts"] == [sealed[1], digest]
    repositories.close()
