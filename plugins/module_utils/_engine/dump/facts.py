# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a database, in one snapshot (PostgreSQL manual, "Snapshot Synchronization Functions")."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import Dict, Iterator, List, Optional, Tuple

from ..base.errors import ConfigError
from ..config.sections import ConnectionConfig
from ..postgres.connection import Session, connect, session
from ..postgres.relations import count_rows as table_rows
from ..postgres.relations import refuse_code
from ..repository.dumps import Properties

# The tables that pg_dump writes: also partitions, but no temporary tables and none of extensions, and on a standby no
# unlogged ones; and whether each still has the file of the snapshot (pg_relation_filenode() sees the present).
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname), c.relfilenode IS NOT DISTINCT FROM pg_relation_filenode(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND (c.relpersistence = 'p' OR c.relpersistence = 'u' AND NOT pg_is_in_recovery())
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
# Since version 17 daticulocale is called datlocale.
_PROPERTIES = """
SELECT pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text,
       datlocprovider::text, daticulocale::text, datacl IS NULL, datconnlimit, shobj_description(oid, 'pg_database')
  FROM pg_database WHERE datname = current_database()
"""
# The settings of the database itself have no role.
_SETTINGS = """
SELECT CASE WHEN setrole = 0 THEN NULL ELSE pg_get_userbyid(setrole)::text END, unnest(setconfig)
  FROM pg_db_role_setting
 WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY 1, 2
"""
_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable
  FROM pg_database d, aclexplode(d.datacl) a
 WHERE d.datname = current_database() AND a.grantee <> d.datdba ORDER BY 1, 2
"""


def databases(config: ConnectionConfig) -> List[str]:
    """Every database that accepts connections, except templates."""
    with session(config) as sql:
        rows = sql.rows("SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1")
    return [row[0] for row in rows]


def require_databases(config: ConnectionConfig, wanted: List[str]) -> List[str]:
    """``wanted``, or all databases if it is empty; ConfigError for one that does not exist."""
    known = databases(config)
    for name in wanted:
        if name not in known:
            raise ConfigError(f"Database {name!r} does not exist.", f"Choose from: {', '.join(known)}.")
    return wanted or known


@contextmanager
def snapshot(config: ConnectionConfig, database: str) -> Iterator[Tuple[Session, str]]:
    """A session in one snapshot, and the name with which ``pg_dump`` uses the same snapshot."""
    with closing(connect(config, database)) as connection:
        sql = Session(connection)
        # Since version 17. It is idle while pg_dump works.
        sql.rows("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'")
        sql.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        sql.rows("SET LOCAL row_security = off")
        yield sql, str(sql.value("SELECT pg_export_snapshot()"))


def count_rows(sql: Session) -> Dict[str, int]:
    """The rows of each table, in the session's snapshot. Reads every table once.

    Tables that were truncated, rewritten or dropped since the snapshot are left out: they look empty in it, but
    ``pg_dump`` had read them before (PostgreSQL manual, "Caveats" of "Concurrency Control").
    """
    refuse_code(sql)
    # The names are already quoted, by the query.
    found = {name: table_rows(sql, name) for name in _unchanged(sql)}
    still = set(_unchanged(sql))
    return {name: rows for name, rows in found.items() if name in still}


def _unchanged(sql: Session) -> List[str]:
    return [str(name) for name, same in sql.rows(_TABLES) if same]


def read_properties(sql: Session) -> Properties:
    """The properties of the session's database."""
    version = int(sql.value("SHOW server_version_num"))
    row = sql.row(_PROPERTIES.replace("daticulocale", "datlocale") if version >= 170000 else _PROPERTIES)
    settings = [(role, str(setting)) for role, setting in sql.rows(_SETTINGS)]
    grants: Optional[Tuple[Tuple[str, str, bool], ...]] = None
    if not row[6]:
        grants = tuple((str(g), str(p), bool(o)) for g, p, o in sql.rows(_GRANTS))
    owner, encoding, collate, ctype, provider, found = row[:6]
    return Properties(
        owner, encoding, collate, ctype, provider, found,
        settings=tuple(setting for role, setting in settings if role is None),
        grants=grants,
        role_settings=tuple((str(role), setting) for role, setting in settings if role is not None),
        connection_limit=int(row[7]),
        comment=row[8] or "",
    )  # fmt: skip


def read_extensions(sql: Session) -> Dict[str, str]:
    """Installed extensions and their versions."""
    return dict(sql.rows("SELECT extname::text, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"))


def read_roles(sql: Session) -> Tuple[str, ...]:
    """The owners and grantees of objects in the database."""
    return tuple(str(row[0]) for row in sql.rows(_ROLES))
