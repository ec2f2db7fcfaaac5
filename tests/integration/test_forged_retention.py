# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged records beside real backups: retention removes no real backup, and sync spreads no forged one."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, Set

import pytest
from lifeboat.base import clock
from lifeboat.base.errors import LifeboatError
from lifeboat.config.load import Config, DirectoryOptions, S3Options
from lifeboat.provision import bucket as buckets
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.records.model import FORMAT, BackupManifest, format_time
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.dumps import list_dumps
from lifeboat.repository.file_sets import list_files
from lifeboat.repository.labels import make_label
from lifeboat.repository.repository import Repositories, Repository
from lifeboat.retention import prune
from lifeboat.retention.prune import Pruned
from lifeboat.sync import run as sync
from support.choice import represented
from support.identities import identities
from support.installations import Installation
from support.postgres import Site, Sites, entry
from support.stores import SeaweedFS, keys, s3_options_for

pytestmark = pytest.mark.integration

# Nothing stays for its age, and nothing has to settle: only what is strong decides.
HARSH = {
    "full_days": 0, "wal_days": 0, "dump_days": 0, "file_set_days": 0, "keep_last": 1, "settle_hours": 0,
    "max_share": 100, "grace_hours": 1,
}  # fmt: skip
DAY = {"full_days": 1, "wal_days": 1, "dump_days": 1, "file_set_days": 1}
OTHER = "7000000000000000007"
LIFTED = ("share", "age", "clock")


def bucket(seaweedfs: SeaweedFS, lock: str | None, path: Path) -> Dict[str, S3Options]:
    """A bucket with the identities of the role: its options by each of them."""
    admin = replace(s3_options_for(seaweedfs, f"forged-{secrets.token_hex(4)}", "team"), object_lock=lock)
    buckets.apply(BucketRequest(admin, identities=identities(admin), credentials_file=str(path)))
    found = {name: with_credentials(admin, key) for name, key in read_credentials(str(path)).items()}
    return {name: options for name, options in found.items() if options}


@pytest.fixture(params=["bucket", "locked", "directory"])
def by(request: pytest.FixtureRequest, seaweedfs: SeaweedFS, tmp_path: Path) -> Dict[str, Any]:
    """The store by its identities; a directory has only one."""
    if request.param == "directory":
        (tmp_path / "near").mkdir()
        return dict.fromkeys(("writer", "janitor"), DirectoryOptions(str(tmp_path / "near")))
    return dict(bucket(seaweedfs, "governance" if request.param == "locked" else None, tmp_path / "keys.json"))


