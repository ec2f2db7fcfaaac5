# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong between two sites: a primary that cannot see the claim, a promotion that was never finished, and a
planned change that is called off.
"""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import children, until
from support.standby import Standby, fed_by_segments

pytestmark = pytest.mark.integration


@pytest.fixture
def stores(tmp_path: Path) -> List[DirectoryOptions]:
    """A directory of each site."""
    made = [tmp_path / name for name in ("east", "west")]
    for path in made:
        path.mkdir()
    return [DirectoryOptions(str(path)) for path in made]


def made(sites: Sites, installation: Installation, stores: List[DirectoryOptions]) -> Site:
    return sites(
        installation, *stores, segment_mb=1, archive_timeout=0, track_commit_timestamp="on", options={"site": "east"}
    )


def archived(site: Site, ledger: Ledger) -> str:
    """Commit, and wait until the segment is archived: its name."""
    ledger.write(1)
    return str(site.cluster.switch_wal())


def test_a_primary_that_cannot_see_the_claim_goes_on_until_it_does(
    sites: Sites, newest_postgres: Installation, stores: List[DirectoryOptions]
) -> None:
    site = made(sites, newest_postgres, stores)
    ledger, standby = fed_by_segments(site)
    site.lifeboat("leader", "claim", "--kind", "first")
    standby.write(site="west", repositories=[site.repositories[1], {**site.repositories[0], "required": False}])
    saved = list(ledger.entries)

    # Each side sees only its own store. What east requires is what it still sees: so it archives on.
    site.write(repositories=site.repositories[:1])
    standby.lifeboat("leader", "claim", "--kind", "failover")
    standby.promote()
    assert not standby.lifeboat("standby", "settle").data["missing"]
    standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'by west')")
    standby.cluster.switch_wal()
    name = archived(site, ledger)
    assert list(Path(stores[0].path).rglob(f"{name}.zst")) and not list(Path(stores[1].path).rglob(f"{name}.zst"))
    assert site.lifeboat("leader", "check").data["leads"]

    # It sees the other store again: it is deposed, and its commits are named.
    site.write()
    assert site.lifeboat("leader", "check", status=2).data["deposed"]
    assert site.lifeboat("leader", "guard", status=77).data["may_serve"] is False
    site.cluster.stop()
    told = site.lifeboat("standby", "diverged").data
    assert told["xids"] == [entry.xid for entry in ledger.entries[len(saved) :]]
    assert rows(standby.cluster) == [*expected(saved), (1001, "by west")]


def test_a_promotion_that_was_never_finished_blocks_no_other(
    sites: Sites, postgres: Installation, stores: List[DirectoryOptions]
) -> None:
    """Its history is in the archive, as after kill -9 of a server that was just promoted."""
    site = made(sites, postgres, stores[:1])
    ledger, standby = fed_by_segments(site)
    (system,) = site.repository_dir.glob("wal/*")
    (system / "00000002.history").write_text("1\t0/1000028\tno recovery target specified\n")
    site.cluster.kill9()
    until(
        lambda: "00000002.history is not followed yet" in standby.log(), "the standby to see the history", standby.log
    )
    # While restore_command runs, as most of the time.
    startup = int(standby.cluster.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'"))
    until(lambda: children(startup), "a question of the standby")
    standby.promote()
    standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'after')")
    assert str(standby.cluster.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")).startswith("00000003")
    standby.cluster.switch_wal()
    clone = site.clone("restored")
    standby.lifeboat(*restore_arguments(clone))
    assert rows(clone) == [*expected(ledger.entries), (1001, "after")]


def test_a_server_that_is_killed_when_its_history_is_archived_goes_on_as_the_primary(
    sites: Sites, newest_postgres: Installation, stores: List[DirectoryOptions], tmp_path: Path
) -> None:
    """kill -9 of the whole new primary, at the moment from which others follow it."""
    site = made(sites, newest_postgres, stores[:1])
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(2)
    site.cluster.switch_wal()
    standby, here = Standby(site, own=True), tmp_path / "here"
    wait = f"[ ! -e {here} ] && case %f in *.history) touch {here}; sleep 600;; esac"
    standby.restore("--set", f"archive_command={standby.archive_command} && {{ {wait}; true; }}")
    standby.has(ledger.entries)
    site.cluster.kill9()
    site.lifeboat("leader", "claim", "--kind", "first")
    standby.write(site="west")
    standby.lifeboat("leader", "claim", "--kind", "failover", "--token", "attempt-one")
    standby.cluster.pg_ctl("promote", "-W")
    until(here.exists, "the history in the archive", standby.log)
    assert list(site.repository_dir.glob("wal/*/00000002.history"))
    standby.cluster.kill9()

    # Its unit starts it again, and the failover is repeated: the same epoch, and a sound timeline.
    standby.cluster.start()
    assert not standby.lifeboat("leader", "claim", "--kind", "failover", "--token", "attempt-one").data["changed"]
    until(lambda: not standby.recovering, "the promotion", standby.log)
    assert not standby.lifeboat("standby", "settle").data["missing"]
    standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'after')")
    standby.cluster.switch_wal()
    clone = site.clone("restored")
    standby.lifeboat(*restore_arguments(clone))
    assert rows(clone) == [*expected(ledger.entries), (1001, "after")]


def test_a_planned_change_that_is_called_off_leaves_a_sound_archive(
    sites: Sites, newest_postgres: Installation, stores: List[DirectoryOptions]
) -> None:
    site = made(sites, newest_postgres, stores[:1])
    ledger, standby = fed_by_segments(site)
    site.lifeboat("leader", "claim", "--kind", "first")
    site.lifeboat("standby", "follow", "--running")
    site.cluster.stop()
    stop = site.lifeboat("standby", "handover").data["handover_lsn"]
    standby.settled(stop)
    # Nothing was claimed: it may be started again, as the primary that it was.
    assert site.lifeboat("leader", "check").data["leads"]
    (site.cluster.data_dir / "standby.signal").unlink()
    site.cluster.start()
    assert not site.cluster.value("SELECT pg_is_in_recovery()")
    archived(site, ledger)
    standby.has(ledger.entries)
    assert standby.recovering and "WalConflict" not in standby.log() and "wal_conflict" not in standby.log()
    clone = site.clone("restored")
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)
