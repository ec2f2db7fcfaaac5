# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requirements of a cluster on its host, recorded in every backup.

Shape: ``os``, ``libc``, ``machine`` (of this host, if the server is local), ``settings`` (those that recovery or
start-up depend on), ``extensions`` and ``databases`` (name to facts), ``config_files`` (paths only, never their
content), ``replication_slots`` (name to properties: a base backup contains none).
"""

from __future__ import annotations

import platform
from typing import Any, Dict

from ..base.errors import PostgresError
from ..config.sections import ConnectionConfig
from .connection import Session
from .connection import session as open_session

# Recovery stops if one of the first five is lower than at the source; the start fails without a preload library.
SETTINGS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "shared_preload_libraries",
    "data_checksums",
    "TimeZone",
    "server_encoding",
    "wal_segment_size",
    "block_size",
    "huge_pages",
)
CONFIG_FILES = ("config_file", "hba_file", "ident_file", "data_directory")

# Temporary slots end with their sessions.
_SLOTS = """
SELECT slot_name::text, CASE WHEN slot_type = 'logical'
       THEN pg_catalog.format('logical, %s, database %s', plugin, database) ELSE slot_type END
  FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY 1
"""


def collect(session: Session, connection: ConnectionConfig) -> Dict[str, Any]:
    """Query the server and every database that accepts connections."""
    names = list(SETTINGS) + list(CONFIG_FILES)
    settings: Dict[str, str] = dict(session.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names]))
    databases: Dict[str, Any] = {}
    extensions: Dict[str, str] = {}
    for name, connectable, collation, ctype, encoding, size in session.rows(
        "SELECT datname, datallowconn AND NOT datistemplate, datcollate, datctype,"
        " pg_encoding_to_char(encoding), pg_database_size(oid)"
        " FROM pg_database ORDER BY datname"
    ):
        databases[name] = {"collate": collation, "ctype": ctype, "encoding": encoding, "size": int(size)}
        if connectable:
            try:
                with open_session(connection, dbname=name) as inside:
                    extensions.update(
                        inside.rows("SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'")
                    )
            except PostgresError as exc:
                # A database that this role may not connect to must not prevent a backup.
                databases[name]["extensions_unknown"] = exc.message
    local = (
        not connection.host or connection.host.startswith("/") or connection.host in ("localhost", "127.0.0.1", "::1")
    )
    return {
        **(_host() if local else {}),
        "settings": {k: v for k, v in settings.items() if k in SETTINGS},
        "config_files": {k: v for k, v in settings.items() if k in CONFIG_FILES},
        "databases": databases,
        "extensions": dict(sorted(extensions.items())),
        "replication_slots": dict(session.rows(_SLOTS)),
    }


def _host() -> Dict[str, str]:
    try:
        release = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except (OSError, AttributeError):
        release = platform.platform()
    return {"os": release, "libc": " ".join(platform.libc_ver()).strip(), "machine": platform.machine()}
