# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan shows before anything is stopped: other timelines, slots, and a running server."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> Site:
    (tmp_path / "repository").mkdir()
    return sites(newest_postgres, DirectoryOptions(str(tmp_path / "repository")), segment_mb=1, archive_timeout=0)


def write(site: Site) -> str:
    """Commit and archive; the time right after the commit."""
    site.cluster.execute("INSERT INTO t SELECT coalesce(max(i), 0) + 1 FROM t")
    after = str(site.cluster.value("SELECT clock_timestamp() AT TIME ZONE 'UTC'"))
    site.cluster.execute("INSERT INTO t SELECT max(i) + 1 FROM t")
    site.cluster.switch_wal()
    return f"{after}+00"


def test_a_moment_of_an_abandoned_timeline_is_reported_while_the_server_runs(site: Site) -> None:
    cluster = site.cluster
    cluster.execute("CREATE TABLE t (i int)", "SELECT pg_create_physical_replication_slot('standby1')")
    label = site.backup()["label"]
    before = write(site)
    cluster.execute("SELECT pg_create_restore_point('here')")
    write(site)
    abandoned = write(site)
    cluster.stop()
    site.lifeboat("restore", "--existing", "move_aside", "--timeout", "180", "--name", "here")
    write(site)

    words = ("restore", "--dry-run", "--existing", "move_aside", "--time")
    planned = site.lifeboat(*words, abandoned).data
    (warning,) = planned["warnings"]
    assert "timeline 1, abandoned" in warning and "--timeline 1" in warning
    assert planned["lost_replication_slots"] == {"standby1": "physical"}
    assert any("standby1 (physical)" in note for note in planned["notes"])
    assert any("a server is running in" in note for note in planned["notes"])
    assert site.lifeboat(*words, abandoned, "--timeline", "1").data["warnings"] == []
    assert site.lifeboat(*words, before).data["warnings"] == []
    assert cluster.value("SELECT max(i) FROM t") == 4
    shown = site.lifeboat("show", "latest").data
    assert shown["label"] == label and shown["requirements"]["replication_slots"] == {"standby1": "physical"}
    # The restore itself still refuses a running server.
    refused = site.lifeboat("restore", "--existing", "move_aside", status=1).error
    assert refused["error_code"] == "data_directory_refused" and "is running" in refused["message"]
