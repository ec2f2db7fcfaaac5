# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until the WAL that makes a base backup consistent is in every repository."""

from __future__ import annotations

from typing import Dict, List, Tuple

from ..base import clock
from ..base.errors import WalConflict, WalGap
from ..base.wal_names import Segment, segments_between
from ..config.sections import BackupConfig
from ..postgres.connection import Session
from ..postgres.facts import ServerFacts, WalRange, archiver_passed, archiver_state
from ..repository.repository import Repository
from ..wal.inventory import absent


def await_wal(
    config: BackupConfig, required: Tuple[Repository, ...], facts: ServerFacts, wal: WalRange, sql: Session
) -> None:
    """Wait until every repository has all WAL of the backup; WalGap with the missing segments and the reason.

    A long queue is not a failure: the timeout starts again with each segment that the server archives. WalConflict if
    the repositories have segments of these names, but a primary did not archive its own there.
    """
    last_segment = Segment.ending_at(wal.timeline, wal.stop, facts.segment_size).name
    pending = {r.name: list(segments_between(wal.timeline, wal.start, wal.stop, facts.segment_size)) for r in required}
    deadline = clock.monotonic() + config.wal_timeout
    last = ""
    pause = 0.1
    while True:
        for repository in required:
            missing = absent(repository, facts.system_identifier, pending[repository.name])
            pending[repository.name] = [s for s in pending[repository.name] if s.name in missing]
        newest = archiver_state(sql).last_archived
        # Without a last file the statistics were reset.
        archived = facts.in_recovery or not newest or archiver_passed(newest, last_segment)
        if archived and not any(pending.values()):
            return
        if newest != last:
            last, deadline = newest, clock.monotonic() + config.wal_timeout
        if clock.monotonic() > deadline and not any(pending.values()):
            raise _of_others(last_segment, sql)
        if clock.monotonic() > deadline:
            raise _never_archived(config, pending, facts, sql)
        clock.sleep(pause)
        pause = min(pause * 1.5, 2.0)


def _never_archived(
    config: BackupConfig, pending: Dict[str, List[Segment]], facts: ServerFacts, sql: Session
) -> WalGap:
    names = sorted({s.name for segments in pending.values() for s in segments})
    where = ", ".join(name for name, segments in pending.items() if segments)
    state = archiver_state(sql)
    why = (
        f"archive_command fails: {state.failed_count} times, last on {state.last_failed}."
        if state.failing
        else "archive_command did not fail."
    )
    if facts.in_recovery:
        why += (
            " This is a standby: the primary must archive its current segment"
            " (archive_timeout, or pg_switch_wal() there)."
        )
    return WalGap(
        f"The backup needs WAL that did not reach {where}; nothing was archived for {config.wal_timeout:g} s:"
        f" {', '.join(names[:5])}. {why}",
        "Find archive_command's output in the server's log, then run the backup again. No backup was recorded.",
        missing=names,
        repositories=[name for name, segments in pending.items() if segments],
    )


def _of_others(segment: str, sql: Session) -> WalConflict:
    state = archiver_state(sql)
    return WalConflict(
        f"Every repository has a segment {segment}, but this server did not archive its own: archive_command failed"
        f" {state.failed_count} times, last on {state.last_failed or 'none'}.",
        "Find out whether this server was reverted to a snapshot, or is a copy that was opened by hand: then its WAL"
        " does not continue what is stored. Restore it, or give it a repository of its own. No backup was recorded.",
        name=segment,
    )
