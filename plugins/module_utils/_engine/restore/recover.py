# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch a server recover, and compare the result with the plan."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, Iterator, Optional

from ..base import clock
from ..base.errors import PostgresError, RecoveryFailed
from ..base.progress import Progress
from ..base.wal_names import Segment, format_lsn, parse_lsn
from ..config.load import Config
from ..postgres import server
from ..postgres.connection import Session, local, session
from ..postgres.controldata import read_control
from ..postgres.facts import replay_position
from ..records.model import format_time
from ..repository.repository import Repositories
from ..wal.scan import ended_at, last_record, records_in
from .extract import read_tail
from .request import PASSIVE, RestorePlan
from .standby import reached_enough

# Seconds: poll often during a short recovery, and less during a long one.
_POLL_FIRST, _POLL_LONGEST = 0.02, 0.2
_STARTING = 30.0
# Lifeboat reads the log for progress and for the end, so it must be in English, and in one file.
READABLE_LOG = {"lc_messages": "C", "logging_collector": "off", "log_destination": "stderr"}


def sync_settings(system: os.uname_result) -> Dict[str, str]:
    """Settings for how the server makes restored files durable at startup, on the ``system`` according to ``uname``.

    ``syncfs`` flushes whole file systems, whereas ``fsync`` flushes the disk for each file: seconds for 10,000 files.
    Linux reports write errors to it from 5.8 on (PostgreSQL: ``recovery_init_sync_method``).
    """
    found = re.match(r"(\d+)\.(\d+)", system.release)
    if system.sysname != "Linux" or not found or (int(found[1]), int(found[2])) < (5, 8):
        return {}
    return {"recovery_init_sync_method": "syncfs"}


@dataclass(frozen=True)
class Reached:
    """Where recovery ended. ``parent`` is the replayed timeline, ``timeline`` the current one."""

    lsn: int
    time: Optional[datetime]
    timeline: int
    parent: int
    reason: str
    segments: int


@contextmanager
def isolation(data_dir: str) -> Iterator[Dict[str, str]]:
    """Settings under which only this user can reach the server: nobody writes to it until it is verified.

    It does not act for the cluster either (:data:`PASSIVE`). With ``hot_standby`` off, recovery does not depend on
    ``max_connections`` and similar settings.
    """
    with server.private(data_dir) as settings:
        yield {**settings, "hot_standby": "off", **PASSIVE, **READABLE_LOG}


def watch(config: Config, planned: RestorePlan, log: str, progress: Progress) -> Reached:
    """Wait until the server has carried out the plan's action; RecoveryFailed if it exits or takes too long."""
    data_dir, action = planned.data_dir, planned.request.action
    begin = clock.monotonic()
    tail = _LogTail(log)
    pause = _POLL_FIRST
    while True:
        progress.advance(tail.restored(), planned.segments_needed)
        waited = clock.monotonic() - begin
        if not server.is_running(config.bin_dir, data_dir):
            # pg_ctl returns before the server has written its postmaster.pid.
            if waited > _STARTING or tail.ended:
                return _after_shutdown(config, planned, log)
        else:
            reached = _ask(config, planned, action)
            if reached:
                return reached
        if planned.request.timeout is not None and waited > planned.request.timeout:
            raise RecoveryFailed(
                f"Recovery did not end within {planned.request.timeout:g} s;"
                f" {tail.restored()} of at most {planned.segments_needed} segments were replayed.",
                f"Allow more time (timeout), and see the log of the stopped server: {log}.",
                log=log,
            )
        clock.sleep(pause)
        pause = min(1.3 * pause, _POLL_LONGEST)


