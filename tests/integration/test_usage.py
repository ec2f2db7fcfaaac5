# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat usage`` with real backups in a directory and in S3, what prune frees, and limits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.repository import Repositories
from lifeboat.store.protocol import ObjectInfo
from support.installations import Installation
from support.postgres import Site, Sites
from support.stores import SeaweedFS, s3_options_for

pytestmark = pytest.mark.integration

NOTHING = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
           "settle_hours": 0, "max_share": 100}  # fmt: skip


@pytest.fixture(scope="module")
def site(
    module_sites: Sites,
    newest_postgres: Installation,
    seaweedfs: SeaweedFS,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    """Two full backups and an incremental one, in S3 and in a directory; all but the last may be removed."""
    cold, far = tmp_path_factory.mktemp("cold"), s3_options_for(seaweedfs, bucket, "usage")
    made = module_sites(
        newest_postgres, far, DirectoryOptions(str(cold)), name="usage", segment_mb=1, summarize_wal="on",
        options={"retention": NOTHING},
    )  # fmt: skip
    made.backup()
    made.cluster.switch_wal()
    made.backup("--type", "incremental")
    made.cluster.switch_wal()
    last = made.backup()
    made.cluster.switch_wal()
    made.lifeboat("verify", last["label"])
    (cold / "main" / "notes.txt").write_text("somebody else's")
    return made


def listed(site: Site) -> Dict[str, List[ObjectInfo]]:
    repositories = Repositories.open(site.config)
    try:
        return {r.name: list(r.store.list("main/")) for r in repositories.items}
    finally:
        repositories.close()


def test_the_counted_bytes_are_the_stored_bytes(site: Site) -> None:
    told = {r["repository"]: r for r in site.lifeboat("usage").data["repositories"]}
    there = listed(site)
    assert set(told) == set(there) == {"repo0", "repo1"}
    for name, infos in there.items():
        found = told[name]
        assert (found["objects"], found["bytes"]) == (len(infos), sum(i.size for i in infos))
        for kind in ("core", "backup", "audit", "verification", "lease", "foreign"):
            own = [i for i in infos if kind_of("main", i.key).name == kind]
            assert (found["kinds"][kind]["objects"], found["kinds"][kind]["bytes"]) == (
                len(own),
                sum(i.size for i in own),
            )
        assert sum(found["days"].values()) == found["bytes"]
        wal = [i for i in infos if "/wal/" in i.key]
        assert found["kinds"]["wal"]["objects"] == len(wal) > 3
        assert found["kinds"]["wal"]["newest"][:19] == f"{max(i.modified for i in wal):%Y-%m-%dT%H:%M:%S}"
        assert found["backups"]["full"]["objects"] == 6 and found["backups"]["incremental"]["objects"] == 3
        assert found["backups"]["differential"]["objects"] == 0
        assert sum(b["bytes"] for b in found["backups"].values()) == found["kinds"]["backup"]["bytes"] > 1_000_000
        assert found["growth_per_day"] is None and found["days_until_full"] is None
    assert told["repo0"]["limit"] is None and told["repo0"]["kinds"]["foreign"]["objects"] == 0
    assert told["repo1"]["kinds"]["foreign"]["objects"] == 1
    room = os.statvfs(site.repositories[1]["path"])
    limit = told["repo1"]["limit"]
    assert limit["source"] == "file system"
    assert limit["bytes"] == pytest.approx((room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize, rel=0.01)
    assert 0 < limit["free"] < limit["bytes"]


def test_the_forecast_of_prune_matches_its_plan(site: Site) -> None:
    planned = site.lifeboat("prune", "--plan").data["repositories"]
    told = site.lifeboat("usage").data["repositories"]
    for plan, found in zip(planned, told):
        frees = found["prune"]
        assert plan["bytes_removed"] > 1_000_000
        assert (frees["bytes"], frees["objects"]) == (plan["bytes_removed"], len(plan["removals"]))
        for kind in ("backup", "wal"):
            assert frees["kinds"][kind]["bytes"] == sum(r["size"] for r in plan["removals"] if r["kind"] == kind)
        assert frees["refused"] == [] and frees["bytes_later"] >= frees["bytes"]
    # A guard would stop it, and only listing asks for no plan.
    strict = site.write(site.root / "strict.yml", retention={**NOTHING, "max_share": 1})
    refused = site.lifeboat("usage", config_file=strict).data["repositories"]
    assert [r["prune"]["refused"] for r in refused] == [["share"], ["share"]]
    assert [r["removed_per_day"] for r in refused] == [0, 0]
    alone = site.lifeboat("usage", "--without-prune", "--repository", "repo1").data["repositories"]
    assert [(r["repository"], r["prune"]) for r in alone] == [("repo1", None)]


def test_a_quota_is_judged(site: Site) -> None:
    used = site.lifeboat("usage", "--repository", "repo0").data["repositories"][0]["bytes"]
    for percent, status in ((50, "ok"), (85, "warning"), (97, "critical")):
        entries = [{**site.repositories[0], "quota_bytes": used * 100 // percent}, site.repositories[1]]
        config_file = site.write(site.root / f"quota{percent}.yml", repositories=entries)
        found = site.lifeboat("usage", config_file=config_file).data["repositories"][0]
        assert (found["status"], found["limit"]["source"]) == (status, "quota")
        assert f"{percent} % of its quota" in found["message"] and bool(found["hint"]) is (status != "ok")
    # For people, in units.
    done = subprocess.run(
        [site.command, "--config", config_file, "usage", "--repository", "repo0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == "cluster main" and "CRITICAL" in done.stdout and " MB" in done.stdout
    assert any(line.split()[:1] == ["incremental"] for line in lines)
    assert any("the next prune will free" in line for line in lines)


def test_an_unreachable_repository_hides_no_other(site: Site, tmp_path: Path) -> None:
    gone = {"name": "gone", "type": "directory", "path": str(tmp_path / "gone"), "required": True}
    config_file = site.write(site.root / "gone.yml", repositories=[gone, site.repositories[1]])
    lost, found = site.lifeboat("usage", status=1, config_file=config_file).data["repositories"]
    assert lost["error"]["error_code"] == "bucket_missing" and found["objects"] > 0
    ran = site.lifeboat("usage", "--repository", "elsewhere", status=1)
    assert ran.error["error_code"] == "config_invalid" and "repo0, repo1" in ran.error["hint"]
