# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby rewind``: an old primary follows the new one by ``pg_rewind``, and what it undoes is stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Tuple

import pytest
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import run_program, until
from support.standby import Standby, fed_by_segments

pytestmark = pytest.mark.integration


def split(
    sites: Sites, installation: Installation, wrote: int = 3, checkpoint: str = "CHECKPOINT", **settings: Any
) -> Tuple[Site, Standby, Ledger, int]:
    """An old primary that wrote on after its standby was promoted, and was killed; the rows that both have."""
    if not os.path.exists(installation.program("pg_rewind")):
        pytest.skip(f"{installation} has no pg_rewind")
    site = sites(installation, segment_mb=1, archive_timeout=0, track_commit_timestamp="on", **settings)
    ledger, standby = fed_by_segments(site)
    standby.promote()
    standby.cluster.execute(checkpoint, "INSERT INTO ledger VALUES (1001, 'new')")
    standby.cluster.switch_wal()
    common = len(ledger.entries)
    if wrote:
        ledger.write(wrote)
        site.cluster.execute("CREATE TABLE lost AS SELECT generate_series(1, 1000)")
    return site, standby, ledger, common


def connected(site: Site, standby: Standby, role: str = "postgres") -> None:
    where = standby.cluster
    site.write(standby={"primary_conninfo": f"host={where.socket_dir} port={where.port} user={role}"})


@pytest.mark.parametrize("how", ["killed", "WAL gone"])
def test_an_old_primary_is_rewound_and_follows(sites: Sites, postgres: Installation, how: str) -> None:
    site, standby, ledger, common = split(sites, postgres, wal_log_hints="on")
    if how == "killed":
        site.cluster.kill9()
    else:
        # What pg_rewind reads from the last common checkpoint on is in the archive alone.
        site.cluster.stop()
        wal = (site.cluster.data_dir / "pg_wal").iterdir()
        gone = [p for p in wal if len(p.name) == 24 and list(site.repository_dir.rglob(f"{p.name}.zst"))]
        assert gone
        for path in gone:
            path.unlink()
    connected(site, standby)
    planned = site.lifeboat("standby", "rewind", "--plan").data
    assert planned["changed"] and planned["commits"] == 4 and not list(site.repository_dir.rglob("diverged.json"))
    told = site.lifeboat("standby", "rewind").data
    assert told["changed"] and told["label"] and told["commits"] == 4
    site.cluster.start()
    wanted = [*expected(ledger.entries[:common]), (1001, "new")]
    until(lambda: rows(site.cluster) == wanted, "the old primary to follow", site.cluster.log.read_text)
    assert site.cluster.value("SELECT pg_is_in_recovery()")
    assert site.cluster.value("SELECT to_regclass('lost') IS NULL")
    standby.cluster.execute("INSERT INTO ledger VALUES (1002, 'streamed')")
    until(lambda: rows(site.cluster) == [*wanted, (1002, "streamed")], "the stream", site.cluster.log.read_text)
    site.cluster.stop()
    # It did not diverge again.
    again = site.lifeboat("standby", "rewind").data
    assert not again["changed"] and not again["diverged"]
    assert not list(site.cluster.data_dir.parent.glob(".lifeboat-rewind-*"))


def test_one_that_did_not_diverge_follows_or_is_refused(sites: Sites, postgres: Installation) -> None:
    """Never left as it is: it would start as a second primary."""
    site, standby, _ledger, _common = split(sites, postgres, wrote=0, wal_log_hints="on")
    connected(site, standby)
    site.cluster.kill9()
    error = site.lifeboat("standby", "rewind", status=1).error
    assert error["error_code"] == "standby_refused" and "not shut down cleanly" in error["message"]
    assert not (site.cluster.data_dir / "standby.signal").exists()


def test_a_new_primary_without_a_checkpoint_is_told(sites: Sites, postgres: Installation) -> None:
    """Up to PostgreSQL 15 pg_rewind would find nothing to do, and leave pages that were never undone."""
    site, standby, _ledger, _common = split(sites, postgres, checkpoint="SELECT 1", wal_log_hints="on")
    site.cluster.stop()
    (site.cluster.data_dir / "server.key").write_text("ours")
    (site.cluster.data_dir / "server.key").chmod(0o400)
    connected(site, standby)
    done = site.lifeboat("standby", "rewind", status=None)
    if done.status:
        assert done.error["error_code"] == "standby_refused" and "CHECKPOINT" in done.error["hint"]
        assert not (site.cluster.data_dir / "standby.signal").exists()
        standby.cluster.execute("CHECKPOINT")
        assert site.lifeboat("standby", "rewind").data["changed"]
    assert (site.cluster.data_dir / "server.key").read_text() == "ours"
    assert (site.cluster.data_dir / "server.key").stat().st_mode & 0o777 == 0o400


def test_without_what_pg_rewind_needs_nothing_is_changed(sites: Sites, postgres: Installation) -> None:
    site, standby, _ledger, _common = split(sites, postgres)

    def refused() -> str:
        error = site.lifeboat("standby", "rewind", status=1).error
        assert error["error_code"] == "standby_refused", error
        return f"{error['message']} {error['hint']}"

    assert site.lifeboat("standby", "rewind", status=1).error["error_code"] == "data_directory_refused"
    site.cluster.stop()
    assert "primary_conninfo is not set" in refused()
    run_program(postgres.program("pg_checksums"), "--disable", "--pgdata", str(site.cluster.data_dir))
    connected(site, standby)
    assert "neither data checksums nor wal_log_hints" in refused()
    site.cluster.start()
    site.cluster.execute("ALTER SYSTEM SET wal_log_hints = on")
    site.cluster.stop()
    standby.cluster.execute("CREATE ROLE replicator LOGIN REPLICATION")
    connected(site, standby, "replicator")
    assert "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text)" in refused()
    # It is still what it was.
    site.cluster.start()
    assert site.cluster.value("SELECT count(*) FROM lost") == 1000


def test_one_that_stopped_half_way_is_restored(sites: Sites, postgres: Installation) -> None:
    """As with a full disk: pg_rewind cannot write a file."""
    site, standby, ledger, common = split(sites, postgres, wal_log_hints="on")
    standby.cluster.execute("CREATE TABLE big AS SELECT i, repeat('x', 900) FROM generate_series(1, 20000) AS i")
    standby.cluster.switch_wal()
    oid = str(site.cluster.value("SELECT oid FROM pg_database WHERE datname = current_database()"))
    site.cluster.stop()
    connected(site, standby)
    database = site.cluster.data_dir / "base" / oid
    database.chmod(0o500)
    error = site.lifeboat("standby", "rewind", status=1).error
    database.chmod(0o700)
    assert error["error_code"] == "rewind_failed" and "standby_rejoin=delta" in error["hint"]
    (label,) = [p.parent.name for p in site.repository_dir.rglob("diverged.json")]
    assert site.lifeboat("standby", "follow", status=1).error["error_code"] == "standby_refused"
    words = restore_arguments(site.cluster, "--action", "standby", "--delta")
    site.lifeboat(*words)
    wanted = [*expected(ledger.entries[:common]), (1001, "new")]
    until(lambda: rows(site.cluster) == wanted, "the old primary to follow", site.cluster.log.read_text)
    assert [p.parent.name for p in Path(site.repository_dir).rglob("diverged.json")] == [label]
