# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and counts of a cluster's databases: recorded with each backup, and compared after a restore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence

from ..base.errors import LifeboatError
from ..config.sections import ConnectionConfig
from ..config.verify import CountedTable
from .connection import Session, session
from .relations import count_rows, refuse_code, require_table

# Maximum number of tables to record of a database, the largest first.
_LARGEST = 50
# A smaller table may well be empty at another time.
_NOTICED = 1024 * 1024

_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY c.relpages DESC, 1 LIMIT {_LARGEST}
"""  # noqa: S608
_COUNT = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Difference:
    """One comparison: ``then`` and ``now`` are bytes, tables or rows (``unit``)."""

    what: str
    unit: str
    then: int
    now: int
    wrong: bool

    @property
    def text(self) -> str:
        """The difference as text."""
        return f"{self.what}: {self.now} {self.unit}, {self.then} when the backup was made"


def read_contents(connection: ConnectionConfig, counted: Sequence[CountedTable] = ()) -> Dict[str, Any]:
    """By database: ``bytes``, number of ``tables``, ``largest`` (bytes by table) and ``rows`` of ``counted`` tables.

    Cheap except for ``counted``, whose tables are read. A database that cannot be queried is recorded with its error.
    """
    with session(connection) as sql:
        names = [
            str(row[0])
            for row in sql.rows("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1")
        ]
    found: Dict[str, Any] = {}
    for name in names:
        try:
            with session(connection, name) as sql:
                found[name] = _database(sql)
                found[name]["rows"] = _rows(sql, connection, name, [c.table for c in counted if c.database == name])
        except LifeboatError as exc:
            found[name] = {"error": exc.message}
    return found


def _database(sql: Session) -> Dict[str, Any]:
    return {
        "bytes": int(sql.value("SELECT pg_database_size(current_database())")),
        "tables": int(sql.value(_COUNT)),
        "largest": {str(name): int(size) for name, size in sql.rows(_TABLES)},
    }


def _rows(sql: Session, connection: ConnectionConfig, database: str, counted: Sequence[str]) -> Dict[str, int]:
    tables = {name: require_table(sql, connection, database, name).quoted for name in counted}
    sql.rows("SET row_security = off")
    refuse_code(sql)
    return {name: count_rows(sql, table, only=False) for name, table in tables.items()}


def compare(then: Mapping[str, Any], now: Mapping[str, Any], max_shrink: float) -> List[Difference]:
    """All possible comparisons, and whether they are ``wrong``. Pure.

    Databases and counted tables may have shrunk by ``max_shrink`` percent; a large table must not be missing or empty
    if its database exists. Growth is never wrong.
    """
    found: List[Difference] = []
    for name, before in then.items():
        after = now.get(name)
        if "error" in before:
            # There is nothing to compare with; the report should say so.
            found.append(Difference(f"database {name} ({before['error']})", "bytes", 0, 0, False))
            continue
        if after is None or "error" in after:
            found.append(Difference(f"database {name}", "bytes", before["bytes"], 0, True))
            continue
        for unit in ("bytes", "tables"):
            wrong = after[unit] < before[unit] * (1 - max_shrink / 100)
            found.append(Difference(f"database {name}", unit, before[unit], after[unit], wrong))
        for table, size in before["largest"].items():
            left = after["largest"].get(table, 0)
            # It may exist, but no longer be among the largest.
            gone = size >= _NOTICED and not left and len(after["largest"]) < _LARGEST
            if gone:
                found.append(Difference(f"table {table} of {name}", "bytes", size, left, True))
        for table, rows in before["rows"].items():
            counted = after["rows"].get(table, 0)
            wrong = counted < rows * (1 - max_shrink / 100)
            found.append(Difference(f"table {table} of {name}", "rows", rows, counted, wrong))
    return found
