# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table with a record of every commit, with which a restored table is compared row by row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import List

from .postgres import Cluster
from .processes import run_program


@dataclass(frozen=True)
class Entry:
    """One committed row: ``committed`` is the server's time of the commit, ``lsn`` where its commit record begins."""

    id: int
    note: str
    xid: int
    committed: datetime
    lsn: str


class Ledger:
    """``ledger(id, note)`` in one database of a cluster, optionally in a tablespace."""

    def __init__(self, cluster: Cluster, table: str = "ledger", tablespace: str = "pg_default") -> None:
        self._cluster, self._table = cluster, table
        self.entries: List[Entry] = []
        cluster.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, note text NOT NULL) TABLESPACE {tablespace}")

    def write(self, count: int) -> List[Entry]:
        """Commit ``count`` rows, one by one. The server needs track_commit_timestamp."""
        new = []
        first = self.entries[-1].id + 1 if self.entries else 1
        for number in range(first, first + count):
            before = self._cluster.value("SELECT pg_current_wal_insert_lsn()")
            note = f"entry {number}"
            xid = int(
                self._cluster.value(
                    f"INSERT INTO {self._table} VALUES (%s, %s) RETURNING pg_current_xact_id()::text", number, note
                )
            )
            committed = self._cluster.value("SELECT pg_xact_commit_timestamp(%s::text::xid)", str(xid))
            new.append(Entry(number, note, xid, committed, self._commit_record(before, xid)))
        self.entries += new
        return new

    def _commit_record(self, start: str, xid: int) -> str:
        after, timeline = self._cluster.rows(
            "SELECT pg_current_wal_flush_lsn(), timeline_id FROM pg_control_checkpoint()"
        )[0]
        out = run_program(
            self._cluster.installation.program("pg_waldump"), "--path", str(self._cluster.data_dir / "pg_wal"),
            "--timeline", str(timeline), "--start", start, "--end", after, "--xid", str(xid), "--rmgr", "Transaction",
        )  # fmt: skip
        found = re.search(r"lsn: ([0-9A-F]+/[0-9A-F]+),.*desc: COMMIT", out)
        assert found, out
        return found.group(1)


def rows(cluster: Cluster, table: str = "ledger") -> List[tuple[int, str]]:
    """The contents of the table."""
    return [(int(i), str(n)) for i, n in cluster.rows(f"SELECT id, note FROM {table} ORDER BY id")]


def expected(entries: List[Entry]) -> List[tuple[int, str]]:
    """The contents that the table must have if exactly these were committed."""
    return [(e.id, e.note) for e in entries]
