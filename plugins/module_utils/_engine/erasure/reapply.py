# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reapply to a restored cluster the erasures after the moment that it was restored to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, List

from ..base.errors import ErasureFailed
from ..config.sections import ConnectionConfig
from ..postgres.connection import Session, connect, driver, session
from ..postgres.identifiers import quoted
from ..postgres.relations import Named, find_oid, look_up, own_path
from ..postgres.sandbox import run_as_owner
from ..repository.erasures import Erasure, deletion, split_table

# The server's log must not contain keys, and there is no standby to confirm the commit.
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
    """An applied erasure: how many ``rows`` it affected. ``absent``: its database or table does not exist."""

    id: str
    table: str
    reference: str
    rows: int = 0
    absent: bool = False

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def reapply(connection: ConnectionConfig, erasures: Iterable[Erasure]) -> List[Reapplied]:
    """Apply them in order, each in its own transaction as the owner of its table, in the session of a superuser.

    ErasureFailed names the first one that fails. Confirmations have to be checked before.
    """
    with session(connection) as sql:
        databases = [str(row[0]) for row in sql.rows("SELECT datname FROM pg_database WHERE datallowconn")]
    return [_apply(connection, e) if e.database in databases else _absent(e) for e in erasures]


def _absent(erasure: Erasure) -> Reapplied:
    return Reapplied(erasure.id, erasure.table, erasure.reference, absent=True)


def _apply(connection: ConnectionConfig, erasure: Erasure) -> Reapplied:
    pg = driver()
    name = ".".join(quoted(part) for part in split_table(erasure.table) if part is not None)
    oid = find_oid(connection, erasure.database, name)
    if oid is None:
        return _absent(erasure)
    path = own_path(connection, erasure.database)
    with closing(connect(connection, erasure.database)) as opened, closing(opened.cursor()) as cursor:
        opened.autocommit = False
        try:
            for setting in _SETTINGS:
                cursor.execute(setting)
            table = look_up(Session(opened), oid)
            if table is None:
                return _absent(erasure)
            _require_user_table(erasure, table)
            statement = erasure.statement
            if erasure.is_default:
                statement = deletion(table.quoted, erasure.column, erasure.key is None)
            rows = run_as_owner(cursor, table, statement, erasure.values(), path)
            opened.commit()
        except (KeyError, TypeError, ValueError):
            raise ErasureFailed(
                f"The erasure {erasure.id} of {erasure.table} has a placeholder without a parameter.",
                _again(erasure),
                id=erasure.id,
                table=erasure.table,
            ) from None
        except pg.Error as exc:
            # Neither the cause nor the server's message: they may quote the key.
            raise ErasureFailed(
                f"Cannot reapply the erasure {erasure.id} of {erasure.table}: PostgreSQL refuses its"
                f" statement with SQLSTATE {exc.pgcode or 'unknown'} ({type(exc).__name__}).",
                f"{_again(erasure)} It runs as the owner of that table, with constraints checked immediately.",
                id=erasure.id,
                table=erasure.table,
                sqlstate=exc.pgcode,
            ) from None
    return Reapplied(erasure.id, erasure.table, erasure.reference, rows)


def _again(erasure: Erasure) -> str:
    # The register would keep the failing erasure as well, and a restore would run both.
    return (
        f"Register it again with a working statement, and set {_place(erasure)} apart manually in every repository"
        " (docs/ransomware.md); or restore with --without-erasures and erase manually."
    )


def _place(erasure: Erasure) -> str:
    return f"erasures/{erasure.id}.json"


def _require_user_table(erasure: Erasure, table: Named) -> None:
    if table.is_system:
        raise ErasureFailed(
            f"The erasure {erasure.id} is of PostgreSQL's own table {erasure.table}, which has no users' data.",
            f"Find out who registered it, and set {_place(erasure)} apart manually in every"
            " repository (docs/ransomware.md). --without-erasures restores without the register.",
            id=erasure.id,
            table=erasure.table,
        )
