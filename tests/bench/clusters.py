# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured clusters: their content compresses to a third with zstd, not to a twentieth."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from support.installations import Installation
from support.postgres import Cluster

# 32 random hexadecimal digits and 8 of them again, then the same words: zstd leaves a third at level 1.
_TEXT = "md5(random()::text) || left(md5(random()::text), 8) || 'the same words'"
_ROWS_PER_GB = 8_500_000
# GB of catalogs and of the content of WAL.
_OTHERS = 0.09
# Every block has room for another version of one of its rows, and every 64th row is in another block.
_FILL, _APART = 95, 64
#: The share of the table's blocks that :func:`change` changes.
CHANGED = 0.05
_BLOBS = 64
#: Seconds that one operation may take.
PATIENCE = 900


def make(installation: Installation, data_dir: Path) -> Cluster:
    """A running server that does not keep WAL until a tool archives it."""
    cluster = Cluster(installation, data_dir)
    cluster.initdb()
    cluster.configure(
        {
            **cluster.network, "shared_buffers": "256MB", "max_wal_size": "64GB", "checkpoint_timeout": "1h",
            "autovacuum": "off", "archive_mode": "on", "archive_command": "/bin/true", "wal_level": "replica",
            "log_checkpoints": "off", "max_wal_senders": "8",
            **({"summarize_wal": "on"} if installation.major >= 17 else {}),
        }
    )  # fmt: skip
    cluster.start()
    cluster.execute(
        "CREATE TABLE wal_content (id int, content text)",
        "ALTER TABLE wal_content ALTER content SET STORAGE EXTERNAL",
        f"INSERT INTO wal_content SELECT b, (SELECT string_agg({_TEXT}, '') FROM generate_series(1, 16384) WHERE b > 0)"
        f" FROM generate_series(1, {_BLOBS}) b",
    )
    return cluster


def fill(cluster: Cluster, gigabytes: float) -> None:
    """One table with an index, of a size that gives the whole cluster about this size."""
    rows = int(max(gigabytes - _OTHERS, 0.01) * _ROWS_PER_GB)
    cluster.execute(
        f"CREATE UNLOGGED TABLE data WITH (fillfactor={_FILL}) AS"
        f" SELECT g AS id, {_TEXT} AS content FROM generate_series(1, {rows}) g",
        "CREATE INDEX ON data (id)",
        "ALTER TABLE data SET LOGGED",
        "CHECKPOINT",
    )


def change(cluster: Cluster, number: int) -> None:
    """Update a row in each block of 5 % of the table's blocks, others for each ``number``; neither grows."""
    rows = int(cluster.value("SELECT max(id) FROM data"))
    first = int(rows * CHANGED * (number % int(1 / CHANGED)))
    cluster.execute(
        f"UPDATE data SET content = reverse(content) WHERE id > {first} AND id <= {first + int(rows * CHANGED)}"
        f" AND id % {_APART} = 0",
        "CHECKPOINT",
    )


_SHORT = f"({_TEXT})::varchar(60)".replace("'", "''")


def fill_small(cluster: Cluster, tables: int) -> None:
    """Many small tables with a primary key each, and no TOAST table."""
    for first in range(0, tables, 500):
        cluster.execute(
            "DO $$ BEGIN FOR i IN " + f"{first} .. {min(first + 500, tables) - 1}" + " LOOP"
            f" EXECUTE format('CREATE TABLE t%s AS SELECT g AS id, {_SHORT} AS content"
            " FROM generate_series(1, 50) g', i); EXECUTE format('ALTER TABLE t%s ADD PRIMARY KEY (id)', i);"
            " END LOOP; END $$"
        )  # fmt: skip
    cluster.execute("CHECKPOINT")


def size(cluster: Cluster) -> int:
    """Bytes of all databases."""
    return int(cluster.value("SELECT sum(pg_database_size(oid)) FROM pg_database"))


def set_archive_command(cluster: Cluster, command: str) -> None:
    quoted = command.replace("'", "''")
    cluster.execute(f"ALTER SYSTEM SET archive_command = '{quoted}'", "SELECT pg_reload_conf()")


def waiting(cluster: Cluster) -> int:
    """The number of files waiting to be archived."""
    return len(list((cluster.data_dir / "pg_wal" / "archive_status").glob("*.ready")))


def write_wal(cluster: Cluster, segments: int) -> None:
    """Fill this many segments with messages: quick for the server, and nothing to replay.

    A commit ends them, as in any real WAL.
    """
    loops = -(-segments * 16 // _BLOBS)
    cluster.execute(
        "SELECT count(pg_logical_emit_message(false, 'bench', content))"
        f" FROM generate_series(1, {loops}) s, wal_content WHERE (s - 1) * {_BLOBS} + id <= {segments * 16}",
        "SELECT pg_current_xact_id()",
        "SELECT pg_switch_wal()",
    )


def await_archived(cluster: Cluster) -> None:
    """Wait until everything is archived; TimeoutError after a quarter of an hour."""
    deadline = time.monotonic() + PATIENCE
    while count := waiting(cluster):
        if time.monotonic() > deadline:
            words = cluster.log.read_text(errors="replace")[-1000:]
            raise TimeoutError(f"{count} segments still wait to be archived after {PATIENCE} s: {words}")
        time.sleep(0.05)


def await_open(cluster: Cluster) -> None:
    """Wait until the server has left recovery; it must keep running once started."""
    begun = time.monotonic()
    while True:
        with contextlib.suppress(Exception):
            if not cluster.value("SELECT pg_is_in_recovery()"):
                return
        if time.monotonic() > begun + PATIENCE:
            raise TimeoutError(f"recovery did not end within {PATIENCE} s")
        if not cluster.running and time.monotonic() > begun + 10:
            raise RuntimeError(cluster.log.read_text(errors="replace")[-3000:])
        time.sleep(0.05)
