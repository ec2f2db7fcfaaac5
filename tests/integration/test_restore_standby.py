# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A base backup from a streaming standby, with the primary's WAL archive, restores the cluster."""

from __future__ import annotations

import subprocess

import pytest
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Sites, restore_arguments
from support.processes import run_program, until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("method", ["stream", "parallel"])
def test_a_backup_from_a_standby_is_restored(postgres: Installation, sites: Sites, method: str) -> None:
    site = sites(postgres, track_commit_timestamp="on")
    primary = site.cluster
    ledger = Ledger(primary)
    ledger.write(2)
    standby = site.clone("standby")
    run_program(
        postgres.program("pg_basebackup"), "-D", str(standby.data_dir), "-R", "-c", "fast",
        "-h", str(primary.socket_dir), "-p", str(primary.port), "-U", "postgres",
    )  # fmt: skip
    standby.configure(standby.network)
    standby.start()
    until(lambda: primary.value("SELECT count(*) FROM pg_stat_replication"), "the standby to stream")
    of_standby = site.write(
        site.root / "standby.yml",
        data_dir=str(standby.data_dir),
        backup={"wal_timeout": 120, "method": method},
        connection={"host": str(standby.socket_dir), "port": standby.port, "user": "postgres"},
    )

    # Only the primary archives, and it is idle: the backup waits for its last segment until someone writes.
    with subprocess.Popen(
        [site.command, "--config", of_standby, "--json", "backup"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as backup:
        while backup.poll() is None:
            ledger.write(1)
            primary.switch_wal()
        out, err = backup.communicate()
    assert backup.returncode == 0, err
    assert b'"from_standby": true' in out
    ledger.write(1)
    primary.switch_wal()
    primary.stop()
    standby.stop()

    restored = site.clone("restored")
    result = site.lifeboat(*restore_arguments(restored), config_file=of_standby).data["restore"]
    assert rows(restored) == expected(ledger.entries)
    assert result["timeline"] == 2
    assert not restored.value("SELECT pg_is_in_recovery()")
    assert restored.value("SHOW primary_conninfo") == ""
    assert not (restored.data_dir / "standby.signal").exists()
