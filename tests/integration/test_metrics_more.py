# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of what not every cluster has: a stream, an agent, a standby, shipped logs, and locks."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from lifeboat.base.wal_names import parse_lsn
from support.installations import Installation
from support.ledger import Ledger
from support.locked import locked_bucket
from support.monitoring import read
from support.postgres import Sites
from support.processes import until
from support.scraping import Scrape, exporter, scraped, value
from support.standby import Standby
from support.stores import SeaweedFS
from support.walagent import AgentProcess, archive_by
from support.walstream import Streams, reach, streamed_site

pytestmark = pytest.mark.integration


def test_a_stream_an_agent_a_standby_logs_and_locks(
    sites: Sites, a_postgres: Installation, seaweedfs: SeaweedFS, streams: Streams, tmp_path: Path
) -> None:
    options = locked_bucket(seaweedfs, "governance", tmp_path)["admin"]
    site = streamed_site(sites, a_postgres, options)
    ledger, _stream, agent = Ledger(site.cluster), streams(site), AgentProcess(site)
    try:
        archive_by(site)
        ledger.write(5)
        site.cluster.switch_wal()
        ledger.write(5)
        flushed = parse_lsn(str(site.cluster.value("SELECT pg_current_wal_flush_lsn()")))
        until(lambda: reach(site) >= flushed, "the pieces")
        (tmp_path / "app.log").write_text("somebody came in\n")
        sources = [{"stream": "app", "files": [str(tmp_path / "app.log")]}]
        site.write(logs={"state_dir": str(tmp_path / "logs"), "interval": 1, "sources": sources})
        site.lifeboat("log-ship", "--once")
        standby = Standby(site)
        standby.restore()
        standby.settled()

        def told(config_file: Path) -> Scrape:
            output = tmp_path / "main.prom"
            site.lifeboat("metrics", "--jobs-dir", str(tmp_path), "--output", str(output), config_file=config_file)
            return scraped(output.read_text())

        host, behind = told(site.config_file), told(standby.config_file)
        (tmp_path / "fleet").mkdir()
        shutil.copy(site.config_file, tmp_path / "fleet/main.yml")
        with exporter(site, tmp_path / "fleet") as url:
            central = scraped(read(f"{url}/metrics"))
    finally:
        agent.close()
    assert value(host, "wal_agent_up") == 1 and value(host, "stream_up") == 1
    assert value(host, "stream_lag_bytes") < 2**20 and value(host, "slot_retained_bytes") >= 0
    assert value(behind, "server_in_recovery") == 1 and value(behind, "standby_lag_seconds") < 900
    now = time.time()
    assert abs(value(central, "stream_newest_piece_timestamp_seconds") - now) < 300
    assert abs(value(central, "log_last_shipped_timestamp_seconds", stream="app") - now) < 300
    assert value(central, "lock_until_timestamp_seconds") > now
