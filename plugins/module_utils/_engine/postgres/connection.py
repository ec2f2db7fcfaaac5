# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the server by psycopg2 (PostgreSQL manual, "libpq", "Streaming Replication Protocol")."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..base.errors import PostgresError, ServerNotReady
from ..base.libraries import library
from ..config.sections import ConnectionConfig

Row = Tuple[Any, ...]

# In our sessions only PostgreSQL's own names resolve, whatever ALTER DATABASE or ALTER ROLE … SET says (a start-up
# option overrides them). pg_temp would be searched first if it were not listed.
PATH_OPTION = "-c search_path=pg_catalog,pg_temp"
# Restores and erasures must also work in a read-only database (default_transaction_read_only).
_NO_TIMEOUTS = " ".join(
    f"-c {name}=0"
    for name in ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
)
_WRITE_OPTION = "-c default_transaction_read_only=off"
# SQLSTATE of insufficient_privilege.
_NO_PRIVILEGE = "42501"

# Firewalls drop idle connections, and dead hosts send nothing. Keepalives start after a minute and detect both within
# two (in seconds; TCP_USER_TIMEOUT in ms). They do not apply to Unix sockets.
_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}


def driver() -> Any:
    """The psycopg2 module with its extras."""
    names = ("psycopg2", "psycopg2.errors", "psycopg2.extras")
    return library("psycopg2", "python3-psycopg2", "psycopg2-binary", *names)


def where(config: ConnectionConfig) -> str:
    """The server's name in messages."""
    return f"{config.host or 'the default socket'}:{config.port}"


def connect(
    config: ConnectionConfig, dbname: Optional[str] = None, replication: bool = False, own_path: bool = False
) -> Any:
    """A psycopg2 connection in autocommit mode, or with ``replication`` a physical replication connection.

    ``own_path`` keeps the database's search path, so its owner decides what unqualified names and operators mean: only
    for a role that has no more rights than the owner.
    """
    pg = driver()
    names = ("host", "port", "user", "password", "passfile", "sslmode", "sslrootcert", "connect_timeout")
    options = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    options.update(_ALIVE, application_name="lifeboat")
    # The session with the lock is idle for as long as a backup takes.
    options["options"] = " ".join(
        (_NO_TIMEOUTS, _WRITE_OPTION, "" if own_path else PATH_OPTION)
    )
    try:
        if replication:
            return pg.connect(connection_factory=pg.extras.PhysicalReplicationConnection, **options)
        connection = pg.connect(dbname=dbname or config.dbname, **options)
        connection.autocommit = True
        return connection
    except pg.OperationalError as exc:
        raise _refused(config, str(exc).strip(), replication) from exc


def _refused(config: ConnectionConfig, text: str, replication: bool) -> PostgresError:
    if replication and any(
        phrase in text
        for phrase in (
            "replication connection",
            "must be superuser or replication",
            "REPLICATION attribute",
            "permission denied to start WAL sender",
        )
    ):
        return ServerNotReady(
            f"PostgreSQL at {where(config)} refuses replication by {config.user or 'this user'}: {text}",
            "Grant it: ALTER ROLE ... REPLICATION, and add a 'replication' line for the role to pg_hba.conf.",
        )
    if replication and "max_wal_senders" in text:
        return ServerNotReady(
            f"PostgreSQL at {where(config)} has no free WAL sender: {text}",
            "Raise max_wal_senders (ALTER SYSTEM SET max_wal_senders = 20) and restart the server.",
            setting="max_wal_senders",
        )
    return PostgresError(
        f"Cannot connect to PostgreSQL at {where(config)}: {text}",
        "Check that it is running, and check connection.host, port and user, and pg_hba.conf.",
    )


class Session:
    """Runs queries over one connection, for facts and checks."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> List[Row]:
        """All rows of the result; PostgresError with the server's message."""
        pg = driver()
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, tuple(parameters) or None)
                return list(cursor.fetchall()) if cursor.description else []
        except pg.Error as exc:
            raise PostgresError(
                f"PostgreSQL refused a query: {str(exc).strip()}",
                "Check the privileges of the connection's user."
                if exc.pgcode == _NO_PRIVILEGE
                else "See PostgreSQL's message above, and its log for details.",
                sqlstate=exc.pgcode,
            ) from exc

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row:
        """The single row of the result."""
        return self.rows(sql, parameters)[0]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value of the result."""
        return self.row(sql, parameters)[0]


@contextmanager
def session(config: ConnectionConfig, dbname: Optional[str] = None) -> Iterator[Session]:
    """A session, closed at the end."""
    with closing(connect(config, dbname)) as connection:
        yield Session(connection)


def replication_rows(config: ConnectionConfig, command: str) -> List[Row]:
    """The result of a replication command such as ``IDENTIFY_SYSTEM``."""
    with closing(connect(config, replication=True)) as connection:
        return Session(connection).rows(command)


def local(config: ConnectionConfig, host: str, port: int) -> ConnectionConfig:
    """The same user at another socket directory and port."""
    return replace(config, host=host, port=port)


def libpq_environment(config: ConnectionConfig, application: str = "lifeboat") -> Dict[str, str]:
    """libpq's environment variables, for PostgreSQL's programs: a password is never passed as an argument."""
    values = {
        "PGHOST": config.host,
        "PGPORT": config.port,
        "PGUSER": config.user,
        "PGPASSWORD": config.password,
        "PGPASSFILE": config.passfile,
        "PGSSLMODE": config.sslmode,
        "PGSSLROOTCERT": config.sslrootcert,
        "PGCONNECT_TIMEOUT": config.connect_timeout,
        "PGAPPNAME": application,
        "PGOPTIONS": f"{PATH_OPTION} {_WRITE_OPTION}",
    }
    return {name: str(value) for name, value in values.items() if value is not None}
