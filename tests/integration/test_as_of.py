# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attacker with the writer's keys hides and overwrites everything; reading the past finds every commit."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.store.s3.client import checksum_params, connect
from support.controller import module
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, entry, restore_arguments

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, versioned: S3Options) -> Site:
    return sites(
        newest_postgres, versioned, segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={"audit": {"file": "", "syslog": ""}},
    )  # fmt: skip


def attack(options: S3Options) -> None:
    """Everything possible without deleting versions: half is overwritten, half is hidden, something is planted."""
    intruder = connect(options)
    prefix = f"{options.prefix.strip('/')}/".lstrip("/")
    keys = [item["Key"] for item in intruder.call("list_objects_v2", Prefix=prefix)["Contents"]]
    assert len(keys) > 10
    for number, key in enumerate(keys):
        if number % 2 or key.endswith("manifest.json"):
            intruder.call("put_object", key, Body=b"encrypted, pay", **checksum_params(b"encrypted, pay"))
        else:
            intruder.call("delete_object", key)
    planted = f"{prefix}main/backups/20300101T000000Z-full/manifest.json"
    intruder.call("put_object", planted, Body=b"{}", **checksum_params(b"{}"))
    intruder.close()


def struck(site: Site, options: S3Options) -> Tuple[Ledger, str]:
    """A ledger with all commits archived, and a time between that and the attack."""
    ledger = Ledger(site.cluster)
    site.backup()
    ledger.write(3)
    site.backup("--type", "incremental")
    ledger.write(3)
    site.cluster.switch_wal()
    site.cluster.stop()
    # The store tells the time of a version to the second.
    time.sleep(2)
    moment = datetime.now(timezone.utc).isoformat()
    time.sleep(2)
    attack(options)
    return ledger, moment


def test_every_commit_comes_back_from_before_the_attack(site: Site, versioned: S3Options) -> None:
    ledger, moment = struck(site, versioned)
    assert site.lifeboat(*restore_arguments(site.clone("now")), status=1).error["hint"]
    past = ("--as-of", moment)
    listed = site.lifeboat(*past, "list").data["backups"]
    assert [b["type"] for b in listed] == ["full", "incremental"] and all(b["restorable"] for b in listed)
    verified = site.lifeboat(*past, "verify", "--all").data
    assert verified["intact"] and len(verified["labels"]) == 2 and verified["unrecorded"] == ["repo0"]
    clone = site.clone("clone")
    result = site.lifeboat(*past, *restore_arguments(clone)).data["restore"]
    assert rows(clone) == expected(ledger.entries) and "as of" in result["repository"]
    # The past is to be looked at.
    for words in (("prune", "--allow", "age"), ("hold", listed[0]["label"], "--reason", "evidence")):
        done = site.lifeboat(*past, *words, status=None)
        assert "store_read_only" in done.stderr + str(done.stdout) or not done.data["changed"]


def test_genuine_versions_are_put_back_over_what_the_attacker_left(site: Site, versioned: S3Options) -> None:
    """By the commands of docs/ransomware.md, which hide only what has no version from before the attack."""
    ledger, moment = struck(site, versioned)
    administrator = connect(versioned)
    found: Dict[str, List[Tuple[datetime, str]]] = {}
    for version in administrator.call("list_object_versions")["Versions"]:
        found.setdefault(version["Key"], []).append((version["LastModified"], version["VersionId"]))
    for key, versions in found.items():
        before = sorted(v for v in versions if v[0] <= datetime.fromisoformat(moment))
        if before:
            source = {"Bucket": versioned.bucket, "Key": key, "VersionId": before[-1][1]}
            administrator.call("copy_object", key, CopySource=source)
        else:
            administrator.call("delete_object", key)
    administrator.close()
    listed = site.lifeboat("list").data
    assert [b["type"] for b in listed["backups"]] == ["full", "incremental"] and not listed["damaged"]
    assert site.lifeboat("verify", "--all").data["intact"]
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


def test_modules_look_into_the_past(installed: Path, site: Site, versioned: S3Options, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a").write_text("first")
    site.options["file_sets"] = [{"name": "notes", "paths": [str(notes)]}]
    site.write()
    site.lifeboat("files", "backup", "notes")
    ledger, moment = struck(site, versioned)
    config = {"config_file": str(site.config_file)}
    past = {**config, "as_of": moment}
    assert [b["type"] for b in module(installed, "pg_backup_info", **past)["backups"]] == ["full", "incremental"]
    wrong = module(installed, "pg_backup_info", status=2, **config, as_of="yesterday")
    assert wrong["error_code"] == "config_invalid" and "'yesterday'" in wrong["msg"]
    (notes / "a").unlink()
    restored = {**past, "file_set": "notes"}
    assert module(installed, "file_restore", check=True, **restored)["changed"] and not (notes / "a").exists()
    assert module(installed, "file_restore", **restored)["changed"] and (notes / "a").read_text() == "first"
    clone = site.clone("clone")
    wanted = {**past, "data_dir": str(clone.data_dir), "settings": clone.network, "timeout": 180}
    planned = module(installed, "pg_restore_pitr", check=True, **wanted)
    assert planned["plan"]["label"].endswith("-incr") and not clone.data_dir.exists()
    done = module(installed, "pg_restore_pitr", **wanted)
    assert "as of" in done["restore"]["repository"]
    assert rows(clone) == expected(ledger.entries)


def test_the_past_is_brought_into_a_clean_repository(site: Site, versioned: S3Options, tmp_path: Path) -> None:
    ledger, moment = struck(site, versioned)
    (tmp_path / "clean").mkdir()
    attacked = {**site.repositories[0], "name": "attacked", "required": False, "as_of": moment}
    clean = {**entry(1, DirectoryOptions(str(tmp_path / "clean"))), "name": "clean"}
    site.repositories = [clean, attacked]
    site.write()
    (done,) = site.lifeboat("sync", "--from", "attacked", "--to", "clean").data["repositories"]
    assert done["failed"] == [] and done["copied"] == done["lacking"] > 0
    alone = site.write(site.root / "alone.yml", repositories=[clean])
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone), config_file=alone)
    assert rows(clone) == expected(ledger.entries)


def test_without_versions_there_is_no_past(
    newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path
) -> None:
    site = sites(newest_postgres, s3_options, segment_mb=1)
    error = site.lifeboat("--as-of", "2026-11-22T00:00:00Z", "list", status=1).error
    assert error["error_code"] == "store_not_versioned" and s3_options.bucket in error["message"]
    error = site.lifeboat("--as-of", "yesterday", "list", status=1).error
    assert error["error_code"] == "config_invalid" and "'yesterday'" in error["message"]
    site.repositories = [entry(0, DirectoryOptions(str(tmp_path)))]
    site.write()
    error = site.lifeboat("--as-of", "2026-11-22T00:00:00Z", "list", status=1).error
    assert error["error_code"] == "store_not_versioned"
