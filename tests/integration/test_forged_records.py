# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged records beside a real backup: every command ends, reports them, and uses the real backup."""

from __future__ import annotations

import json
import resource
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions, StoreOptions
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.repository.repository import Repositories
from support.choice import represented
from support.forgeries import Forged, forge
from support.identities import identities
from support.installations import Installation
from support.postgres import Site, Sites, entry
from support.stores import SeaweedFS, s3_options_for

pytestmark = pytest.mark.integration

#: What a tool may take: an enumeration of what a forged number claims takes all there is.
_MEMORY = 3 * 2**30


@pytest.fixture(params=["directory", "s3", "locked"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Tuple[StoreOptions, StoreOptions]:
    """A store with its writer's access, and with its administrator's."""
    if request.param == "directory":
        (tmp_path / "store").mkdir()
        options = DirectoryOptions(str(tmp_path / "store"))
        return options, options
    seaweedfs: SeaweedFS = request.getfixturevalue("seaweedfs")
    lock = "governance" if request.param == "locked" else None
    admin = replace(s3_options_for(seaweedfs, f"forged-{secrets.token_hex(4)}", "team"), object_lock=lock)
    path = str(tmp_path / "keys.json")
    bucket.apply(BucketRequest(admin, identities=identities(admin), credentials_file=path))
    writer = with_credentials(admin, read_credentials(path)["writer"])
    assert writer is not None
    return writer, admin


def run(site: Site, *arguments: str, config_file: Path) -> Any:
    """Like ``Site.lifeboat``, with a memory limit; status and output."""
    done = subprocess.run(
        [site.command, "--config", config_file, "--json", *arguments], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY)),
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout, f"lifeboat {arguments} ended with {done.returncode}: {done.stderr}"
    return done.returncode, json.loads(done.stdout)


def put_forgeries(site: Site, chain: str) -> Forged:
    repositories = Repositories.open(site.config)
    try:
        return forge(repositories.items[0], chain)
    finally:
        repositories.close()


@represented(stores="s3")
def test_every_tool_ends_names_what_is_forged_and_uses_the_real_backup(
    newest_postgres: Installation, sites: Sites, stores: Tuple[StoreOptions, StoreOptions], tmp_path: Path
) -> None:
    writer, admin = stores
    days = {"full_days": 0, "wal_days": 0, "keep_last": 1}
    site = sites(newest_postgres, writer, segment_mb=1, options={"retention": days})
    real = site.backup()["label"]
    site.lifeboat("hold", real, "--reason", "the real one")
    site.cluster.execute("CREATE TABLE t AS SELECT 1 AS x")
    last = site.cluster.switch_wal()
    before = site.lifeboat("list").data
    events = site.lifeboat("audit", "list").data["events"]
    chain, number = events[-1]["chain"], events[-1]["number"]
    forged = put_forgeries(site, chain)
    config = site.write(site.root / "admin.yml", repositories=[entry(0, admin)])

    def keys(aside: Any) -> set[str]:
        return {item["key"] for item in aside}

    status, data = run(site, "list", config_file=config)
    assert status == 0
    restorable = [b["label"] for b in data["backups"] if b["restorable"]]
    assert restorable == [real] and sorted(b["label"] for b in data["backups"]) == sorted([real, *forged.lacking])
    assert {d["label"] for d in data["damaged"]} == set(forged.backups)
    assert keys(data["set_apart"]) == set(forged.keys)
    assert [w["label"] for w in data["windows"]] == [real] and data["gaps"] == []
    assert data["windows"][0]["end_lsn"] == before["windows"][0]["end_lsn"]
    (shown,) = (b for b in data["backups"] if b["label"] == real)
    assert (shown["held"], shown["verified_at"], shown["tested"]) == ("the real one", None, None)

    status, data = run(site, "check", config_file=config)
    told = {c["name"]: c for c in data["checks"]}
    assert status == 2 and f"the newest {real}" in told["repository repo0: backups"]["message"]
    assert all(f"repository repo0: backup {label}" in told for label in forged.backups + forged.lacking)
    assert told["repository repo0: set apart"]["status"] == "warning"
    assert told["repository repo0: window"]["status"] == "ok"

    # A verification of later does not hide what is damaged now, and what is forged does not hide what is intact.
    status, data = run(site, "verify", config_file=config)
    assert status == 1 and set(data["labels"]) == {real, *forged.lacking} and data["skipped"] == []
    assert {f["label"] for f in data["findings"]} >= {*forged.backups, *forged.lacking}
    assert not [f for f in data["findings"] if real in f["label"] and f["key"] not in forged.keys]
    foreign = {key for found in data["foreign"].values() for key in found["keys"]}
    assert set(forged.keys) <= keys(data["set_apart"]) | foreign | {f["key"] for f in data["findings"]}
    assert data["segments_read"] > 0 and data["segments_skipped"] == 0

    status, data = run(site, "prune", "--plan", "--allow", "share", config_file=config)
    (planned,) = data["repositories"]
    assert real in planned["kept"] and "held: the real one" in planned["kept"][real]
    assert "one of the newest 1 full backups" in planned["kept"][real]
    going = [r["key"] for r in planned["removals"]]
    assert not [key for key in going if f"/backups/{real}/" in key or last in key]
    # Retention asks neither for reports of restore tests nor for what WAL lies where.
    asked = {key for key in forged.keys if "/restore_tests/" not in key and "FFFFFFFF000000FF" not in key}
    assert asked <= keys(planned["set_apart"])

    clone = site.clone("clone")
    wanted = ("--data-dir", str(clone.data_dir), "--leave", "stopped")
    status, data = run(site, "restore", "--plan", *wanted, config_file=config)
    assert status == 0, data
    assert data["chain"] == [real]

    # The next one is made, recorded and believed; its event follows the last one that was.
    second = site.backup()["label"]
    listed: Dict[str, Any] = run(site, "list", config_file=config)[1]
    assert [b["label"] for b in listed["backups"] if b["restorable"]] == [real, second]
    status, trail = run(site, "audit", "list", config_file=config)
    numbers = [e["number"] for e in trail["events"] if e["chain"] == chain]
    assert max(numbers) > number and numbers == list(range(1, max(numbers) + 1))
    status, verified = run(site, "audit", "verify", config_file=config)
    assert status == 1 and {f["number"] for f in verified["faults"]} >= {9_999_999_999, 9_999_999_998, 5_000_000}
    assert {f["kind"] for f in verified["faults"]} == {"unconnected"}
