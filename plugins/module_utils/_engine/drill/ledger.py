# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's writer: commit small transactions, and record each outside the database once it is acknowledged.

The table is ``public.lifeboat_ledger``. Every row's payload follows from its writer and id, to distinguish it from
another row that only has the same id.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Dict, Optional, Tuple

from ..base import clock
from ..base.errors import ConfigError, PostgresError
from ..base.wal_names import parse_lsn
from ..config.sections import ConnectionConfig
from ..postgres.connection import connect, driver
from .records import Commit, Ledger, parse_ledger

TABLE = "public.lifeboat_ledger"
#: The SQL expression for the payload that a row must have.
PAYLOAD_SQL = "encode(sha256(convert_to(writer || ':' || id, 'UTF8')), 'hex')"
_CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigint PRIMARY KEY, writer int NOT NULL, payload text NOT NULL,"
    " written_at timestamptz NOT NULL DEFAULT clock_timestamp())"
)
# RETURNING is evaluated once the row is in the WAL, so the commit record can only follow.
_INSERT = f"INSERT INTO {TABLE} (id, writer, payload) VALUES (%s, %s, %s) RETURNING pg_current_wal_insert_lsn()"  # noqa: S608


def payload(writer: int, number: int) -> str:
    """The payload of a row, as of :data:`PAYLOAD_SQL`."""
    return hashlib.sha256(f"{writer}:{number}".encode()).hexdigest()


@dataclass(frozen=True)
class Pace:
    """The rate in commits per second (0: as fast as the server responds), and when to end.

    The writer ends when the file ``stop_file`` appears, after ``duration`` seconds, or when the server is lost.
    """

    rate: float = 100.0
    duration: Optional[float] = None
    stop_file: Optional[str] = None

    def over(self, elapsed: float) -> Optional[str]:
        """The reason to end now, or None."""
        if self.stop_file is not None and os.path.exists(self.stop_file):
            return "asked to stop"
        if self.duration is not None and elapsed >= self.duration:
            return "duration over"
        return None


class _Vanished(Exception):
    """The connection broke; with the commit that was sent but not acknowledged."""

    def __init__(self, in_flight: Optional[Commit]) -> None:
        super().__init__("the server vanished")
        self.in_flight = in_flight


def write(connection: ConnectionConfig, path: str, pace: Pace, writer: int = 1) -> Dict[str, Any]:
    """Commit and record until the pace ends it, or until the server is lost, which is a normal end.

    :param connection: the server and the database that gets the table
    :param path: the new ledger; a line is flushed for each commit, only after the server has acknowledged it
    :return: ``commits``, ``ended``, ``ended_at``, ``ledger``
    :raises PostgresError: the server refuses a statement
    """
    try:
        stream = open(path, "x", encoding="utf-8")  # noqa: SIM115
    except OSError as exc:
        raise ConfigError(
            f"Cannot create the ledger {path}: {exc.strerror}.", "Name a new file in an existing directory.", path=path
        ) from exc
    with stream, closing(connect(connection)) as server:
        commits, ledger_end = _run(_Writer(server, writer), stream, pace)
        _line(stream, ledger_end.end_dict())
    return {"commits": commits, "ended": ledger_end.ended, "ended_at": ledger_end.end_dict()["at"], "ledger": path}


def read(path: str) -> Ledger:
    """The ledger in a file."""
    try:
        with open(path, encoding="utf-8") as stream:
            return parse_ledger(stream.read(), path)
    except OSError as exc:
        raise ConfigError(
            f"Cannot read the ledger {path}: {exc.strerror}.", "Check that its writer was started.", path=path
        ) from exc


def _run(writer: _Writer, stream: IO[str], pace: Pace) -> Tuple[int, Ledger]:
    started = clock.monotonic()
    count = 0
    try:
        number = writer.prepare()
        while True:
            reason = pace.over(clock.monotonic() - started)
            if reason:
                return count, Ledger((), reason, clock.now())
            commit = writer.commit(number + count)
            count += 1
            _line(stream, commit.as_dict())
            if commit.lsn_after is None:
                raise _Vanished(None)
            if pace.rate > 0:
                clock.sleep(max(0.0, started + count / pace.rate - clock.monotonic()))
    except _Vanished as exc:
        return count, Ledger((), "server vanished", clock.now(), exc.in_flight)


class _Writer:
    """The connection for the commits."""

    def __init__(self, connection: Any, writer: int) -> None:
        self._cursor = connection.cursor()
        self._connection = connection
        self._writer = writer
        self._pg = driver()

    def prepare(self) -> int:
        """Create the table if it is missing; returns the first free id."""
        # Whatever the server's default: acknowledged commits must be on disk.
        self._ask("SET synchronous_commit = on")
        self._ask(_CREATE)
        return int(self._ask(f"SELECT coalesce(max(id), 0) + 1 FROM {TABLE}"))  # noqa: S608

    def commit(self, number: int) -> Commit:
        """Run one transaction from BEGIN to the acknowledgement, and query the LSN after it."""
        started: datetime = clock.now()
        self._ask("BEGIN")
        before = parse_lsn(self._ask(_INSERT, number, self._writer, payload(self._writer, number)))
        try:
            self._ask("COMMIT")
        except _Vanished as exc:
            raise _Vanished(Commit(number, started, None, before, None)) from exc
        acked = clock.now()
        try:
            after = parse_lsn(self._ask("SELECT pg_current_wal_flush_lsn()"))
        except _Vanished:
            return Commit(number, started, acked, before, None)
        return Commit(number, started, acked, before, after)

    def _ask(self, sql: str, *parameters: Any) -> Any:
        """The first value of the first row, if any; _Vanished if the connection is lost."""
        try:
            self._cursor.execute(sql, parameters or None)
            row = self._cursor.fetchone() if self._cursor.description else None
        except self._pg.Error as exc:
            if self._connection.closed:
                raise _Vanished(None) from exc
            raise PostgresError(
                f"PostgreSQL refused the ledger's {sql.split(maxsplit=1)[0]}: {str(exc).strip()}",
                "Check the privileges of the connection's user.",
                sqlstate=exc.pgcode,
            ) from exc
        return row[0] if row else None


def _line(stream: IO[str], record: Dict[str, Any]) -> None:
    stream.write(json.dumps(record) + "\n")
    stream.flush()
