# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replication slot of a WAL stream, and ``pg_receivewal`` (PostgreSQL manual, "pg_receivewal", "Replication").

``pg_receivewal`` writes ``<segment>.partial``, padded with zeros to the segment's size, and renames it when it is
complete. With ``--synchronous`` it immediately reports what is on disk, which becomes the slot's ``restart_lsn``. It
begins at the newest segment in its directory, or at that of the slot's ``restart_lsn`` if there is none.
"""

from __future__ import annotations

import re
import shutil
import signal
from dataclasses import dataclass
from typing import IO, Any, Dict, List, Optional

from ..base.errors import PostgresError, ServerNotReady, StreamBroken
from ..base.process import DEVNULL, TimeoutExpired, spawn
from ..base.wal_names import format_lsn, parse_lsn
from ..config.sections import ConnectionConfig
from .connection import Session, libpq_environment
from .controldata import program
from .facts import read_facts, require_data_dir

_SETTINGS = ("wal_level", "max_wal_senders", "max_replication_slots", "max_slot_wal_keep_size")
_LIMIT_REACHED = "53400"
_PATIENCE = 10.0


@dataclass(frozen=True)
class Slot:
    """``position``: the LSN from which on the server keeps WAL; None if it never did, or has removed it.

    ``received``: the LSN up to which the process ``active_pid`` reports WAL on disk; None before its first report.
    """

    name: str
    position: Optional[int]
    active_pid: Optional[int] = None
    received: Optional[int] = None


@dataclass(frozen=True)
class Publisher:
    """The server that is streamed from. ``segment_size`` in bytes; ``unlimited``: slots may keep any amount of WAL."""

    system_identifier: str
    segment_size: int
    timeline: int
    unlimited: bool


def slot_name(cluster: str) -> str:
    """``main`` to ``lifeboat_main``: lower-case letters, digits and underscores, at most 63."""
    return ("lifeboat_" + re.sub(r"[^a-z0-9_]", "_", cluster.lower()))[:63]


def read_publisher(sql: Session, data_dir: str) -> Publisher:
    """The server's facts; ServerNotReady if it cannot be streamed from, CloneRefused if it is another cluster's."""
    facts = read_facts(sql)
    if facts.in_recovery:
        raise ServerNotReady("The server is a standby.", "Stream from its primary.")
    require_data_dir(sql, data_dir)
    settings: Dict[str, str] = dict(
        sql.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_SETTINGS)])
    )
    if settings["wal_level"] == "minimal":
        raise ServerNotReady("wal_level is minimal: WAL cannot be streamed.", "Set wal_level = 'replica' and restart.")
    for name in ("max_wal_senders", "max_replication_slots"):
        if int(settings[name]) < 1:
            raise ServerNotReady(
                f"{name} is {settings[name]}: a WAL stream needs one.",
                f"ALTER SYSTEM SET {name} = 10, then restart the server.",
                setting=name,
                value=settings[name],
            )
    timeline = sql.value("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
    return Publisher(
        facts.system_identifier,
        facts.segment_size,
        int(timeline[:8], 16),
        int(settings["max_slot_wal_keep_size"]) < 0,
    )


def flushed(sql: Session) -> int:
    """The LSN up to which the server's WAL is on disk."""
    return parse_lsn(sql.value("SELECT pg_current_wal_flush_lsn()"))


def read_slot(sql: Session, name: str) -> Optional[Slot]:
    """The slot of that name; None if there is none."""
    # Not restart_lsn, which may be ahead of what the current pg_receivewal has written.
    rows = sql.rows(
        "SELECT restart_lsn, active_pid, flush_lsn FROM pg_replication_slots"
        " LEFT JOIN pg_stat_replication ON pid = active_pid WHERE slot_name = %s",
        [name],
    )
    if not rows:
        return None
    position, pid, received = rows[0]
    return Slot(name, parse_lsn(position) if position else None, pid, parse_lsn(received) if received else None)


def make_slot(sql: Session, name: str) -> Slot:
    """Create a slot that keeps WAL from the last checkpoint on. ServerNotReady if the server has no free slot."""
    try:
        position = sql.value("SELECT lsn FROM pg_create_physical_replication_slot(%s, true)", [name])
    except PostgresError as exc:
        if exc.details.get("sqlstate") == _LIMIT_REACHED:
            raise ServerNotReady(
                f"Cannot create the replication slot {name}: {exc.message}",
                "Raise max_replication_slots and restart the server, or drop an unused slot.",
                setting="max_replication_slots",
            ) from exc
        raise
    return Slot(name, parse_lsn(position))


def drop_slot(sql: Session, name: str) -> bool:
    """Drop the slot; False if there is none."""
    slot = read_slot(sql, name)
    if slot is None:
        return False
    free_slot(sql, slot)
    sql.rows("SELECT pg_drop_replication_slot(%s)", [name])
    return True


def free_slot(sql: Session, slot: Slot) -> None:
    """Terminate the slot's connection: a pg_receivewal that outlived its stream."""
    if slot.active_pid is not None:
        sql.rows("SELECT pg_terminate_backend(%s, %s)", [slot.active_pid, int(_PATIENCE * 1000)])


def skip_to(sql: Session, slot: Slot, position: int) -> None:
    """Let the slot keep WAL only from ``position`` on."""
    sql.rows("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", [slot.name, format_lsn(position)])


class Receiver:
    """A running ``pg_receivewal``. ``stderr`` is a file that collects its messages."""

    def __init__(
        self, bin_dir: Optional[str], connection: ConnectionConfig, slot: str, directory: str, stderr: IO[bytes]
    ) -> None:
        self._stderr = stderr
        words: List[str] = [program(bin_dir, "pg_receivewal"), "--directory", directory, "--slot", slot]
        words += ["--synchronous", "--no-loop", "--no-password"]
        # It must not outlive a killed stream, because nothing would clear its directory.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._process: Any = spawn(
            [*guard, *words],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=stderr,
            env=libpq_environment(connection, "lifeboat_stream"),
        )

    def require_alive(self) -> None:
        """StreamBroken or ServerNotReady, with the program's message, if it has ended."""
        status = self._process.poll()
        if status is None:
            return
        self._stderr.seek(0)
        words = self._stderr.read().decode(errors="replace").strip()[-1000:]
        if "max_wal_senders" in words:
            raise ServerNotReady(
                f"No WAL sender is free: {words}",
                "Raise max_wal_senders and restart the server.",
                setting="max_wal_senders",
            )
        raise StreamBroken(
            f"pg_receivewal ended with status {status}: {words or 'no output'}",
            "Correct the cause in its message, then start the stream again.",
            status=status,
        )

    def close(self) -> None:
        """Terminate the process."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait()
