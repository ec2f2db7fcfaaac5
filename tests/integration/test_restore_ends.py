# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where recovery ends in odd clusters, and that a restored server does not act for the cluster."""

from __future__ import annotations

import pytest
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import until

pytestmark = pytest.mark.integration


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation) -> Site:
    return sites(newest_postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")


def test_the_archive_ends_within_a_record_of_several_segments(site: Site) -> None:
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(2)
    segment = "SELECT pg_walfile_name(pg_current_wal_lsn())"
    before = str(site.cluster.value(segment))
    site.cluster.execute("SELECT pg_logical_emit_message(true, 'lifeboat', repeat('x', 4000000))")
    after = str(site.cluster.value(segment))
    site.cluster.switch_wal()
    site.cluster.kill9()
    # The host was lost before the last one was archived.
    for path in site.repository_dir.glob("wal/*/*/*/*.zst"):
        if path.name[:24] >= after:
            path.unlink()
    for path in site.repository_dir.glob("wal/*/*/*/*.acknowledged"):
        if path.name[:24] >= after:
            path.unlink()
    assert int(after, 16) - int(before, 16) >= 3
    clone = site.clone("clone")
    done = site.lifeboat(*restore_arguments(clone)).data["restore"]
    assert rows(clone) == expected(ledger.entries)
    assert "within a WAL record longer than a segment" in str(done["warnings"])
    # Damage in the middle of the archive is no such end.
    damaged = min(p for p in site.repository_dir.glob("wal/*/*/*/*.zst") if p.name[:24] > before)
    damaged.chmod(0o600)
    damaged.write_bytes(b"damaged")
    assert site.lifeboat(*restore_arguments(site.clone("another")), status=None).status != 0


def test_a_target_that_is_left_in_the_configuration_ends_nothing(site: Site) -> None:
    site.cluster.configure({"recovery_target_name": "'early'"})
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(1)
    site.cluster.execute("SELECT pg_create_restore_point('early')")
    ledger.write(2)
    site.cluster.switch_wal()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


@pytest.mark.parametrize("name", ["before\u2028after", "caf\u00e9"])
def test_a_restore_point_may_have_any_name(site: Site, name: str) -> None:
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(1)
    site.cluster.execute(f"SELECT pg_create_restore_point('{name}')")
    saved = list(ledger.entries)
    ledger.write(1)
    site.cluster.switch_wal()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone, "--name", name))
    assert rows(clone) == expected(saved)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
def test_a_prepared_transaction_is_a_target(sites: Sites, newest_postgres: Installation, inclusive: bool) -> None:
    site = sites(newest_postgres, segment_mb=1, track_commit_timestamp="on", max_prepared_transactions="2")
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(1)
    connection = site.cluster.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ledger VALUES (1001, 'prepared') RETURNING xmin::text")
        xid = cursor.fetchone()[0]
        cursor.execute("PREPARE TRANSACTION 'two phases'")
    connection.close()
    saved = list(ledger.entries)
    site.cluster.execute("COMMIT PREPARED 'two phases'")
    ledger.write(1)
    site.cluster.switch_wal()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone, "--xid", xid, *([] if inclusive else ["--exclusive"])))
    assert rows(clone) == [*expected(saved), *([(1001, "prepared")] if inclusive else [])]


def test_a_clone_takes_nothing_from_a_publisher(sites: Sites, newest_postgres: Installation, site: Site) -> None:
    publisher = sites(newest_postgres, wal_level="logical").cluster
    publisher.execute("CREATE TABLE told (n int PRIMARY KEY)", "CREATE PUBLICATION news FOR TABLE told")
    cluster = site.cluster
    where = f"host={publisher.socket_dir} port={publisher.port} user=postgres dbname=postgres"
    cluster.execute("CREATE TABLE told (n int PRIMARY KEY)")
    cluster.execute(f"CREATE SUBSCRIPTION s CONNECTION '{where}' PUBLICATION news")
    publisher.execute("INSERT INTO told VALUES (1)")
    until(lambda: cluster.rows("SELECT n FROM told") == [(1,)], "the first row")
    site.backup()
    cluster.switch_wal()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone))
    log = (clone.data_dir / "lifeboat_restore.log").read_text()
    assert "logical replication" not in log and clone.value("SHOW max_logical_replication_workers") == "0"
    cluster.stop()
    publisher.execute("INSERT INTO told VALUES (2)")
    workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'"
    assert clone.value(workers) == 0
    cluster.start()
    until(
        lambda: cluster.rows("SELECT n FROM told ORDER BY n") == [(1,), (2,)], "the row that only the subscriber gets"
    )
    assert clone.rows("SELECT n FROM told") == [(1,)]


def test_whoever_wants_a_clone_to_subscribe_says_so(site: Site) -> None:
    site.backup()
    site.cluster.switch_wal()
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone, "--set", "max_logical_replication_workers=3"))
    assert clone.value("SHOW max_logical_replication_workers") == "3"
