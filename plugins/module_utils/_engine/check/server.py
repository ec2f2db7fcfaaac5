# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the running server and its host: archiving, the backlog, the WAL agent and the WAL stream."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Iterator, List, Optional, Tuple

from ..base import clock
from ..base.errors import LifeboatError
from ..base.units import about
from ..config.load import Config
from ..config.sections import WalConfig
from ..postgres.collations import ChangedCollation, changed_collations
from ..postgres.connection import Session, session
from ..postgres.facts import (
    ArchiverState,
    ServerFacts,
    archiver_state,
    longest_wait,
    read_facts,
    replay_lag,
    require_backup_ready,
)
from ..postgres.receivewal import Slot, flushed, read_slot, slot_name
from ..records.model import format_time
from ..wal import contact
from ..wal.backlog import Backlog, read_backlog
from ..wal.spool import agent_lives
from .answer import CRITICAL, OK, WARNING, Check


def _start(program: str, cluster: str) -> str:
    unit = f"lifeboat-{program}@{cluster}"
    return f"systemctl start {unit}, or run lifeboat {program} as the owner of the data directory."


@dataclass(frozen=True)
class Stream:
    """The replication slot of the WAL stream; ``flushed`` is the LSN up to which the server has flushed WAL."""

    slot: Optional[Slot]
    flushed: int

    @property
    def retained(self) -> int:
        """Bytes of WAL that the slot keeps on the server."""
        return max(0, self.flushed - self.slot.position) if self.slot and self.slot.position is not None else 0

    @property
    def behind(self) -> int:
        """Bytes that the server has flushed and the stream has not received."""
        received = self.slot and (self.slot.received or self.slot.position)
        return max(0, self.flushed - received) if received else 0

    @property
    def running(self) -> bool:
        """Whether the slot is active."""
        return self.slot is not None and self.slot.position is not None and self.slot.active_pid is not None


@dataclass(frozen=True)
class ServerState:
    """The state of the server and its host; None for parts that do not exist or could not be read.

    ``wait``: see :func:`..postgres.facts.longest_wait`. ``free``: free bytes of the file system of pg_wal.
    ``lag``: how many seconds the replay of a standby is behind.
    """

    facts: Optional[ServerFacts] = None
    archiver: Optional[ArchiverState] = None
    wait: Optional[float] = None
    lag: Optional[float] = None
    stream: Optional[Stream] = None
    backlog: Optional[Backlog] = None
    free: Optional[int] = None
    agent: Optional[bool] = None
    collations: Tuple[ChangedCollation, ...] = ()
    errors: Tuple[Tuple[str, LifeboatError], ...] = ()

    @property
    def archived(self) -> Optional[str]:
        """The last WAL file that the server archived."""
        return (self.archiver.last_archived or None) if self.archiver else None

    @property
    def system(self) -> Optional[str]:
        """The server's system identifier."""
        return self.facts.system_identifier if self.facts else None


def read_server(config: Config) -> ServerState:
    """Query the server and read its directories; failures are in ``errors``, by the check that they belong to."""
    errors: List[Tuple[str, LifeboatError]] = []
    facts: Optional[ServerFacts] = None
    archiver: Optional[ArchiverState] = None
    wait = lag = None
    stream: Optional[Stream] = None
    collations: Tuple[ChangedCollation, ...] = ()
    try:
        with session(config.connection) as sql:
            facts = read_facts(sql)
            archiver = archiver_state(sql)
            wait = longest_wait(sql, archiver, facts.segment_size)
            lag = replay_lag(sql) if facts.in_recovery else None
            if facts.in_recovery:
                contact.update(config, sql)
            if config.wal.stream and not facts.in_recovery:
                stream = _read_stream(sql, config.cluster)
            collations = changed_collations(sql)
            # The primary archives, not the standby.
            require_backup_ready(replace(facts, archive_mode="always") if facts.in_recovery else facts)
    except LifeboatError as exc:
        errors.append(("server", exc))
    backlog, free, agent = None, None, None
    if config.data_dir and os.path.isdir(config.data_dir):
        try:
            backlog = read_backlog(config.data_dir)
            free = _free(os.path.join(config.data_dir, "pg_wal"))
        except LifeboatError as exc:
            errors.append(("wal_backlog", exc))
        if config.spool_dir and facts and "lifeboat-wal-push" in facts.archive_command:
            agent = agent_lives(config.spool_dir)
    return ServerState(facts, archiver, wait, lag, stream, backlog, free, agent, collations, tuple(errors))


def _read_stream(sql: Session, cluster: str) -> Stream:
    return Stream(read_slot(sql, slot_name(cluster)), flushed(sql))


