# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL summaries, the basis of incremental backups (PostgreSQL manual, "WAL Summarization").

The server needs a summary of all WAL from the start of the parent to the start of the new backup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import IncrementalImpossible
from ..base.wal_names import format_lsn, parse_lsn
from ..config.sections import ConnectionConfig
from .connection import Session, replication_rows
from .timeline import TimelinePath, path_to

# The first version with incremental backups.
OLDEST_VERSION = 170000
# BASE_BACKUP itself waits for the rest while the summarizer makes progress, which sleeps up to 30 s on an idle server.
_NEAR = 64 * 1024 * 1024


@dataclass(frozen=True)
class Summary:
    """One summary file: the WAL of a timeline from ``start`` to before ``end``."""

    timeline: int
    start: int
    end: int


@dataclass(frozen=True)
class Summarizer:
    """``pg_get_wal_summarizer_state()``: summaries are on disk up to ``summarized``, WAL is read up to ``pending``."""

    enabled: bool
    running: bool
    summarized: int
    pending: int


@dataclass(frozen=True)
class Position:
    """The position of a server: the path to its timeline, and the LSN that it has flushed or replayed."""

    path: TimelinePath
    lsn: int


def read_position(connection: ConnectionConfig) -> Position:
    """Query ``IDENTIFY_SYSTEM`` and ``TIMELINE_HISTORY``, which work on a primary and on a standby."""
    ((_system, timeline, lsn, _dbname),) = replication_rows(connection, "IDENTIFY_SYSTEM")
    histories = {}
    if int(timeline) > 1:
        ((_name, text),) = replication_rows(connection, f"TIMELINE_HISTORY {int(timeline)}")
        histories[int(timeline)] = text if isinstance(text, str) else bytes(text).decode(errors="replace")
    return Position(path_to(int(timeline), histories), parse_lsn(lsn))


def read_summaries(sql: Session) -> Tuple[Summary, ...]:
    """All summaries on the server."""
    found = sql.rows("SELECT tli, start_lsn::text, end_lsn::text FROM pg_available_wal_summaries()")
    return tuple(Summary(int(tli), parse_lsn(start), parse_lsn(end)) for tli, start, end in found)


def read_summarizer(sql: Session) -> Summarizer:
    """The state of the summarizer."""
    enabled, summarized, pending, pid = sql.row(
        "SELECT current_setting('summarize_wal')::bool, summarized_lsn::text, pending_lsn::text, summarizer_pid"
        " FROM pg_get_wal_summarizer_state()"
    )
    done = parse_lsn(summarized)
    return Summarizer(bool(enabled), bool(pid), done, max(done, parse_lsn(pending)))


def first_uncovered(summaries: Sequence[Summary], path: TimelinePath, start: int, end: int) -> Optional[int]:
    """The first LSN from ``start`` to before ``end`` that no summary on the path covers, or None. Pure."""
    at = start
    while at < end:
        timeline = path.at(at)
        switch = path.fork_of(timeline)
        limit = end if switch is None else min(end, switch)
        covered = max((s.end for s in summaries if s.timeline == timeline and s.start <= at < s.end), default=at)
        if covered == at:
            return at
        at = min(covered, limit)
    return None


def require_version(version: str, version_num: int) -> None:
    """IncrementalImpossible for a server that is too old."""
    if version_num < OLDEST_VERSION:
        raise IncrementalImpossible(
            f"PostgreSQL {version} has no incremental backups, which need version 17 or newer.",
            "Make a full backup (type full), or use type auto.",
            reason="version",
        )


def require_summaries(sql: Session, path: TimelinePath, start: int, parent: str) -> Summarizer:
    """IncrementalImpossible if a summary from ``start`` on is missing for good."""
    state = read_summarizer(sql)
    if not state.enabled:
        raise IncrementalImpossible(
            "summarize_wal is off: the server does not track changed blocks.",
            "Run ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf(). Then make a full backup, on which"
            " incremental ones can be based.",
            reason="summarize_wal",
            setting="summarize_wal",
            value="off",
        )
    hole = first_uncovered(read_summaries(sql), path, start, state.summarized)
    if hole is not None:
        raise IncrementalImpossible(
            f"The server has no WAL summary from {format_lsn(hole)} on, but needs all from {format_lsn(start)} on,"
            f" where backup {parent} starts: summarize_wal was off, wal_summary_keep_time is over,"
            " or the data directory has been restored since.",
            "Make a full backup; the next incremental one can be based on that.",
            reason="summaries_missing",
            needed_from=format_lsn(start),
            missing_from=format_lsn(hole),
        )
    return state


def await_summarizer(sql: Session, goal: int, timeout: float) -> None:
    """Wait until the summarizer comes near the LSN ``goal``; IncrementalImpossible after ``timeout`` s of no progress.

    A long queue is not a failure: the timeout counts from the last progress.
    """
    last = -1
    deadline = clock.monotonic() + timeout
    while True:
        state = read_summarizer(sql)
        if state.running and goal - state.pending <= _NEAR:
            return
        if state.pending > last:
            last, deadline = state.pending, clock.monotonic() + timeout
        if clock.monotonic() > deadline:
            what = "has made no progress" if state.running else "has not been running"
            raise IncrementalImpossible(
                f"The WAL summarizer {what} for {timeout:g} s: it is at {format_lsn(state.pending)},"
                f" {goal - state.pending} bytes behind {format_lsn(goal)}; on disk are summaries up to"
                f" {format_lsn(state.summarized)}.",
                "Check the server's log for messages of the summarizer, raise backup.summary_timeout, or make a full"
                " backup.",
                reason="summaries_late",
                pending=format_lsn(state.pending),
                needed=format_lsn(goal),
            )
        clock.sleep(0.2)
