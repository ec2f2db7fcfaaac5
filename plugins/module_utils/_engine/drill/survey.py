# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of a server: databases, tables with row counts and fingerprints, tablespaces, settings.

Made of the source before the disaster and of every restored server, so that nothing about the contents has to be
assumed. Tables whose names begin with one of ``BUSY`` change constantly: they have a row count, but no fingerprint.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any, Dict, List, Tuple

from ..base import clock
from ..base.version import VERSION
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import Session, session
from ..records.model import format_time
from ..repository.kinds import kind_of
from ..repository.repository import Repositories

BUSY = ("lifeboat_", "pgbench_")
_SETTINGS = (
    "archive_command",
    "archive_mode",
    "archive_timeout",
    "data_checksums",
    "data_directory",
    "fsync",
    "full_page_writes",
    "max_wal_size",
    "server_version",
    "shared_buffers",
    "synchronous_commit",
    "wal_compression",
    "wal_level",
)
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_SHOW = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)"
_SPACES = """
    SELECT spcname, pg_tablespace_location(oid), pg_tablespace_size(oid)
      FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '' ORDER BY 1"""
_TABLES = """
    SELECT n.nspname, c.relname, coalesce(t.spcname, 'pg_default')
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
     WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND n.nspname !~ '^(pg_|information_schema$)'
     ORDER BY 1, 2"""
# TPC-B's invariant (PostgreSQL manual, "pgbench"): every transaction adds the same amount to all four.
_BALANCE = """
    SELECT (SELECT coalesce(sum(abalance), 0) FROM public.pgbench_accounts),
           (SELECT coalesce(sum(bbalance), 0) FROM public.pgbench_branches),
           (SELECT coalesce(sum(tbalance), 0) FROM public.pgbench_tellers),
           (SELECT coalesce(sum(delta), 0) FROM public.pgbench_history)"""


def survey(connection: ConnectionConfig) -> Dict[str, Any]:
    """Inspect every database that accepts connections; JSON-serializable data with the keys below."""
    with session(connection) as server:
        names = [name for (name,) in server.rows(_DATABASES)]
        settings: Dict[str, str] = dict(server.rows(_SHOW, [list(_SETTINGS)]))
        spaces = server.rows(_SPACES)
        archiver = server.row("SELECT last_archived_wal, archived_count, failed_count FROM pg_stat_archiver")
        found: Dict[str, Any] = {
            "at": format_time(clock.now()),
            "version": settings.pop("server_version"),
            "system_identifier": str(server.value("SELECT system_identifier FROM pg_control_system()")),
            "in_recovery": bool(server.value("SELECT pg_is_in_recovery()")),
            "timeline": int(server.value("SELECT timeline_id FROM pg_control_checkpoint()")),
            "segment_size": int(server.value("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")),
            "size": sum(int(size) for (size,) in server.rows("SELECT pg_database_size(oid) FROM pg_database")),
            "settings": settings,
            "tablespaces": {name: {"location": location, "bytes": int(size)} for name, location, size in spaces},
            "archiver": {"last_archived_wal": archiver[0], "archived": int(archiver[1]), "failed": int(archiver[2])},
        }
    found["databases"] = {name: _database(connection, name) for name in names}
    return found


def _database(connection: ConnectionConfig, name: str) -> Dict[str, Any]:
    with session(connection, name) as server:
        tables = {f"{row[0]}.{row[1]}": _table(server, *row) for row in server.rows(_TABLES)}
        balance: List[int] = []
        if "public.pgbench_history" in tables:
            balance = [int(total) for total in server.row(_BALANCE)]
        return {"tables": tables, "pgbench_balance": balance}


def _table(server: Session, schema: str, table: str, space: str) -> Dict[str, Any]:
    quoted = server.value("SELECT format('%%I.%%I', %s::text, %s::text)", [schema, table])
    if table.startswith(BUSY):
        return {"rows": int(server.value(f"SELECT count(*) FROM {quoted}")), "fingerprint": None, "tablespace": space}  # noqa: S608
    rows, total = server.row(fingerprint_sql(quoted))
    return {"rows": int(rows), "fingerprint": str(total), "tablespace": space}


def fingerprint_sql(table: str) -> str:
    """A query whose result only depends on the rows, not on their physical order."""
    return f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} AS t"  # noqa: S608


def present_ids(connection: ConnectionConfig, table: str, payload_sql: str) -> Tuple[List[int], List[int]]:
    """The ids in the ledger's table, and those of rows with a wrong payload."""
    with session(connection) as server:
        if server.value("SELECT to_regclass(%s) IS NULL", [table]):
            return [], []
        rows = server.rows(f"SELECT id, payload = {payload_sql} FROM {table} ORDER BY id")  # noqa: S608
    return [int(row[0]) for row in rows], [int(row[0]) for row in rows if not row[1]]


def current_segment(connection: ConnectionConfig) -> str:
    """The name of the server's current WAL file."""
    with session(connection) as server:
        return str(server.value("SELECT pg_walfile_name(pg_current_wal_lsn())"))


def inventory(config: Config) -> Dict[str, Any]:
    """All objects of the cluster in each repository: place, number, and sizes in bytes.

    Without the leases of running restores and the audit records.
    """
    repositories = Repositories.open(config)
    found = {}
    try:
        for repository in repositories.items:
            listed = repository.store.list(f"{config.cluster}/")
            objects = {o.key: o.size for o in listed if kind_of(config.cluster, o.key).name not in ("lease", "audit")}
            found[repository.name] = {"location": repository.store.location, "objects": objects}
    finally:
        repositories.close()
    return found


def environment(config: Config) -> Dict[str, Any]:
    """The host, programs and store in use, without secrets."""
    libraries = {}
    for name in ("boto3", "psycopg2", "psycopg2-binary", "zstandard"):
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "system": _release(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "lifeboat": VERSION,
        "libraries": libraries,
        "bin_dir": config.bin_dir,
        "repositories": [
            {
                "name": r.name,
                "store": r.store.location,
                "endpoint": r.store.endpoint,
            }
            for r in config.repositories
        ],
    }


def _release() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as stream:
            lines = dict(line.rstrip("\n").partition("=")[::2] for line in stream)
        return lines["PRETTY_NAME"].strip('"')
    except (OSError, KeyError):
        return platform.platform()