def _free(path: str) -> Optional[int]:
    """Free bytes there for ordinary users."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def of_server(config: Config, state: ServerState) -> Iterator[Check]:
    """The checks of this state."""
    failed = dict(state.errors)
    facts, archiver = state.facts, state.archiver
    if "server" in failed:
        yield Check("server", CRITICAL, failed["server"].message, failed["server"].hint)
    elif facts:
        role = "standby" if facts.in_recovery else "primary"
        yield Check("server", OK, f"PostgreSQL {facts.version}, {role}, archive_mode {facts.archive_mode}")
    if state.collations and facts:
        yield _collations(state.collations, facts.in_recovery)
    if state.stream:
        yield _stream(config.cluster, state.stream)
    # A standby archives nothing, unless with archive_mode = always.
    if archiver and "server" not in failed and facts and not (facts.in_recovery and facts.archive_mode != "always"):
        yield _archiving(archiver)
    if "wal_backlog" in failed:
        yield Check("wal_backlog", WARNING, failed["wal_backlog"].message, failed["wal_backlog"].hint)
    elif state.backlog:
        yield judge_backlog(state.backlog, state.free, config.wal, config.objectives.rpo, clock.now().timestamp())
    if state.agent:
        yield Check("wal_agent", OK, f"running (spool {config.spool_dir})")
    elif state.agent is False:
        text = (
            f"No WAL agent is running for {config.spool_dir}: archive_command stores each segment itself, more slowly."
        )
        yield Check("wal_agent", WARNING, text, _start("wal-agent", config.cluster))


def _collations(changed: Tuple[ChangedCollation, ...], in_recovery: bool) -> Check:
    """Databases whose indexes on text may be wrong on this host. Pure."""
    found = ", ".join(f"{c.database} ({c.recorded}, here {c.present})" for c in changed)
    text = f"The library that sorts text has another version than the indexes were built with: {found}."
    hint = (
        "Queries on this standby may miss rows, and a failover has to rebuild the indexes. Run it on the operating"
        " system of the primary."
        if in_recovery
        else "Run REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION, in each of them."
    )
    return Check("collations", WARNING, text, hint)


def _archiving(state: ArchiverState) -> Check:
    if state.failing:
        text = f"archive_command fails on {state.last_failed} ({state.failed_count} failures)."
        return Check("archiving", CRITICAL, text, "See the output of archive_command in the server's log.")
    if not state.last_archived:
        hint = "Run SELECT pg_switch_wal(), then check again."
        return Check("archiving", WARNING, "Nothing has been archived yet.", hint)
    return Check("archiving", OK, f"{state.last_archived} was archived at {format_time(state.last_archived_at)}")


def _stream(cluster: str, stream: Stream) -> Check:
    """Whether the WAL stream follows the server, and how far behind it is. Pure."""
    name, slot, start = slot_name(cluster), stream.slot, _start("wal-stream", cluster)
    if slot is None or slot.position is None:
        what = (
            "There is no replication slot" if slot is None else "The server has removed WAL needed by replication slot"
        )
        return Check("wal_stream", WARNING, f"{what} {name}: no stream follows this server.", start)
    if not stream.running:
        text = f"The stream is not running; its slot {name} keeps {stream.retained / 1e6:.1f} MB of WAL."
        return Check("wal_stream", WARNING, text, start)
    return Check("wal_stream", OK, f"follows the server, {stream.behind / 1e3:.0f} kB behind")


def judge_backlog(backlog: Backlog, free: Optional[int], limits: WalConfig, rpo: Optional[float], now: float) -> Check:
    """Whether too much WAL waits to be archived: too many files, for too long, or too much of the disk. Pure.

    Critical at twice a limit, or if the first file has waited for longer than the RPO.
    """
    waited = max(0.0, now - backlog.since) if backlog.count and backlog.since is not None else 0.0
    text = f"{backlog.count} files ({backlog.size / 1e6:.1f} MB) wait to be archived"
    text += f", the first, {backlog.first}, for {about(waited)}" if backlog.count else ""
    measured = (
        (backlog.count, limits.backlog_files, f"more than {limits.backlog_files} files (wal.backlog_files)"),
        (waited, limits.backlog_seconds, f"longer than {limits.backlog_seconds:g} s (wal.backlog_seconds)"),
        (
            backlog.size / (backlog.size + free) if free is not None and backlog.size else 0.0,
            limits.backlog_share,
            f"over {limits.backlog_share:.0%} of the space available to pg_wal (wal.backlog_share)",
        ),
    )
    over = [(value / most, words) for value, most, words in measured if most and value > most]
    late = rpo is not None and waited > rpo
    if late:
        over.append((2.0, f"longer than the RPO of {rpo:g} s"))
    if not over:
        return Check("wal_backlog", OK, text, value=backlog.size, unit="B")
    status = CRITICAL if max(times for times, _words in over) >= 2 else WARNING
    hint = "Find out why archiving is slow or fails: see the server's log and the checks of each repository."
    return Check(
        "wal_backlog", status, f"{text}: {', '.join(w for _t, w in over)}.", hint, value=backlog.size, unit="B"
    )
