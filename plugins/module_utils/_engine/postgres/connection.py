# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the server, over psycopg2 (PostgreSQL manual, "libpq", "Streaming Replication Protocol")."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..config import ConnectionConfig
from ..errors import PostgresError, ServerNotReady
from ..libraries import library

Row = Tuple[Any, ...]


def driver() -> Any:
    """The psycopg2 module with its extras."""
    names = ("psycopg2", "psycopg2.errors", "psycopg2.extras")
    return library("psycopg2", "python3-psycopg2", "psycopg2-binary", *names)


def where(config: ConnectionConfig) -> str:
    """How messages name the server."""
    return f"{config.host or 'the default socket'}:{config.port}"


def connect(config: ConnectionConfig, dbname: Optional[str] = None, replication: bool = False) -> Any:
    """A psycopg2 connection in autocommit mode; with ``replication`` a physical replication connection."""
    pg = driver()
    names = ("host", "port", "user", "password", "passfile", "sslmode", "sslrootcert", "connect_timeout")
    options = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    options["application_name"] = "lifeboat"
    # The session that holds the lock idles as long as a backup takes.
    options["options"] = "-c statement_timeout=0 -c idle_session_timeout=0"
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
            f"PostgreSQL at {where(config)} does not let {config.user or 'this user'} replicate: {text}",
            "ALTER ROLE ... REPLICATION, and a 'replication' line for it in pg_hba.conf.",
        )
    return PostgresError(
        f"Cannot connect to PostgreSQL at {where(config)}: {text}",
        "Is it running? Check connection.host, port, user and pg_hba.conf.",
    )


class Session:
    """Queries over one connection, for facts and checks."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> List[Row]:
        """All rows; PostgresError with the server's own words."""
        pg = driver()
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, tuple(parameters) or None)
                return list(cursor.fetchall()) if cursor.description else []
        except pg.Error as exc:
            raise PostgresError(
                f"PostgreSQL refused a query: {str(exc).strip()}",
                "Check the privileges of the connection's user.",
                sqlstate=exc.pgcode,
            ) from exc

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row:
        """The only row."""
        return self.rows(sql, parameters)[0]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The only value."""
        return self.row(sql, parameters)[0]


@contextmanager
def session(config: ConnectionConfig, dbname: Optional[str] = None) -> Iterator[Session]:
    """A session that is closed at the end."""
    with closing(connect(config, dbname)) as connection:
        yield Session(connection)


def replication_rows(config: ConnectionConfig, command: str) -> List[Row]:
    """The answer to a replication command such as ``IDENTIFY_SYSTEM``."""
    with closing(connect(config, replication=True)) as connection:
        return Session(connection).rows(command)


def local(config: ConnectionConfig, host: str, port: int) -> ConnectionConfig:
    """The same user at another socket directory and port."""
    return replace(config, host=host, port=port)


def libpq_environment(config: ConnectionConfig, application: str = "lifeboat") -> Dict[str, str]:
    """libpq's variables, for PostgreSQL's programs: a password never stands among the arguments."""
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
    }
    return {name: str(value) for name, value in values.items() if value is not None}
