# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed backups of real servers: made with public keys only, restored with either identity, refused with none."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from seaweedfs import SeaweedFS
from support.age import INTRO, Key, make_key, make_ssh_key, needs_age
from support.installations import Installation
from support.ledger import Entry, Ledger, expected, rows
from support.lost import flip
from support.postgres import Cluster, Ran, Site, Sites, restore_arguments
from support.stores import s3_options_for

pytestmark = [pytest.mark.integration, needs_age]


@dataclass
class Keys:
    """Two recipients, and a stranger."""

    first: Key
    second: Key
    stranger: Key

    @property
    def seal(self) -> Dict[str, Any]:
        """The keys of a host that only backs up."""
        return {"recipients": [self.first.recipient, self.second.recipient]}

    def opened_by(self, key: Key) -> Dict[str, Any]:
        return {**self.seal, "identity_file": str(key.file)}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    root = tmp_path_factory.mktemp("keys")
    return Keys(make_key(root / "first"), make_ssh_key(root / "second"), make_key(root / "stranger"))


def restore(site: Site, clone: Cluster, seal: Optional[Dict[str, Any]], *words: str, status: int = 0) -> Ran:
    config_file = site.write(site.root / "restore.yml", seal=seal)
    spaces = [(str(site.root / "space"), f"{clone.data_dir} space")] if (site.root / "space").exists() else []
    return site.lifeboat(
        *restore_arguments(clone, *words, tablespaces=spaces), config_file=config_file, status=status
    )  # fmt: skip


def read(site: Site, clone: Cluster, entries: List[Entry]) -> None:
    """The clone is running and has exactly these entries."""
    assert rows(clone) == expected(entries)
    clone.stop()
    shutil.rmtree(clone.data_dir)
    shutil.rmtree(f"{clone.data_dir} space", ignore_errors=True)


def objects(root: Path) -> Dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def sealing(site: Site) -> List[Tuple[str, str]]:
    """The result of ``lifeboat check`` about the seal."""
    checks = site.lifeboat("check", status=None).data["checks"]
    return [(c["status"], c["message"]) for c in checks if c["name"] == "seal"]


