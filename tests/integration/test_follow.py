# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby follow``: a server that may not follow is refused, and left unchanged."""

from __future__ import annotations

import pytest
from lifeboat.base.wal_names import parse_lsn
from support.installations import Installation
from support.ledger import Ledger
from support.postgres import Sites
from support.processes import until
from support.standby import fed_by_segments
from support.walstream import Streams, reach, streamed_site

pytestmark = pytest.mark.integration


def test_a_primary_that_went_on_behind_the_fork_is_refused(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    ledger, standby = fed_by_segments(site, 1)
    standby.promote()
    until(lambda: not standby.recovering, "the promotion")
    standby.cluster.switch_wal()
    before = (site.cluster.data_dir / "postgresql.auto.conf").read_text()

    running = site.lifeboat("standby", "follow", status=1).error
    assert running["error_code"] == "data_directory_refused"
    # It commits on its own timeline, which the cluster has left.
    ledger.write(1)
    site.cluster.stop()
    refused = site.lifeboat("standby", "follow", status=1).error
    assert refused["error_code"] == "standby_refused" and "which the cluster left at" in refused["message"]
    assert "--action standby" in refused["hint"]
    assert (site.cluster.data_dir / "postgresql.auto.conf").read_text() == before
    assert not (site.cluster.data_dir / "standby.signal").exists()


def test_a_server_that_crashed_is_refused(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0)
    site.backup()
    site.cluster.stop("immediate")
    refused = site.lifeboat("standby", "follow", status=1).error
    assert refused["error_code"] == "standby_refused" and "not shut down cleanly" in refused["message"]


def test_a_running_primary_is_prepared_and_its_stream_waits_for_the_promotion(
    sites: Sites, newest_postgres: Installation, streams: Streams
) -> None:
    site = streamed_site(sites, newest_postgres)
    assert site.lifeboat("standby", "follow", "--running").data["changed"]
    assert not site.cluster.value("SELECT pg_is_in_recovery()")
    site.cluster.stop()
    site.cluster.start()
    assert site.cluster.value("SELECT pg_is_in_recovery()")
    stream = streams(site)
    site.cluster.pg_ctl("promote", "-w")
    ledger = Ledger(site.cluster)
    ledger.write(1)
    lsn = parse_lsn(site.cluster.value("SELECT pg_current_wal_flush_lsn()"))
    until(lambda: reach(site) >= lsn, "pieces of the new timeline")
    assert "begins once it is promoted" in stream.words()
