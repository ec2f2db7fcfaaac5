# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of a real cluster, on its host and from its repository alone."""

from __future__ import annotations

import shutil
import time
import urllib.error
from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.metrics.catalogue import METRICS, PROGRAM, REPOSITORY
from support.drills import write_report
from support.installations import Installation
from support.monitoring import read
from support.postgres import Site, Sites
from support.processes import until
from support.scraping import exporter, scraped, value

pytestmark = pytest.mark.integration

# Figures that this cluster has not: test_metrics_more.py, and the last test here, have them.
ELSEWHERE = {
    "standby_lag_seconds", "stream_up", "stream_lag_bytes", "slot_retained_bytes", "lock_until_timestamp_seconds",
    "wal_agent_up", "log_last_shipped_timestamp_seconds", "repository_lag_bytes", "repository_conflicts",
    "stream_newest_piece_timestamp_seconds",
}  # fmt: skip


@pytest.fixture
def protected(sites: Sites, a_postgres: Installation, tmp_path: Path) -> Site:
    """A cluster that archives into a directory."""
    (tmp_path / "store").mkdir()
    return sites(a_postgres, DirectoryOptions(str(tmp_path / "store")), fresh=True)


def test_metrics_of_the_host(protected: Site, tmp_path: Path) -> None:
    site, root = protected, tmp_path
    (root / "app.conf").write_text("colour = blue\n")
    config = site.write(
        tmp_path / "whole.yml",
        site="east",
        objectives={
            "rpo": 300,
            "rto": 3600,
            "window": 1,
            "max_backup_age": 90000,
            "max_verify_age": 35,
            "max_drill_age": 100,
        },
        file_sets=[{"name": "app", "paths": [str(root / "app.conf")]}],
        notifications={
            "state_dir": str(tmp_path / "told"),
            "channels": [
                {"name": "pager", "type": "command", "argv": ["true"]},
                {"name": "deaf", "type": "command", "argv": ["false"]},
            ],
        },
    )
    site.backup()
    site.lifeboat("leader", "claim", "--kind", "first", config_file=config)
    site.lifeboat("backup", "--type", "full", config_file=config)
    site.lifeboat("wal-prove", config_file=config)
    site.lifeboat("dump", "create", "postgres", config_file=config)
    site.lifeboat("files", "backup", config_file=config)
    site.lifeboat("verify", "--restore", config_file=config)
    site.lifeboat("verify", config_file=config)
    site.lifeboat("prune", config_file=config)
    site.lifeboat("notify", "test", status=1, config_file=config)
    report = str(write_report(tmp_path / "drill", rto=40.0, rpo=1.5, lost=7))
    site.lifeboat("drill", "keep", "--report", report, "--scenario", "server", config_file=config)
    site.lifeboat("incident", "open", "the database is wrong", config_file=config)
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "main:full").write_text("start=1000\nend=1010\nsuccess=1010\nstatus=0\nskipped=2\n")
    (jobs / "main:check").write_text("end=1900\nstatus=10\nstart=2000\nno line at all\n")
    (jobs / "main.schedule").write_text("check=360\n")
    (jobs / "other:full").write_text("start=1\n")
    output = tmp_path / "lifeboat-main.prom"
    site.lifeboat("metrics", "--jobs-dir", str(jobs), "--output", str(output), config_file=config)
    host = scraped(output.read_text())

    assert value(host, "server_up") == 1 and value(host, "server_in_recovery") == 0
    assert 0 <= value(host, "wal_exposed_seconds") < 300
    assert value(host, "wal_backlog_files") == 0 and value(host, "pg_wal_free_bytes") > 1e6
    # A day of recovery is promised, and the cluster is minutes old.
    assert value(host, "check_status", check="window", repository="repo0") == 1
    assert value(host, "check_status", check="backups", repository="repo0") == 0
    assert value(host, "check_status", check="notices") == 1
    assert value(host, "check_status", check="drill", repository="repo0") == 0
    assert value(host, "job_last_success_timestamp_seconds", job_name="full") == 1010
    assert (value(host, "job_running", job_name="full"), value(host, "job_running", job_name="check")) == (0, 1)
    assert value(host, "job_skipped_total", job_name="full") == 2
    assert value(host, "job_interval_seconds", job_name="check") == 360
    assert value(host, "objective_seconds", objective="window") == 86400
    assert value(host, "notification_last_success_timestamp_seconds", channel="pager") > time.time() - 120
    assert value(host, "notification_failures_total", channel="pager") == 0
    assert value(host, "notification_failures_total", channel="deaf") >= 1
    assert value(host, "leader_epoch") == 1 and value(host, "leader_deposed") == 0
    assert abs(value(host, "metrics_timestamp_seconds") - time.time()) < 60

    directory = tmp_path / "fleet"
    directory.mkdir()
    shutil.copy(config, directory / "main.yml")
    with exporter(site, directory) as url:
        central = scraped(read(f"{url}/metrics"))
        page = read(url)
        assert read(f"{url}/healthz") == "ok\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(f"{url}/../etc/passwd")
    assert value(central, "repository_up") == 1
    assert value(central, "backups", type="full", state="whole") == 2
    last = value(central, "backup_last_success_timestamp_seconds", type="full")
    assert abs(last - time.time()) < 120
    assert value(central, "backup_last_stored_bytes", type="full") > 1e5
    assert value(central, "wal_missing_segments", severs="latest") == 0
    assert value(central, "repository_bytes", kind="backup") > 1e5 and value(central, "repository_free_bytes") > 1e6
    assert value(central, "window_end_timestamp_seconds") >= last
    assert abs(value(central, "retention_last_success_timestamp_seconds") - time.time()) < 120
    assert value(central, "restore_test_last_proven") == 1
    assert 0 < value(central, "restore_test_last_duration_seconds") < 3600
    assert value(central, "drill_last_passed") == 1
    assert abs(value(central, "drill_last_success_timestamp_seconds") - time.time()) < 120
    figures = {
        name: value(central, f"drill_last_{name}") for name in ("rto_seconds", "rpo_seconds", "lost_transactions")
    }
    assert figures == {"rto_seconds": 40, "rpo_seconds": 1.5, "lost_transactions": 7}
    assert value(central, "objective_seconds", objective="drill_age") == 8640000
    assert "passed, server, 40 s to recover, 7 commits lost" in page
    assert value(central, "file_set_last_success_timestamp_seconds", file_set="app") > last - 120
    assert value(central, "dump_last_success_timestamp_seconds", database="postgres") > last - 120
    assert value(central, "incident_acknowledged") == 0 and 0 < value(central, "incident_remaining_seconds") <= 3600
    assert value(host, "check_status", check="incidents") == 1
    assert "WARNING" in page and "Yes, from repo0." in page and "<script" not in page

    told = {name for name, _labels in (*host, *central)}
    assert {m.full_name for name, m in METRICS.items() if name not in ELSEWHERE} <= told
    assert {name for name, _labels in host} <= {m.full_name for m in METRICS.values() if m.source != REPOSITORY}
    assert {name for name, _labels in central} <= {
        m.full_name for m in METRICS.values() if m.source in (REPOSITORY, PROGRAM)
    }