def test_a_sealed_cluster_comes_back_by_either_identity(
    a_postgres: Installation, sites: Sites, keys: Keys, seaweedfs: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    site = sites(
        a_postgres,
        DirectoryOptions(str(tmp_path / "disk")),
        s3_options_for(seaweedfs, bucket, f"sealed {secrets.token_hex(4)}"),
        options={"seal": keys.seal},
        track_commit_timestamp="on",
        start=False,
    )
    cluster = site.cluster
    cluster.start()
    (site.root / "space").mkdir()
    cluster.execute(f"CREATE TABLESPACE spacious LOCATION '{site.root / 'space'}'")
    ledger = Ledger(cluster, tablespace="spacious")
    ledger.write(2)
    manifest = site.backup()
    assert manifest["recipients"] == keys.seal["recipients"]
    assert all(f["name"].endswith(".age") for f in manifest["files"])
    middle = ledger.write(2)[-1]
    cluster.switch_wal()
    ledger.write(2)
    cluster.switch_wal()
    assert site.lifeboat("verify").data["segments_unopened"] > 0
    assert site.lifeboat("list").data["backups"][0]["restorable"]
    assert sealing(site) == [("ok", "sealed to 2 recipients; this host has no identity, so it cannot restore")]
    cluster.stop()

    stored = objects(tmp_path / "disk" / "main")
    for name, content in stored.items():
        # Records, digests, and what tells of work and of acknowledged WAL: nothing of the cluster's content.
        told = name.startswith("writes/") or name.endswith(".acknowledged")
        clear = told or name.endswith((".json", ".history")) or "/sha256/" in name
        assert name.endswith(".age") != clear, name
        assert content.startswith(INTRO) != clear, name
        assert b"entry" not in content
    assert any(".backup.zst.age" in name for name in stored)

    clone = site.clone("clone")
    for seal, code in (
        (keys.seal, "identity_missing"),
        (None, "identity_missing"),
        ({**keys.seal, "identity_file": str(tmp_path / "nowhere")}, "identity_missing"),
        ({**keys.seal, "identity_command": ["sh", "-c", "exit 3"]}, "identity_missing"),
        (keys.opened_by(keys.stranger), "identity_refused"),
    ):
        refused = restore(site, clone, seal, "--immediate", status=1)
        assert refused.error["error_code"] == code
        assert not clone.data_dir.exists()

    restore(site, clone, keys.opened_by(keys.first), "--time", middle.committed.isoformat())
    assert rows(clone) == expected([e for e in ledger.entries if e.id <= middle.id])
    clone.stop()
    restore(site, clone, keys.opened_by(keys.first), "--delta")
    read(site, clone, ledger.entries)
    site.repositories.reverse()
    by_command = {**keys.seal, "identity_command": ["cat", str(keys.second.file)]}
    restore(site, clone, by_command)
    read(site, clone, ledger.entries)
    site.write(seal=by_command)
    assert site.lifeboat("config").data["seal"]["identity_command"] == "(set)"
    assert sealing(site) == [("ok", "sealed to 2 recipients; this host has an identity that opens it")]
    verified = site.lifeboat("verify").data
    assert verified["intact"] and verified["segments_unopened"] == 0 < verified["segments_read"]
    site.write(seal=keys.opened_by(keys.stranger))
    assert [status for status, _message in sealing(site)] == ["critical"]
    refused = site.lifeboat("verify", "--all", status=1)
    assert {f["error_code"] for f in refused.data["findings"]} == {"identity_refused"}


def test_a_chain_grows_on_a_host_that_can_open_nothing(newest_postgres: Installation, sites: Sites, keys: Keys) -> None:
    site = sites(newest_postgres, options={"seal": keys.seal}, summarize_wal="on", track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    ledger.write(2)
    full = site.backup()
    ledger.write(2)

    # Without a spool it cannot read the parent's manifest, which is sealed.
    refused = site.lifeboat("backup", "--type", "incremental", status=1).error
    assert (refused["error_code"], refused["details"]["reason"]) == ("incremental_impossible", "parent_sealed")
    assert full["label"] in refused["message"]
    full = site.backup("--type", "incremental", "--fallback", "full")
    assert full["type"] == "full"

    (site.root / "spool").mkdir()
    site.write(spool_dir=str(site.root / "spool"))
    made = [site.backup()]
    for kind in ("incremental", "incremental", "differential", "incremental"):
        ledger.write(2)
        made.append(site.backup("--type", kind))
    assert [b["parent"] for b in made] == [None, *(made[n]["label"] for n in (0, 1, 0, 3))]
    kept = site.root / "spool" / "manifests"
    assert sorted(p.name for p in kept.iterdir()) == sorted(made[n]["label"] for n in (0, 3, 4))
    assert all(p.stat().st_mode & 0o077 == 0 for p in kept.iterdir())

    # A kept manifest that is not the parent's is not used; with an identity the stored one is.
    flip(kept / made[4]["label"])
    site.lifeboat("backup", "--type", "incremental", status=1)
    site.write(spool_dir=str(site.root / "spool"), seal=keys.opened_by(keys.first))
    ledger.write(1)
    last = site.backup("--type", "incremental")
    assert last["parent"] == made[4]["label"]
    ledger.write(1)
    site.cluster.switch_wal()
    site.cluster.stop()
    clone = site.clone("clone")
    done = restore(site, clone, keys.opened_by(keys.second)).data["restore"]
    assert done["chain"] == [made[n]["label"] for n in (0, 3, 4)] + [last["label"]]
    read(site, clone, ledger.entries)


def test_a_cluster_that_is_sealed_later_and_then_no_more(
    newest_postgres: Installation, sites: Sites, keys: Keys
) -> None:
    site = sites(newest_postgres, track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    ledger.write(1)
    clear = site.backup()
    ledger.write(1)
    site.cluster.switch_wal()
    site.write(seal=keys.seal)
    ledger.write(1)
    site.cluster.wait_archived(site.cluster.switch_wal())
    sealed = site.backup()
    ledger.write(1)
    site.cluster.wait_archived(site.cluster.switch_wal())
    site.write(seal=keys.opened_by(keys.second) | {"recipients": []})
    ledger.write(1)
    site.cluster.wait_archived(site.cluster.switch_wal())
    again = site.backup()
    site.cluster.stop()
    kinds = {f["name"] for b in (clear, sealed, again) for f in b["files"]}
    assert kinds == {f"{name}{end}" for name in ("base.tar.zst", "backup_manifest") for end in ("", ".age")}
    by_hand = site.lifeboat("show", clear["label"]).data["by_hand"]
    assert 'age -d -i "$IDENTITY"' in by_hand and "base.tar.zst.age" not in by_hand

    clone = site.clone("clone")
    for backup in (clear, sealed, again):
        refused = restore(site, clone, None, "--label", backup["label"], status=None) if backup != again else None
        assert refused is None or refused.error["error_code"] == "identity_missing"
        for seal in (keys.opened_by(keys.first), {"identity_file": str(keys.second.file)}):
            restore(site, clone, seal, "--label", backup["label"])
            read(site, clone, ledger.entries)
