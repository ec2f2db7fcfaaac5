# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story of two sites on one machine: a site is lost with its store, the other takes over, the old primary is
back and rejoins, and the leadership moves back as planned.

Each step has tests of its own; here they have to fit together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import until
from support.standby import Standby, follow, fork_of
from support.walstream import Streams, opened, stored_up_to, streamed_site

pytestmark = pytest.mark.integration

EAST, WEST = 0, 1


def wal_in(site: Site, number: int) -> Set[str]:
    repository = opened(site, number)
    try:
        return {info.key for info in repository.store.list(repository.layout.wal_root(site.cluster.system_identifier))}
    finally:
        repository.store.close()


def epochs(standby: Standby) -> List[str]:
    """The sites of all epochs; nothing is set apart, and no two repositories contradict each other."""
    told = standby.lifeboat("leader", "show").data
    assert not told["set_apart"] and not told["conflicts"] and not told["unread"]
    return [epoch["site"] for epoch in told["epochs"]]


def test_a_site_is_lost_and_comes_back(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams, tmp_path: Path
) -> None:
    here, away = tmp_path / "east", tmp_path / "away"
    here.mkdir()
    east = streamed_site(
        sites, newest_postgres, DirectoryOptions(str(here)), s3_options, options={"site": "east"}, max_wal_size="64MB"
    )
    assert east.lifeboat("leader", "claim", "--kind", "first").data["epoch"]["epoch"] == 1
    ledger, stream = Ledger(east.cluster), streams(east)
    ledger.write(2)
    east.cluster.switch_wal()

    # A standby by the archive and the pieces alone.
    west = Standby(east, own=True)
    west.write(site="west")
    west.restore()
    ledger.write(3)
    west.has(ledger.entries)
    assert not west.cluster.value("SELECT count(*) FROM pg_stat_wal_receiver")

    # The site is gone, with what was never stored.
    stored_up_to(east, WEST)
    stream.close()
    saved = list(ledger.entries)
    ledger.write(2)
    east.cluster.kill9()
    here.rename(away)
    seen = west.lifeboat("standby", "loss", status=2).data
    assert seen["verdict"] == "needs_acceptance" and list(seen["unread"]) == ["repo0"] and not seen["missing"]
    accepted = west.lifeboat("standby", "loss", "--accept-loss", seen["lsn"]).data
    assert accepted["verdict"] == "ok"

    # Nothing is claimed while a required repository is away; once it is given up, the claim is made.
    claim = ("leader", "claim", "--kind", "failover", "--token", "attempt-one")
    assert west.lifeboat(*claim, status=1).error["error_code"] == "bucket_missing"
    assert west.lifeboat("leader", "show").data["leader"] == "east"
    given_up = [east.repositories[WEST], {**east.repositories[EAST], "required": False}]
    west.write(site="west", repositories=given_up)
    assert west.lifeboat(*claim).data["epoch"]["epoch"] == 2
    assert not west.lifeboat(*claim).data["changed"]
    west.promote()
    assert not west.lifeboat("standby", "settle").data["missing"]
    assert rows(west.cluster) == expected(saved)
    west.cluster.execute("INSERT INTO ledger VALUES (1001, 'by west')")
    west.cluster.switch_wal()

    # The old primary is back, with its store, and commits once more: it may archive nothing.
    away.rename(here)
    assert east.lifeboat("leader", "guard", status=77).data["may_serve"] is False
    before = [wal_in(east, number) for number in (EAST, WEST)]
    east.cluster.start()
    ledger.write(1)
    name = str(east.cluster.value("SELECT pg_walfile_name(pg_switch_wal())"))
    failed = f"SELECT count(*) FROM pg_stat_archiver WHERE failed_count > 0 AND last_failed_wal <= '{name}'"
    until(lambda: east.cluster.value(failed), "a refused segment", east.cluster.log.read_text)
    assert "[deposed]" in east.cluster.log.read_text()
    assert [wal_in(east, number) for number in (EAST, WEST)] == before
    east.cluster.stop()

    # Its store gets what it lacks, the epoch too.
    west.write(site="west")
    assert west.lifeboat("sync", "--to", "repo0").status == 0
    assert epochs(west) == ["east", "west"]
    lost = [entry.xid for entry in ledger.entries[len(saved) :]]
    told: Dict[str, Any] = dict(east.lifeboat("standby", "diverged").data)
    assert told["xids"] == lost and told["repositories"] == ["repo0", "repo1"]

    # It cannot follow as it is, and is restored where it is.
    assert east.lifeboat("standby", "follow", status=1).error["error_code"] == "standby_refused"
    east.lifeboat(*restore_arguments(east.cluster, "--action", "standby", "--delta"))
    wanted = [*expected(saved), (1001, "by west")]
    until(lambda: rows(east.cluster) == wanted, "the old primary to follow", east.cluster.log.read_text)

    # And back, as planned: nothing is lost.
    west.cluster.execute("INSERT INTO ledger VALUES (1002, 'the last by west')")
    wanted.append((1002, "the last by west"))
    west.cluster.stop()
    stop = west.lifeboat("standby", "handover").data["handover_lsn"]
    replayed = "SELECT pg_last_wal_replay_lsn()::text"
    until(lambda: east.cluster.value(replayed) == stop, "the hand-over LSN", east.cluster.log.read_text)
    back = east.lifeboat("leader", "claim", "--kind", "switchover", "--handover-lsn", stop).data["epoch"]
    assert (back["epoch"], back["site"], back["handover_lsn"]) == (3, "east", stop)
    east.cluster.pg_ctl("promote", "-w")
    assert fork_of(east.cluster.data_dir, 3) == stop and rows(east.cluster) == wanted
    east.cluster.execute("INSERT INTO ledger VALUES (1003, 'by east again')")
    until(lambda: east.cluster.switch_wal(), "a segment of the new timeline in the archive")
    follow(east, west.cluster, west.config_file)
    wanted.append((1003, "by east again"))
    until(lambda: rows(west.cluster) == wanted, "the other one to follow", west.log)
    assert epochs(west) == ["east", "west", "east"]
    assert east.lifeboat("leader", "check").data["leads"] and west.lifeboat("leader", "check", status=2).data["deposed"]