def test_a_broken_audit_trail_is_reported_once_it_was_verified(protected: Site, tmp_path: Path) -> None:
    site = protected
    site.backup()
    site.lifeboat("dump", "create", "postgres")
    site.lifeboat("verify")
    (tmp_path / "fleet").mkdir()
    shutil.copy(site.config_file, tmp_path / "fleet/main.yml")
    with exporter(site, tmp_path / "fleet", "--interval", "1") as url:
        assert value(scraped(read(f"{url}/metrics")), "audit_faults") == 0
        events = sorted((tmp_path / "store/main/audit").rglob("*.json"))
        assert len(events) >= 3
        events[1].unlink()
        site.lifeboat("verify", status=None)
        until(lambda: value(scraped(read(f"{url}/metrics")), "audit_faults") >= 1, "the fault")


def test_the_exporter_outlives_the_store_and_tells_of_it(protected: Site, tmp_path: Path) -> None:
    site = protected
    site.backup()
    directory = tmp_path / "fleet"
    directory.mkdir()
    shutil.copy(site.config_file, directory / "main.yml")
    (directory / "broken.yml").write_text("cluster: [\n")
    with exporter(site, directory, "--interval", "0.3", "--page", str(tmp_path / "index.html")) as url:
        before = scraped(read(f"{url}/metrics"))
        assert value(before, "exporter_unusable_configurations") == 1
        store = tmp_path / "store"
        away = store.rename(tmp_path / "away")
        try:
            until(lambda: value(scraped(read(f"{url}/metrics")), "repository_up") == 0, "the store to be missed")
            # What was known stays: an age rule goes on counting.
            lost = scraped(read(f"{url}/metrics"))
            name = "backup_last_success_timestamp_seconds"
            assert value(lost, name, type="full") == value(before, name, type="full")
            assert "AT RISK" in read(url) and "broken.yml" in read(url)
        finally:
            away.rename(store)
        until(lambda: value(scraped(read(f"{url}/metrics")), "repository_up") == 1, "the store to be back")
        until(lambda: "Can we restore now?" in (tmp_path / "index.html").read_text(), "the page as a file")


def test_what_a_second_repository_lacks_and_contradicts(sites: Sites, a_postgres: Installation, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("near", "far")]
    for place in places:
        place.mkdir()
    site = sites(a_postgres, *(DirectoryOptions(str(place)) for place in places), fresh=True)
    label = site.backup()["label"]
    (tmp_path / "fleet").mkdir()
    shutil.copy(site.config_file, tmp_path / "fleet/main.yml")
    base = places[1] / "main/backups" / label / "base.tar.zst"
    segment = max((places[1] / "main/wal").rglob("*.zst"))
    lacking = segment.stat().st_size
    segment.unlink()
    base.chmod(0o600)
    base.write_bytes(base.read_bytes()[:-100])
    with exporter(site, tmp_path / "fleet") as url:
        found = scraped(read(f"{url}/metrics"))
    lag = {name: value(found, "repository_lag_bytes", repository=name) for name in ("repo0", "repo1")}
    assert lag == {"repo0": 0, "repo1": lacking}
    assert [value(found, "repository_conflicts", repository=name) for name in ("repo0", "repo1")] == [1, 1]
