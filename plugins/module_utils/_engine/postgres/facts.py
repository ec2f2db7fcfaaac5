# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a running server, and whether it can be backed up."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, Mapping, Optional, Tuple

from ..base.errors import CloneRefused, ServerNotReady
from ..base.wal_names import Segment, is_segment, parse_lsn
from ..records.tablespace import Tablespace
from .connection import Session

# PostgreSQL 15 introduced BASE_BACKUP with server-side compression and a single COPY stream.
OLDEST_VERSION = 150000


@dataclass(frozen=True)
class ServerFacts:
    """A snapshot of the server. Sizes are bytes; ``space_sizes`` by OID, "" for the data directory."""

    version: str
    version_num: int
    system_identifier: str
    in_recovery: bool
    wal_level: str
    archive_mode: str
    archive_command: str
    archive_library: str
    segment_size: int
    tablespaces: Tuple[Tablespace, ...]
    space_sizes: Mapping[str, int]
    may_replicate: bool
    user: str

    @property
    def size(self) -> int:
        """The size of all tablespaces."""
        return sum(self.space_sizes.values())


def read_facts(session: Session) -> ServerFacts:
    """Query the server; needs only CONNECT, and pg_monitor for the sizes of tablespaces."""
    names = (
        "server_version",
        "server_version_num",
        "wal_level",
        "archive_mode",
        "archive_command",
        "archive_library",
        "wal_segment_size",
    )
    settings: Dict[str, str] = dict(
        session.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(names)])
    )
    spaces = session.rows(
        "SELECT oid::text, spcname, pg_tablespace_location(oid),"
        # Only a role with these privileges may read the size of pg_global, which is small.
        " CASE WHEN spcname <> 'pg_global' OR pg_has_role('pg_read_all_stats', 'USAGE')"
        " OR has_tablespace_privilege(oid, 'CREATE') THEN pg_tablespace_size(oid) ELSE 0 END"
        " FROM pg_tablespace ORDER BY oid"
    )
    sizes: Dict[str, int] = {"": 0}
    for oid, _name, location, size in spaces:
        sizes[oid if location else ""] = sizes.get(oid if location else "", 0) + int(size)
    may_replicate, user = session.row(
        "SELECT rolreplication OR rolsuper, rolname FROM pg_roles WHERE rolname = current_user"
    )
    return ServerFacts(
        version=settings["server_version"],
        version_num=int(settings["server_version_num"]),
        system_identifier=str(session.value("SELECT system_identifier FROM pg_control_system()")),
        in_recovery=bool(session.value("SELECT pg_is_in_recovery()")),
        wal_level=settings["wal_level"],
        archive_mode=settings["archive_mode"],
        archive_command=settings.get("archive_command", ""),
        archive_library=settings.get("archive_library", ""),
        segment_size=int(settings["wal_segment_size"]),
        tablespaces=tuple(Tablespace(oid, name, location) for oid, name, location, _size in spaces if location),
        space_sizes=sizes,
        may_replicate=bool(may_replicate),
        user=user,
    )


def require_data_dir(session: Session, data_dir: str) -> None:
    """CloneRefused if the server runs in another data directory; only members of pg_monitor may know."""
    actual = str(session.value("SELECT current_setting('data_directory', true)") or "")
    if actual and os.path.realpath(actual) != os.path.realpath(data_dir):
        raise CloneRefused(
            f"The server runs in {actual}, not in {data_dir}, which this configuration protects.",
            "Set connection to the server of data_dir.",
            data_dir=actual,
            protected=data_dir,
        )


def require_backup_ready(facts: ServerFacts) -> None:
    """ServerNotReady, with the setting and the remedy, unless a base backup of this server can be made and used."""
    if facts.version_num < OLDEST_VERSION:
        raise ServerNotReady(
            f"PostgreSQL {facts.version} is too old: Lifeboat needs 15 or newer.",
            "Upgrade the server (pg_upgrade), then back it up.",
        )
    in_place = [t.name for t in facts.tablespaces if t.in_place]
    if in_place and facts.version_num < 160000:
        raise ServerNotReady(
            f"The tablespace {in_place[0]} is in the data directory (allow_in_place_tablespaces):"
            f" PostgreSQL {facts.version} omits it from base backups.",
            "Upgrade to PostgreSQL 16, or move its contents in each database, then drop it:"
            f' ALTER TABLE ALL IN TABLESPACE "{in_place[0]}" SET TABLESPACE pg_default; then the same with ALTER INDEX'
            " and ALTER MATERIALIZED VIEW.",
            tablespaces=in_place,
        )
    if facts.wal_level not in ("replica", "logical"):
        raise ServerNotReady(
            f"wal_level is {facts.wal_level}: base backups and WAL archiving need at least replica.",
            "ALTER SYSTEM SET wal_level = 'replica', then restart the server.",
            setting="wal_level",
            value=facts.wal_level,
        )
    if not facts.may_replicate:
        raise ServerNotReady(
            f"The role {facts.user} lacks REPLICATION.",
            f'Grant it: ALTER ROLE "{facts.user}" REPLICATION; or connect as another role (connection.user).',
            role=facts.user,
        )
    if facts.archive_mode == "off":
        raise ServerNotReady(
            f"archive_mode is {facts.archive_mode}: without archived WAL a base backup cannot be restored.",
            "Set archive_mode = on and archive_command = 'lifeboat --config FILE wal-push %p',"
            " then restart the server.",
            setting="archive_mode",
            value=facts.archive_mode,
        )
    silent = not facts.archive_command.strip() and not facts.archive_library.strip()
    if silent and not (facts.in_recovery and facts.archive_mode == "always"):
        raise ServerNotReady(
            "archive_command is empty: WAL is not archived.",
            "ALTER SYSTEM SET archive_command = 'lifeboat --config FILE wal-push %p'; SELECT pg_reload_conf().",
            setting="archive_command",
            value="",
        )