def _ask(config: Config, planned: RestorePlan, action: str) -> Optional[Reached]:
    where = server.endpoint(planned.data_dir)
    if where is None:
        return None
    try:
        with session(local(config.connection, *where)) as sql:
            recovering = bool(sql.value("SELECT pg_is_in_recovery()"))
            if action == "standby":
                return _following(sql, planned, recovering)
            if action != "pause":
                return None if recovering else _promoted(config, sql, planned)
            if not recovering:
                raise RecoveryFailed(
                    "The server left recovery instead of pausing at the target.",
                    "Restore again, and let nobody connect before it pauses: somebody resumed or promoted it.",
                )
            paused = sql.value("SELECT pg_get_wal_replay_pause_state() = 'paused'")
            return _paused(config, sql, planned) if paused else None
    except PostgresError:
        # "The database system is starting up": try again. watch() notices a server that exited.
        return None


def _last_commit(
    config: Config, planned: RestorePlan, timeline: int, lsn: int, told: Optional[datetime]
) -> Optional[datetime]:
    """When the last replayed transaction ended. ``lsn`` is where recovery stopped, ``told`` the time by the server.

    The server does not count a commit that it stopped after because of its LSN (``recoveryStopsAfter`` in
    ``xlogrecovery.c``): that one is looked up in the WAL.
    """
    if planned.target.kind != "lsn" or not planned.target.inclusive:
        return told
    segment = Segment.ending_at(timeline, lsn, planned.backup.segment_size)
    try:
        with open(os.path.join(planned.data_dir, "pg_wal", segment.name), "rb") as stream:
            content = stream.read()
    except OSError:
        return told
    last = None
    for record in records_in(config.bin_dir, segment, content, ["--rmgr=Transaction"]):
        if record.lsn < lsn:
            last = ended_at(record) or last
    return last or told


