# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database says of itself, in one snapshot (PostgreSQL manual, "Snapshot Synchronization Functions")."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import Dict, Iterator, List, Optional, Tuple

from ..config import ConnectionConfig
from ..errors import ConfigError
from ..postgres.connection import Session, connect, session
from .record import Properties

# What pg_dump writes: tables and partitions of their own, and neither temporary ones nor those of extensions.
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u')
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1
"""
_ROLES = """
SELECT DISTINCT pg_get_userbyid(refobjid)::text FROM pg_shdepend
 WHERE refclassid = 'pg_authid'::regclass AND deptype IN ('o', 'a')
   AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY 1
"""
# From 17 on daticulocale is called datlocale.
_PROPERTIES = """
SELECT pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text,
       datlocprovider::text, daticulocale::text, datacl IS NULL
  FROM pg_database WHERE datname = current_database()
"""
_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable
  FROM pg_database d, aclexplode(d.datacl) a
 WHERE d.datname = current_database() AND a.grantee <> d.datdba ORDER BY 1, 2
"""


def databases(config: ConnectionConfig) -> List[str]:
    """Every database that takes connections, but for templates."""
    with session(config) as sql:
        rows = sql.rows("SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1")
    return [row[0] for row in rows]


def require_databases(config: ConnectionConfig, wanted: List[str]) -> List[str]:
    """``wanted``, or all of them where none is named; ConfigError for one that there is not."""
    known = databases(config)
    for name in wanted:
        if name not in known:
            raise ConfigError(f"There is no database {name!r}.", f"The server has: {', '.join(known)}.")
    return wanted or known


@contextmanager
def snapshot(config: ConnectionConfig, database: str) -> Iterator[Tuple[Session, str]]:
    """A session that sees one snapshot, and the name by which ``pg_dump`` sees the same."""
    with closing(connect(config, database)) as connection:
        sql = Session(connection)
        sql.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        sql.rows("SET LOCAL row_security = off")
        yield sql, str(sql.value("SELECT pg_export_snapshot()"))


def count_rows(sql: Session) -> Dict[str, int]:
    """The rows of each table, in the session's snapshot. Reads every table once."""
    tables = [str(row[0]) for row in sql.rows(_TABLES)]
    # The server quoted the names.
    return {name: int(sql.value(f"SELECT count(*) FROM ONLY {name}")) for name in tables}  # noqa: S608


def read_properties(sql: Session) -> Properties:
    """Of the database that the session is in."""
    version = int(sql.value("SHOW server_version_num"))
    row = sql.row(_PROPERTIES.replace("daticulocale", "datlocale") if version >= 170000 else _PROPERTIES)
    settings = sql.rows(
        "SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = 0"
        " AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    grants: Optional[Tuple[Tuple[str, str, bool], ...]] = None
    if not row[6]:
        grants = tuple((str(g), str(p), bool(o)) for g, p, o in sql.rows(_GRANTS))
    owner, encoding, collate, ctype, provider, found = row[:6]
    return Properties(owner, encoding, collate, ctype, provider, found, tuple(str(s[0]) for s in settings), grants)


def read_extensions(sql: Session) -> Dict[str, str]:
    """Installed extensions and their versions."""
    return dict(sql.rows("SELECT extname::text, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"))


def read_roles(sql: Session) -> Tuple[str, ...]:
    """The roles that the database's objects belong or are granted to."""
    return tuple(str(row[0]) for row in sql.rows(_ROLES))
