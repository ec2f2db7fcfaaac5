# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Erase again, in a restored cluster, what was erased after the moment that it was restored to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, List

from ..config import ConnectionConfig
from ..errors import ErasureFailed
from ..postgres.connection import connect, driver
from .record import Erasure, split_table

# The server's log must not quote a key; and nobody stands by to confirm the commit.
_SETTINGS = (
    "SET LOCAL log_min_error_statement = panic",
    "SET LOCAL log_min_messages = panic",
    "SET LOCAL log_statement = none",
    "SET LOCAL log_min_duration_statement = -1",
    "SET LOCAL log_duration = off",
    "SET LOCAL transaction_read_only = off",
    "SET LOCAL synchronous_commit = local",
)


@dataclass(frozen=True)
class Reapplied:
    """An erasure that was applied: how many ``rows`` it met. ``absent``: its database or table is not there."""

    id: str
    table: str
    reference: str
    rows: int = 0
    absent: bool = False

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return asdict(self)


def reapply(connection: ConnectionConfig, erasures: Iterable[Erasure]) -> List[Reapplied]:
    """Apply them in their order, as a superuser, each in its transaction. ErasureFailed names the first that fails."""
    databases = _databases(connection)
    return [_apply(connection, e, databases) for e in erasures]


def _databases(connection: ConnectionConfig) -> List[str]:
    with closing(connect(connection)) as opened, closing(opened.cursor()) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datallowconn")
        return [row[0] for row in cursor.fetchall()]


def _apply(connection: ConnectionConfig, erasure: Erasure, databases: List[str]) -> Reapplied:
    pg = driver()
    if erasure.database not in databases:
        return Reapplied(erasure.id, erasure.table, erasure.reference, absent=True)
    schema, name = split_table(erasure.table)
    with closing(connect(connection, erasure.database)) as opened, closing(opened.cursor()) as cursor:
        opened.autocommit = False
        try:
            for setting in _SETTINGS:
                cursor.execute(setting)
            if schema is None:
                cursor.execute("SELECT to_regclass(format('%%I', %s::text))", [name])
            else:
                cursor.execute("SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))", [schema, name])
            if cursor.fetchone()[0] is None:
                return Reapplied(erasure.id, erasure.table, erasure.reference, absent=True)
            cursor.execute(erasure.statement, erasure.values())
            rows = max(cursor.rowcount, 0)
            opened.commit()
        except pg.Error as exc:
            # No cause and none of the server's words: they may quote the key.
            raise ErasureFailed(
                f"The erasure {erasure.id} of {erasure.table} cannot be applied again: PostgreSQL refuses its"
                f" statement with SQLSTATE {exc.pgcode or 'unknown'} ({type(exc).__name__}).",
                "Register it anew with a statement that works, or restore with --without-erasures and erase by hand.",
                id=erasure.id,
                table=erasure.table,
                sqlstate=exc.pgcode,
            ) from None
        return Reapplied(erasure.id, erasure.table, erasure.reference, rows)
