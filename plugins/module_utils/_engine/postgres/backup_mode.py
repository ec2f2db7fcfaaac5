# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup mode: ``pg_backup_start`` and ``pg_backup_stop`` in one session (PostgreSQL manual, "Low Level API").

The server ends the mode when the session ends, however it ends: only ``pg_backup_stop`` makes a backup of the files
that were copied meanwhile.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Sequence

from ..base.errors import PostgresError
from ..base.wal_names import parse_lsn
from ..config.sections import ConnectionConfig
from .connection import Row, Session, session
from .facts import WalRange

_TIMELINE = re.compile(rb"^START TIMELINE: (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Stopped:
    """The result of ``pg_backup_stop``: the files to add to the backup, and its WAL."""

    label_file: bytes
    map_file: bytes
    wal: WalRange


class BackupMode:
    """A session in backup mode since ``start`` (an LSN)."""

    def __init__(self, sql: Session, label: str, fast: bool) -> None:
        self._sql = sql
        in_recovery, start = self._row("SELECT pg_is_in_recovery(), pg_backup_start(%s, %s)::text", [label, fast])
        self._in_recovery, self.start = bool(in_recovery), parse_lsn(start)

    def require(self) -> None:
        """PostgresError if the session is gone, and with it the backup, or a standby has been promoted."""
        if bool(self._row("SELECT pg_is_in_recovery()")[0]) != self._in_recovery:
            raise _early("the standby was promoted meanwhile")

    def stop(self) -> Stopped:
        """End the mode; PostgresError if the server does not say that the files are a backup."""
        # As bytes: the paths of tablespaces need not be valid in the encoding of the database.
        lsn, label_file, map_file = self._row(
            "SELECT lsn::text, convert_to(labelfile, getdatabaseencoding()),"
            " convert_to(coalesce(spcmapfile, ''), getdatabaseencoding()) FROM pg_backup_stop(false)"
        )
        raw = bytes(label_file)
        timeline = _TIMELINE.search(raw)
        if not timeline:
            raise _early("the server sent a backup_label without a timeline")
        first = int(timeline.group(1))
        if self._in_recovery:
            last = int(self._row("SELECT min_recovery_end_timeline FROM pg_control_recovery()")[0])
            if last != first:
                raise _early(f"the standby went from timeline {first} to {last} meanwhile")
        return Stopped(raw, bytes(map_file), WalRange(first, self.start, parse_lsn(lsn)))

    def _row(self, sql: str, parameters: Sequence[Any] = ()) -> Row:
        try:
            return self._sql.row(sql, parameters)
        except PostgresError as exc:
            raise _early(exc.message, **exc.details) from exc


@contextmanager
def backup_mode(
    config: ConnectionConfig, label: str, fast: bool, check: Callable[[Session], None]
) -> Iterator[BackupMode]:
    """Begin the mode in a session of its own, which is closed at the end: without ``stop`` there is no backup.

    ``check`` raises if it is a session of another server: a connection may have several hosts.
    """
    with session(config) as sql:
        check(sql)
        yield BackupMode(sql, label, fast)


def _early(why: str, **details: Any) -> PostgresError:
    return PostgresError(
        f"The base backup ended early: {why}", "Start the backup again; nothing was recorded.", **details
    )
