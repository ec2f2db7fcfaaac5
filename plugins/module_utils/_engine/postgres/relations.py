# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look up relations by the names that people use, and count their rows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Optional

from ..base.errors import ConfigError
from ..config.sections import ConnectionConfig
from .connection import Session, connect
from .identifiers import quoted

_RELATION = """
SELECT n.nspname::text, c.relname::text, c.relkind::text, r.rolname::text, r.rolsuper, c.relforcerowsecurity,
       n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname LIKE 'pg\\_%%'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
 WHERE c.oid = %s::oid
"""


@dataclass(frozen=True)
class Named:
    """A relation in the catalog: ``kind`` is ``relkind``, ``is_system`` whether its schema is PostgreSQL's."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    owner_is_superuser: bool
    forces_row_security: bool
    is_system: bool

    @property
    def quoted(self) -> str:
        """The quoted name with its schema, which does not depend on the search path."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def find_oid(connection: ConnectionConfig, database: str, name: str) -> Optional[int]:
    """The OID of the relation ``name`` in this database, as in SQL: without a schema, by the database's search path.

    The session uses that path, so it only runs this statement, which has no operators and no unqualified names.
    """
    with closing(connect(connection, database, own_path=True)) as opened:
        found = Session(opened).value("SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", [name])
    return None if found is None else int(found)


def own_path(connection: ConnectionConfig, database: str) -> str:
    """The ``search_path`` setting of this database."""
    with closing(connect(connection, database, own_path=True)) as opened:
        return str(Session(opened).value("SELECT pg_catalog.current_setting('search_path')"))


def look_up(sql: Session, oid: int) -> Optional[Named]:
    """The relation with this OID; None if it no longer exists."""
    rows = sql.rows(_RELATION, [oid])
    if not rows:
        return None
    schema, name, kind, owner, is_superuser, forces, is_system = rows[0]
    return Named(oid, schema, name, kind, owner, bool(is_superuser), bool(forces), bool(is_system))


def refuse_code(sql: Session) -> None:
    """Stop this session from reading views and foreign tables, which would run their owners' code.

    A table can become a view of the same name between the check and the read (CVE-2024-7348). Minor
    releases of PostgreSQL without the setting do not protect their own ``pg_dump`` either.
    """
    sql.rows(
        "SELECT set_config(name, 'view,foreign-table', false) FROM pg_settings"
        " WHERE name = 'restrict_nonsystem_relation_kind'"
    )


def count_rows(sql: Session, table: str, only: bool = True) -> int:
    """Count the rows of the table with this quoted name by reading it; ``only``: without its descendants.

    Call ``refuse_code`` first. A row security policy, which would be run too, is an error.
    """
    return int(sql.value(f"SELECT count(*) FROM {'ONLY ' if only else ''}{table}"))  # noqa: S608


def require_table(sql: Session, connection: ConnectionConfig, database: str, name: str) -> Named:
    """The table, partitioned table or materialized view of this name; ConfigError."""
    oid = find_oid(connection, database, name)
    found = look_up(sql, oid) if oid is not None else None
    if found is None or found.kind not in ("r", "p", "m"):
        raise ConfigError(
            f"{name} {'is not a table' if found else 'does not exist'} in the database {database}.",
            "Name a table or a materialized view, as in SQL. A view runs its owner's code: use a query of the"
            " restore test instead.",
            table=name,
        )
    return found