@dataclass(frozen=True)
class ArchiverState:
    """``pg_stat_archiver``, and the number of waiting segments (None if the role may not see it)."""

    last_archived: str
    last_archived_at: datetime
    failed_count: int
    last_failed: str
    failing: bool


def archiver_passed(last: str, segment: str) -> bool:
    """Whether the archiver, which takes a timeline's segments in order, is done with this one."""
    return is_segment(last[:24]) and last[:8] == segment[:8] and last[:24] >= segment


def archiver_state(session: Session) -> ArchiverState:
    """The state of the archiver process."""
    row = session.row(
        "SELECT coalesce(last_archived_wal, ''), last_archived_time, failed_count, coalesce(last_failed_wal, ''),"
        " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver"
    )
    return ArchiverState(*row)


def replay_lag(session: Session) -> Optional[float]:
    """Seconds since the last transaction that a standby has replayed; 0 if it has replayed everything it received.

    None if it does not stream: with an idle primary that time would grow without meaning anything.
    """
    value = session.value(
        "SELECT CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
        " THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())"
        " WHEN pg_last_wal_receive_lsn() IS NOT NULL THEN 0 END"
    )
    return None if value is None else float(value)


@dataclass(frozen=True)
class Position:
    """How far a standby has replayed, the time of the last replayed commit, and the timeline.

    ``pause`` is ``not paused``, ``pause requested`` or ``paused``.
    """

    lsn: int
    time: Optional[datetime]
    timeline: int
    pause: str


def replay_position(session: Session, segment_size: int) -> Position:
    """The position of a standby. Its timeline is that of the newest file of the segment in pg_wal.

    pg_control only has the timeline of the last restartpoint.
    """
    lsn, time, pause, known = session.row(
        "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')::text, pg_last_xact_replay_timestamp(),"
        " pg_get_wal_replay_pause_state(), greatest(min_recovery_end_timeline, timeline_id)"
        " FROM pg_control_recovery(), pg_control_checkpoint()"
    )
    at = Segment.ending_at(int(known), parse_lsn(lsn), segment_size)
    files = (
        session.rows("SELECT name FROM pg_ls_waldir() WHERE name ~ ('^[0-9A-F]{8}' || %s || '$')", [at.name[8:]])
        # Only members of pg_monitor may list it.
        if session.value("SELECT has_function_privilege('pg_ls_waldir()', 'EXECUTE')")
        else []
    )
    return Position(parse_lsn(lsn), time, max([at.timeline, *(int(name[:8], 16) for (name,) in files)]), str(pause))


def longest_wait(session: Session, state: ArchiverState, segment_size: int) -> Optional[float]:
    """The longest time in seconds that a commit can have waited to be archived; None if nothing limits it.

    Once every finished segment is archived, the unfinished one has no commit older than ``archive_timeout``, because
    the server would have switched segments (PostgreSQL manual, "Archiving"). So an idle server loses nothing, however
    long ago it last archived.
    """
    current, timeout = session.row(
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END,"
        " setting::int FROM pg_settings WHERE name = 'archive_timeout'"
    )
    if not current or not timeout or state.failing or not is_segment(state.last_archived[:24]):
        return None
    now, last = Segment.parse(current, segment_size), Segment.parse(state.last_archived[:24], segment_size)
    return float(timeout) if last.timeline == now.timeline and last.end >= now.start else None


_RANGE = re.compile(r'"Timeline":\s*(\d+),\s*"Start-LSN":\s*"([^"]+)",\s*"End-LSN":\s*"([^"]+)"')


@dataclass(frozen=True)
class WalRange:
    """The WAL that makes a backup consistent, from its ``backup_manifest``."""

    timeline: int
    start: int
    stop: int


def manifest_wal_range(manifest: bytes) -> WalRange:
    """``WAL-Ranges`` of a ``backup_manifest`` (PostgreSQL manual, "Backup Manifest Format")."""
    ranges = [
        WalRange(int(t), parse_lsn(a), parse_lsn(b))
        for t, a, b in _RANGE.findall(manifest[-4096:].decode(errors="replace"))
    ]
    if not ranges:
        raise ServerNotReady(
            "The server sent a backup_manifest without WAL ranges.", "Check that the server is PostgreSQL 15 or newer."
        )
    return WalRange(max(r.timeline for r in ranges), min(r.start for r in ranges), max(r.stop for r in ranges))
