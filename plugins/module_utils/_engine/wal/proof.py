# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that archiving works: switch to a new segment and find the finished one in every required repository.

Both sides are checked: ``pg_stat_archiver`` reports the segment as archived (PostgreSQL manual, "The Cumulative
Statistics System"), and each repository has the object. No switch is needed if the last file archived since the server
read its settings is already such a proof.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional, Tuple

from ..base import clock
from ..base.errors import ServerNotReady, WalGap
from ..base.progress import Progress, Silent
from ..base.wal_names import parse_lsn
from ..config.load import Config
from ..postgres.connection import Session, session
from ..postgres.facts import (
    ArchiverState,
    ServerFacts,
    archiver_passed,
    archiver_state,
    read_facts,
    require_backup_ready,
)
from ..repository.repository import Repositories, Repository
from .inventory import find_file

# A segment whose WAL ends here has only its header (SizeOfXLogLongPHD): pg_switch_wal() would do nothing.
_HEADER = 40
# The archiver gives up for a minute after three failures (NUM_ARCHIVE_RETRIES in pgarch.c).
_GIVES_UP = 3


@dataclass(frozen=True)
class Proof:
    """``segment`` is archived and in all of ``repositories``; ``switched``: whether it was ended for the proof."""

    segment: str
    timeline: int
    switched: bool
    repositories: Tuple[str, ...]
    seconds: float

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def apply(
    config: Config, timeout: float = 120.0, progress: Optional[Progress] = None, accept_new: bool = False
) -> Proof:
    """Prove it within ``timeout`` seconds. ``accept_new``: see :meth:`.Repository.adopt`.

    ServerNotReady if the server cannot archive or is a standby; WalGap with the segment, where it is missing, and why.
    """
    begin = clock.monotonic()
    repositories = Repositories.open(config)
    try:
        with session(config.connection) as sql:
            facts = read_facts(sql)
            _require_primary(facts)
            require_backup_ready(facts)
            if accept_new:
                for repository in repositories.required:
                    repository.adopt(facts.system_identifier, accept_new)
            timeline = int(sql.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")[:8], 16)
            segment = _proven_already(sql, repositories.required, facts.system_identifier, timeline)
            switched = not segment
            if not segment:
                base = archiver_state(sql)
                segment = _switch(sql, facts.segment_size)
                (progress or Silent()).note(f"Waiting for {segment} to be archived")
                _await(sql, repositories.required, facts.system_identifier, segment, base, begin + timeout)
    finally:
        repositories.close()
    names = tuple(r.name for r in repositories.required)
    return Proof(segment, timeline, switched, names, round(clock.monotonic() - begin, 3))


def plan(config: Config, accept_new: bool = False) -> Tuple[str, ...]:
    """The names of the required repositories; ForeignRepository unless each belongs to this cluster, is unused, or is
    to accept this cluster.

    Run before a server is configured to archive there.
    """
    repositories = Repositories.open(config)
    try:
        with session(config.connection) as sql:
            system = read_facts(sql).system_identifier
        for repository in repositories.required:
            if repository.systems() and not accept_new:
                repository.owns(system)
        return tuple(r.name for r in repositories.required)
    finally:
        repositories.close()


def _require_primary(facts: ServerFacts) -> None:
    if facts.in_recovery:
        raise ServerNotReady(
            "The server is a standby: it archives only after its promotion.", "Prove archiving on the primary."
        )


def _proven_already(sql: Session, required: Tuple[Repository, ...], system: str, timeline: int) -> Optional[str]:
    """The last archived file, if that is proof enough; else None."""
    state = archiver_state(sql)
    name = state.last_archived
    if not name or state.failing or not name.startswith(f"{timeline:08X}") or not _since_settings(sql):
        return None
    return None if _without(required, system, name) else name


def _since_settings(sql: Session) -> bool:
    return bool(sql.value("SELECT last_archived_time >= pg_conf_load_time() FROM pg_stat_archiver"))


def _without(required: Tuple[Repository, ...], system: str, name: str) -> Tuple[str, ...]:
    """The repositories that do not have this file."""
    return tuple(r.location for r in required if find_file(r, system, name) is None)


def _switch(sql: Session, segment_size: int) -> str:
    """End the current segment, after a harmless record if it is empty, and return its name."""
    if parse_lsn(sql.value("SELECT pg_current_wal_insert_lsn()::text")) % segment_size <= _HEADER:
        sql.value("SELECT pg_create_restore_point('lifeboat: proof of archiving')")
    # From version 17 pg_walfile_name() of a boundary is the next segment, before it was the one that ends there.
    return str(sql.value("SELECT pg_walfile_name(pg_switch_wal() - 1::numeric)"))


def _await(
    sql: Session, required: Tuple[Repository, ...], system: str, segment: str, base: ArchiverState, deadline: float
) -> None:
    pause = 0.1
    while True:
        state = archiver_state(sql)
        archived = archiver_passed(state.last_archived, segment)
        missing = _without(required, system, segment)
        if archived and not missing:
            return
        if archived:
            raise WalGap(
                f"PostgreSQL reports {segment} as archived, but it is not in {', '.join(missing)}.",
                "Check that archive_command is Lifeboat's, with this configuration: another one reported success.",
                segment=segment,
                missing=missing,
            )
        if (state.failing and state.failed_count - base.failed_count >= _GIVES_UP) or clock.monotonic() > deadline:
            raise _not_archived(segment, missing, state)
        clock.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def _not_archived(segment: str, missing: Tuple[str, ...], state: ArchiverState) -> WalGap:
    why = (
        f"archive_command fails on {state.last_failed} ({state.failed_count} failures)."
        if state.failing
        else f"The archiver's last file is {state.last_archived or 'none'}."
    )
    return WalGap(
        f"{segment} was not archived{' to ' + ', '.join(missing) if missing else ''}. {why}",
        "See archive_command's output in the server's log. PostgreSQL keeps the segment and tries again.",
        segment=segment,
        missing=missing,
        failed_count=state.failed_count,
    )
