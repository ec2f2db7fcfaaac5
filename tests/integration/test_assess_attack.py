# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attack with the writer's keys, and the loss of a region: what the assessment proposes, and that it works."""

from __future__ import annotations

import shlex
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.store.s3.client import checksum_params, connect
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import free_port
from support.standby import Standby
from support.walstream import Streams, stored_up_to, streamed_site

pytestmark = pytest.mark.integration


def attack(options: S3Options) -> None:
    """Every record of a backup is overwritten, everything else is hidden."""
    intruder = connect(options)
    prefix = f"{options.prefix.strip('/')}/".lstrip("/")
    for item in intruder.call("list_objects_v2", Prefix=prefix)["Contents"]:
        if item["Key"].endswith("manifest.json"):
            intruder.call("put_object", item["Key"], Body=b"encrypted, pay", **checksum_params(b"encrypted, pay"))
        else:
            intruder.call("delete_object", item["Key"])
    intruder.close()


def test_the_time_before_an_attack_is_proposed_and_every_commit_comes_back_from_it(
    newest_postgres: Installation, sites: Sites, versioned: S3Options
) -> None:
    site: Site = sites(
        newest_postgres, versioned, segment_mb=1, track_commit_timestamp="on",
        options={"audit": {"file": "", "syslog": ""}},
    )  # fmt: skip
    ledger = Ledger(site.cluster)
    site.backup()
    ledger.write(3)
    site.cluster.switch_wal()
    site.cluster.stop()
    words = ("assess", "--disaster", "ransomware", "--new-host", "clean1")
    quiet = site.lifeboat(*words).data
    assert quiet["best"] is None and not any("object put over another one" in step for step in quiet["first"])
    time.sleep(2)
    before = datetime.now(timezone.utc)
    time.sleep(2)
    attack(versioned)
    found = site.lifeboat(*words).data
    assert found["best"] is None and found["repositories"][0]["error"]
    (step,) = [step for step in found["first"] if "object put over another one" in step]
    assert "manifest.json" in step and "Revoke the writer's keys" in found["first"][0]
    proposed = step.split("--as-of ")[1].split(". ")[0]
    # A minute earlier this cluster did not exist; the moment just before the attack is the one to be looked at here.
    assert datetime.fromisoformat(proposed.replace("Z", "+00:00")) < before
    moment = before.isoformat()
    found = site.lifeboat("--as-of", moment, *words).data
    assert found["best"] == "as_of" and "-e lifeboat_hosts=clean1" in found["command"]
    variable = next(word for word in shlex.split(found["command"]) if word.startswith("dr_as_of="))
    clone = site.clone("clone")
    site.lifeboat("--as-of", variable.split("=", 1)[1], *restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


def test_a_time_before_everything_is_no_way_back(
    newest_postgres: Installation, sites: Sites, versioned: S3Options
) -> None:
    site = sites(newest_postgres, versioned, segment_mb=1)
    site.backup()
    long_ago = (datetime.now(timezone.utc) - timedelta(days=3)).isoformat()
    found = site.lifeboat("--as-of", long_ago, "assess", "--disaster", "ransomware").data
    assert found["best"] is None and found["ways"][0]["conditions"][1]["state"] == "unmet"


def test_a_region_that_is_gone_with_its_repository_is_rebuilt_from_the_other(
    newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    site = sites(newest_postgres, s3_options, segment_mb=1, track_commit_timestamp="on")
    site.repositories = [*site.repositories, entry(1, DirectoryOptions(str(tmp_path / "far")))]
    site.write()
    ledger = Ledger(site.cluster)
    site.backup()
    ledger.write(3)
    site.cluster.switch_wal()
    site.cluster.stop()
    # Nobody listens where the first repository was.
    site.repositories[0] = {**site.repositories[0], "endpoint_url": f"http://127.0.0.1:{free_port()}"}
    site.write()
    found = site.lifeboat("assess", "--new-host", "db2").data
    assert (found["disaster"], found["best"]) == ("region", "rebuild")
    assert found["silent"].keys() >= {"repo0"} and found["seconds"] < 60
    assert found["command"].endswith("-e lifeboat_lost_repositories=repo0")
    site.repositories = site.repositories[1:]
    site.write()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


def test_a_standby_that_is_asked_where_it_runs_is_compared_with_a_rebuild(
    newest_postgres: Installation, sites: Sites, streams: Streams
) -> None:
    site = streamed_site(sites, newest_postgres)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(2)
    site.cluster.switch_wal()
    standby = Standby(site)
    standby.restore()
    ledger.write(2)
    stored_up_to(site)
    site.cluster.kill9()
    stream.close()
    words = ("assess", "--disaster", "region", "--standby", "db3", "--old-host", "192.0.2.9")
    told = standby.lifeboat("standby", "loss", status=2).data
    found = standby.lifeboat(*words).data
    ways = {way["name"]: way for way in found["ways"]}
    failover, rebuild = ways["failover"], ways["rebuild"]
    assert failover["loses"]["seconds"] == pytest.approx(told["uncovered_seconds"], abs=30)
    assert failover["conditions"][0]["reason"] == "; ".join(told["reasons"])
    # The rebuild reads the same pieces; the standby is there sooner.
    assert found["best"] == "failover" and failover["lasts"]["seconds"] < rebuild["lasts"]["seconds"]
    assert failover["command"] == (
        "ansible-playbook -i INVENTORY lifeboat.postgres.dr_failover -e lifeboat_hosts=db3 -e dr_old_host=192.0.2.9"
    )
    # A standby has deleted what its primary has deleted.
    assert standby.lifeboat("assess", "--disaster", "deletion").data["best"] is None