def _promoted(config: Config, sql: Session, planned: RestorePlan) -> Reached:
    timeline = int(sql.value("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8], 16)
    history = read_tail(planned.data_dir, timeline)
    if history is None:
        raise RecoveryFailed(
            f"The promoted server is on timeline {timeline} without a history file.",
            "Restore again, and keep the server's log: it did not recover from the archive.",
            timeline=timeline,
        )
    parent, told, reason = history
    lsn = parse_lsn(told)
    time = _last_commit(config, planned, timeline, lsn, sql.value("SELECT pg_last_xact_replay_timestamp()"))
    return _reached(planned, lsn, time, timeline, parent, reason)


def _paused(config: Config, sql: Session, planned: RestorePlan) -> Reached:
    told, time = sql.row("SELECT pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()")
    timeline = int(sql.value("SELECT min_recovery_end_timeline FROM pg_control_recovery()")) or planned.path.timeline
    lsn = parse_lsn(told)
    time = _last_commit(config, planned, timeline, lsn, time)
    return _reached(planned, lsn, time, timeline, timeline, "paused")


def _following(sql: Session, planned: RestorePlan, recovering: bool) -> Optional[Reached]:
    """The position of a standby that has replayed all WAL of the plan; None before that."""
    if not recovering:
        raise RecoveryFailed(
            "The server left recovery instead of following the repository.",
            "Restore it again as a standby: somebody promoted it.",
        )
    at = replay_position(sql, planned.backup.segment_size)
    if not reached_enough(planned, at.lsn, at.timeline):
        return None
    return _reached(planned, at.lsn, at.time, at.timeline, at.timeline, "following")


def _after_shutdown(config: Config, planned: RestorePlan, log: str) -> Reached:
    control = read_control(config.bin_dir, planned.data_dir)
    if planned.request.action == "shutdown" and control.state == "shut down in recovery":
        return _reached(
            planned,
            control.min_recovery or control.checkpoint or 0,
            None,
            control.timeline,
            control.timeline,
            "shut down",
        )
    raise RecoveryFailed(
        f"The server stopped during recovery: {server.last_words(log)}",
        f"See its log, {log}. Fix the cause and run the restore again: it starts over.",
        log=log,
    )


def _reached(
    planned: RestorePlan, lsn: int, time: Optional[datetime], timeline: int, parent: int, reason: str
) -> Reached:
    size = planned.backup.segment_size
    segments = max(lsn - 1, 0) // size - planned.backup.start_lsn // size + 1
    return Reached(lsn, time, timeline, parent, reason, segments)


def _is_short(planned: RestorePlan, reached: Reached) -> bool:
    """Whether recovery to ``latest`` ended before the last archived segment. Pure."""
    segments = planned.run.segments
    return planned.target.kind == "latest" and bool(segments) and reached.lsn < segments[-1].start


def ends_within_a_record(config: Config, planned: RestorePlan, reached: Reached) -> bool:
    """Whether no record begins in the segments after the one in which recovery ended.

    Then the archive ends within a record that is longer than a segment, and recovery cannot go further. If the WAL were
    damaged where recovery ended, later segments would have records.
    """
    if not _is_short(planned, reached):
        return False
    system = planned.backup.system_identifier
    with Repositories.open(config) as repositories:
        repository = repositories.named(planned.source.name or "")
        later = [s for s in planned.run.segments if s.start > reached.lsn]
        return repository is not None and all(
            last_record(repository, config.bin_dir, system, segment) is None for segment in reversed(later)
        )


def require_reached(planned: RestorePlan, reached: Reached, within_a_record: bool = False) -> None:
    """RecoveryFailed unless recovery ended at the target on the planned timeline, whatever its settings. Pure.

    ``within_a_record``: see :func:`ends_within_a_record`.
    """
    target = planned.target
    wrong = None
    if reached.parent != planned.path.timeline and reached.lsn >= (planned.path.fork_of(reached.parent) or 0):
        wrong = f"it followed timeline {reached.parent} instead of {planned.path.timeline}"
    elif reached.lsn < planned.backup.stop_lsn:
        wrong = (
            f"it ended at {format_lsn(reached.lsn)}, before the backup's end at {format_lsn(planned.backup.stop_lsn)}"
        )
    elif _is_short(planned, reached) and not within_a_record:
        wrong = f"it ended at {format_lsn(reached.lsn)}, but the archive reaches {format_lsn(planned.run.end)}"
    elif planned.pieces.last_record is not None and reached.lsn <= planned.pieces.last_record:
        wrong = f"it ended at {format_lsn(reached.lsn)}, but the pieces reach {format_lsn(planned.pieces.end or 0)}"
    elif target.kind == "time" and reached.time and reached.time > target.moment():
        wrong = f"the last replayed commit is at {format_time(reached.time)}"
    elif planned.located is not None:
        if target.inclusive and reached.lsn < planned.located:
            wrong = f"it ended at {format_lsn(reached.lsn)}, before the target at {format_lsn(planned.located)}"
        elif not target.inclusive and reached.lsn > planned.located:
            wrong = f"it ended at {format_lsn(reached.lsn)}, after the target at {format_lsn(planned.located)}"
    if wrong:
        raise RecoveryFailed(
            f"Recovery did not end at the target {target.describe()}: {wrong}.",
            "Do not use this server, which was stopped. Keep its log, and restore again.",
            reached_lsn=format_lsn(reached.lsn),
            reached_time=format_time(reached.time) if reached.time else None,
            timeline=reached.timeline,
        )


class _LogTail:
    """Reads the server's log incrementally: counts restored segments, and notices the server's end."""

    def __init__(self, path: str) -> None:
        self._path, self._offset, self._count = path, 0, 0
        self.ended = False

    def restored(self) -> int:
        try:
            with open(self._path, "rb") as stream:
                stream.seek(self._offset)
                new = stream.read()
        except OSError:
            return self._count
        complete = new[: new.rfind(b"\n") + 1]
        self._offset += len(complete)
        self._count += complete.count(b"restored log file")
        self.ended = self.ended or any(
            word in complete for word in (b"FATAL:", b"PANIC:", b"database system is shut down")
        )
        return self._count