@pytest.fixture
def site(by: Dict[str, Any], newest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """Two backups, the older one held, a copy of a file set and a dump, all minutes old, stored by the writer."""
    (tmp_path / "notes").write_text("kept" * 1000)
    site = sites(
        newest_postgres, by["writer"], segment_mb=1,
        options={"retention": DAY, "audit": {"file": "", "syslog": ""},
                 "file_sets": [{"name": "notes", "paths": [str(tmp_path / "notes")]}]},
    )  # fmt: skip
    held = site.backup()["label"]
    site.lifeboat("hold", held, "--reason", "legal hold 7")
    site.lifeboat("files", "backup", "notes")
    site.lifeboat("dump", "create", "postgres")
    site.backup()
    site.cluster.stop()
    return site


def identity(site: Site, options: Any, **retention: Any) -> Config:
    """The configuration of another identity."""
    site.repositories = [entry(0, options), *site.repositories[1:]]
    site.write(retention={**HARSH, **retention})
    return site.config


def put_backup(repository: Repository, backup: BackupManifest, key: str = "", files: bool = False) -> None:
    label = key or backup.label
    for file in backup.files if files else ():
        repository.store.put(repository.layout.backup(label, file.name), bytes(file.size))
    repository.put_record(repository.layout.manifest(label), backup.as_dict())


def dated(backup: BackupManifest, minutes: float, **more: Any) -> BackupManifest:
    """The same, started this many minutes in the future: as far as clocks may differ."""
    began = (clock.now() + timedelta(minutes=minutes)).replace(microsecond=0)
    times = {"label": make_label(began, "full"), "started_at": began, "finished_at": began + timedelta(seconds=30)}
    return replace(backup, **{**times, **more})


def forge(config: Config, release: bool = True) -> None:
    """Everything that may make retention believe that real backups were replaced."""
    repositories = Repositories.open(config)
    (repository,) = repositories.items[:1]
    real = load_catalog(repository).backups
    newest, now = real[-1], clock.now()
    small = tuple(replace(f, size=64, sha256=hashlib.sha256(bytes(64)).hexdigest()) for f in newest.files)
    # Newer ones without files, one that is whole but tiny, one from before the window, one that is never old.
    for minutes in (1, 2):
        put_backup(repository, dated(newest, minutes))
    put_backup(repository, dated(newest, 3, files=small), files=True)
    put_backup(repository, dated(newest, -60 * 24 * 30, files=small), files=True)
    put_backup(repository, dated(newest, 4, finished_at=now.replace(year=2999)))
    # The record of a real one under another key, from long ago.
    for number, backup in enumerate(real):
        began = now - timedelta(days=400, seconds=number)
        put_backup(repository, replace(backup, started_at=began, finished_at=began), make_label(began, "full"))
    # Another cluster that took its place.
    repository.put_record(
        repository.layout.system(OTHER), {"format": FORMAT, "system_identifier": OTHER, "added_at": format_time(now)}
    )
    put_backup(repository, dated(newest, 5, system_identifier=OTHER, files=small), files=True)
    # Empty copies and dumps, newer than the real ones.
    later = now + timedelta(minutes=5)
    copy, dump = list_files(repository, "notes")[-1], list_dumps(repository)[-1]
    label = make_label(later, "files")
    empty = replace(copy, label=label, created_at=later, file=replace(copy.file, size=0, sha256="0" * 64), index=None)
    repository.put_record(repository.layout.file_set("notes", label, "manifest.json"), empty.as_dict())
    label = make_label(later, "dump")
    repository.put_record(
        repository.layout.dump("postgres", label, "manifest.json"),
        replace(dump, label=label, created_at=later).as_dict(),
    )
    if release:
        event = {"label": real[0].label, "held": False, "reason": "", "by": "me", "at": format_time(later)}
        key = f"main/holds/{real[0].label}/{later:%Y%m%dT%H%M%SZ}-released-0badc0de.json"
        repository.put_record(key, {"format": FORMAT, **event})
    repositories.close()


def real_objects(config: Config) -> Dict[str, Set[str]]:
    return {name: set(found) for name, found in keys(config).items()}


def pruned(config: Config, apply: bool) -> Pruned:
    done = (prune.apply if apply else prune.plan)(config, LIFTED)
    assert all(p.error is None for p in done)
    return done[-1]


@represented(by="locked")
def test_forgeries_cost_no_real_backup_and_are_not_spread(site: Site, by: Dict[str, Any], tmp_path: Path) -> None:
    config = identity(site, by["janitor"])
    real = real_objects(config)["repo0"]
    without = {r.key for r in pruned(config, apply=False).plan.removals}
    labels = {key.split("/")[2] for key in real if "/backups/" in key}
    forge(identity(site, by["writer"]))

    config = identity(site, by["janitor"])
    done = pruned(config, apply=True)
    assert real - real_objects(config)["repo0"] <= without
    assert not {r.key.split("/")[2] for r in done.plan.removals if "/backups/" in r.key} & labels
    assert set(done.plan.kept) >= labels and "held: legal hold 7" in done.plan.kept[min(labels)]
    named = {**done.plan.weak, **done.plan.foreign}
    forged = {key.split("/")[2] for key in real_objects(config)["repo0"] if "/backups/" in key} - labels
    assert set(named) >= forged and {name.split("/")[0] for name in named} >= {"files", "dump"}

    # Another repository with other keys: what cannot be true does not get there, and what does costs nothing there.
    (tmp_path / "far").mkdir()
    far_entry = {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}
    site.repositories = [entry(0, by["writer"]), far_entry]
    site.write(retention=HARSH)
    _name, (synced,) = sync.apply(site.config)
    far = real_objects(site.config)["repo1"]
    assert real - without - far <= {key for key in real if "/restores/" in key or "/verifications/" in key}
    # The year 2999, two under another key, an empty copy; and three without their files, one without its WAL.
    assert synced.error is None and len(synced.skipped) == 4 and len(synced.failed) == 4, synced.as_dict()
    records = {key for key in far if key.endswith("/manifest.json")}
    assert {key.split("/")[2] for key in records if "/backups/" in key} - labels <= set(done.plan.weak)
    assert not [key for key in far if "-released-" in key]
    # Judged by what it holds itself.
    site.repositories = [{**site.repositories[1], "required": True}]
    site.write(retention=HARSH)
    pruned(site.config, apply=True)
    assert (real - without) & far <= real_objects(site.config)["repo1"]


@represented(by="bucket")
def test_a_hold_is_released_by_who_may_release(site: Site, by: Dict[str, Any]) -> None:
    (label,) = site.lifeboat("hold").data["holds"]["repo0"]
    refused = site.lifeboat("hold", label["label"], "--release", status=None)
    if isinstance(by["writer"], DirectoryOptions):
        # Whoever writes a directory may write all of it.
        assert refused.status == 0
        return
    assert refused.status == 1 and refused.error["error_code"] == "release_refused"
    assert "janitor" in refused.error["hint"]
    # By its own key it may neither, and where holds lie a release does not count.
    config = identity(site, by["writer"])
    repositories = Repositories.open(config)
    event = {"label": label["label"], "held": False, "reason": "", "by": "me", "at": format_time(clock.now())}
    with pytest.raises(LifeboatError):
        repositories.items[0].put_record(f"main/releases/{label['label']}/20261122T020000Z-00.json", event)
    repositories.close()
    forge(config)
    assert [e["label"] for e in site.lifeboat("hold").data["holds"]["repo0"]] == [label["label"]]
    identity(site, by["janitor"])
    assert site.lifeboat("hold", label["label"], "--release").data["changed"]
    assert site.lifeboat("hold").data["holds"]["repo0"] == []
