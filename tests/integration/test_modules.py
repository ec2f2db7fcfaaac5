# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as a playbook runs them: check mode and second runs change nothing, errors are helpful."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from support.controller import module
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(newest_postgres: Installation, module_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = module_sites(newest_postgres, DirectoryOptions(str(tmp_path_factory.mktemp("store"))), segment_mb=1)
    made.cluster.execute("CREATE DATABASE shop")
    made.cluster.execute("CREATE TABLE things AS SELECT generate_series(1, 100) n", dbname="shop")
    return made


def test_a_dump_is_made_and_brought_back(installed: Path, site: Site) -> None:
    config = {"config_file": str(site.config_file)}
    planned = module(installed, "pg_backup", check=True, method="dump", databases=["shop"], **config)
    assert planned["changed"] and planned["dumps"] == ["shop"]
    assert site.lifeboat("dump", "list").data["dumps"] == []
    made = module(installed, "pg_backup", method="dump", databases=["shop"], **config)
    (dump,) = made["dumps"]
    assert made["changed"] and dump["rows"] == {"public.things": 100}

    refused = module(installed, "pg_restore_dump", status=2, database="shop", **config)
    assert refused["error_code"] == "database_refused" and "'shop'" in refused["msg"]
    site.cluster.execute("TRUNCATE things", dbname="shop")
    planned = module(installed, "pg_restore_dump", check=True, database="shop", replace=True, **config)
    assert planned["changed"] and planned["restored"]["kept_as"].startswith("shop_before_")
    assert site.cluster.value("SELECT count(*) FROM things", dbname="shop") == 0
    done = module(installed, "pg_restore_dump", database="shop", replace=True, **config)
    assert done["restored"]["rows"] == 100
    assert site.cluster.value("SELECT count(*) FROM things", dbname="shop") == 100
    assert site.cluster.value("SELECT count(*) FROM things", dbname=done["restored"]["kept_as"]) == 0


def test_a_backup_is_proved(installed: Path, site: Site, tmp_path: Path) -> None:
    question = {"database": "shop", "query": "SELECT count(*) FROM things", "minimum": 10**9, "name": "enough"}
    for minimum, status in ((1, 0), (10**9, 2)):
        verify = {"scratch_dir": str(tmp_path), "amcheck": False, "queries": [{**question, "minimum": minimum}]}
        config = {"config_file": str(site.write(tmp_path / f"{minimum}.yml", verify=verify))}
        if not status:
            module(installed, "pg_backup", **config)
            assert module(installed, "pg_backup_verify", check=True, **config)["report"]["satisfied"] is False
        told = module(installed, "pg_backup_verify", status=status, report_dir=str(tmp_path / "report"), **config)
        assert not told["changed"] and (tmp_path / "report" / "report.html").exists()
        if status:
            assert told["error_code"] == "backup_unproven" and "enough: returns" in told["msg"]
            assert not told["details"]["report"]["proven"]
        else:
            assert told["report"]["proven"]
    assert not list(tmp_path.glob("lifeboat-verify-*"))


def test_a_restore_is_done_once_within_one_incident(installed: Path, site: Site) -> None:
    module(installed, "pg_backup", config_file=str(site.config_file))
    clone = site.clone("incident")
    wanted = {
        "config_file": str(site.config_file), "data_dir": str(clone.data_dir), "settings": clone.network,
        "target": "immediate", "request_id": "20261122T140159Z-db1", "leave": "stopped",
    }  # fmt: skip
    assert module(installed, "pg_restore_pitr", check=True, **wanted)["changed"]
    done = module(installed, "pg_restore_pitr", **wanted)
    assert done["changed"] and done["restore"]["state"] == "stopped"
    for check in (True, False):
        again = module(installed, "pg_restore_pitr", check=check, **wanted)
        assert not again["changed"] and again["restore"] == done["restore"]
    for other in ({"request_id": "20261222T140159Z-db1"}, {"request_id": None}):
        told = module(installed, "pg_restore_pitr", status=2, **{**wanted, **other})
        assert told["error_code"] == "data_directory_refused" and "move_aside" in told["msg"]
    told = module(installed, "pg_restore_pitr", status=2, **{**wanted, "archiving": "on"})
    assert told["error_code"] == "config_invalid" and told["details"]["differing"] == ["archiving"]


def test_a_standby_is_made_once_and_continues_following(installed: Path, site: Site) -> None:
    module(installed, "pg_backup", config_file=str(site.config_file))
    clone = site.clone("standby")
    wanted = {
        "config_file": str(site.config_file), "data_dir": str(clone.data_dir), "settings": clone.network,
        "target_action": "standby",
    }  # fmt: skip
    assert module(installed, "pg_restore_pitr", check=True, **wanted)["changed"]
    done = module(installed, "pg_restore_pitr", **wanted)
    assert done["changed"] and done["restore"]["state"] == "following the repository"
    assert clone.value("SELECT pg_is_in_recovery()")
    for check in (True, False):
        again = module(installed, "pg_restore_pitr", check=check, **wanted)
        assert not again["changed"] and again["restore"] == done["restore"]
    told = module(installed, "pg_restore_pitr", status=2, **{**wanted, "leave": "stopped"})
    assert told["error_code"] == "config_invalid" and "standby" in told["msg"]
    clone.stop()


def test_a_hold_and_what_retention_would_remove(installed: Path, site: Site) -> None:
    config = {"config_file": str(site.config_file)}
    made = module(installed, "pg_backup", **config)
    label = made["backup"]["label"]
    assert made["changed"] and not module(installed, "pg_backup", max_age=3600, **config)["changed"]
    hold = {"label": label, "reason": "before the migration", **config}
    assert module(installed, "pg_backup_hold", check=True, **hold)["changed"]
    assert module(installed, "pg_backup_hold", **hold)["changed"]
    assert not module(installed, "pg_backup_hold", **hold)["changed"]
    info = module(installed, "pg_backup_info", **config)
    assert info["backups"][-1]["held"] == "before the migration"
    kept = module(installed, "s3_retention", check=True, **config)
    assert not kept["changed"] and "held: before the migration" in str(kept["repositories"][0]["kept"][label])
