# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A standby that streams from its primary, with the repository behind it: whichever is cut, the other one feeds it."""

from __future__ import annotations

import pytest
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Cluster, Site, Sites
from support.processes import until
from support.standby import Standby, follow, fork_of

pytestmark = pytest.mark.integration

_REJECT = "local replication all reject\n"


def conninfo(primary: Cluster) -> str:
    return f"host={primary.socket_dir} port={primary.port} user=postgres application_name=other_site"


def cut(primary: Cluster) -> None:
    """No standby streams from this server any more."""
    hba = primary.data_dir / "pg_hba.conf"
    hba.write_text(_REJECT + hba.read_text())
    primary.execute("SELECT pg_reload_conf()")
    primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")


def heal(primary: Cluster) -> None:
    hba = primary.data_dir / "pg_hba.conf"
    hba.write_text(hba.read_text().replace(_REJECT, ""))
    primary.execute("SELECT pg_reload_conf()")


def streaming(standby: Cluster) -> bool:
    return bool(standby.value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"))


@pytest.fixture
def site(sites: Sites, postgres: Installation) -> Site:
    return sites(postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on", max_wal_size="2MB")


@pytest.fixture
def standby(site: Site) -> Standby:
    """It streams, and has what the ledger committed."""
    site.backup()
    found = Standby(site, own=True)
    found.write(standby={"primary_conninfo": conninfo(site.cluster)})
    found.restore()
    until(lambda: streaming(found.cluster), "the stream", found.log)
    return found


def test_the_repository_takes_over_while_the_stream_is_cut_and_hands_back(site: Site, standby: Standby) -> None:
    ledger = Ledger(site.cluster)
    ledger.write(2)
    standby.has(ledger.entries)
    assert not list(site.repository_dir.glob("wal/*/*/*/*.partial.zst"))
    started = standby.cluster.value("SELECT pg_postmaster_start_time()")

    cut(site.cluster)
    for _ in range(6):
        ledger.write(1)
        last = site.cluster.switch_wal()
    # The primary removes what the standby has not received from it: no slot keeps it.
    site.cluster.execute("CHECKPOINT")
    until(lambda: not (site.cluster.data_dir / "pg_wal" / last).exists(), "the primary to remove WAL", str)
    standby.has(ledger.entries)
    assert not streaming(standby.cluster)

    heal(site.cluster)
    ledger.write(1)
    standby.has(ledger.entries)
    until(lambda: streaming(standby.cluster), "the stream", standby.log)
    assert standby.cluster.value("SELECT pg_postmaster_start_time()") == started
    assert site.cluster.value("SELECT count(*) FROM pg_replication_slots") == 0


def test_with_the_stream_blocked_a_planned_change_loses_nothing_either(site: Site, standby: Standby) -> None:
    ledger = Ledger(site.cluster)
    ledger.write(1)
    cut(site.cluster)
    ledger.write(2)
    site.cluster.stop()
    stop = site.lifeboat("standby", "handover").data["handover_lsn"]
    standby.settled(stop)
    standby.promote()
    assert fork_of(standby.cluster.data_dir, 2) == stop and rows(standby.cluster) == expected(ledger.entries)

    # The other way round: the old primary streams from the new one, and nothing is left behind on either.
    site.options["standby"] = {"primary_conninfo": conninfo(standby.cluster)}
    site.write()
    until(lambda: standby.cluster.switch_wal(), "a segment of the new timeline in the archive")
    follow(site, site.cluster, site.config_file)
    until(lambda: streaming(site.cluster), "the stream", site.cluster.log.read_text)
    standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'there')")
    wanted = [*expected(ledger.entries), (1001, "there")]
    until(lambda: rows(site.cluster) == wanted, "the row", site.cluster.log.read_text)
    for cluster in (site.cluster, standby.cluster):
        assert cluster.value("SELECT count(*) FROM pg_replication_slots") == 0
