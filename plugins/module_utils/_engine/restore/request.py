# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a restore: the request, the plan, the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from ..base.wal_names import format_lsn
from ..erasure import Register
from ..postgres.timeline import TimelinePath
from ..records.model import BackupManifest, Target, format_time
from ..repository.chain import Chain
from ..repository.erasures import MARGIN, Erasure, due
from ..wal.fetch import EVERYWHERE, Source
from ..wal.inventory import Run
from .pieces import NO_PIECES, Pieces

ACTIONS = ("promote", "pause", "shutdown", "standby")
EXISTING = ("refuse", "move_aside")
ARCHIVING = ("auto", "on", "off")
LEAVE = ("running", "stopped")
UNCONFIRMED = ("refuse", "leave_out")


@dataclass(frozen=True)
class RestoreRequest:
    """A requested restore.

    ``data_dir``: None for the configured one. ``tablespaces`` maps a location at the source to one here.
    ``archiving`` ``auto`` lets only the configured data directory archive; any other is a clone. ``settings`` are added
    to the restored cluster's ``postgresql.auto.conf``. ``timeout`` bounds the recovery in seconds; None waits forever.
    ``delta`` keeps files of the existing directories that match the backup, and rewrites the others.
    Without ``pieces`` the WAL ends with the last complete segment, even if more was streamed.
    Without ``erasures`` the erasure register is not applied again. ``confirm_erasures`` are IDs of erasures with their
    own statement, or later than ``as_of``; ``unconfirmed``: whether others of those refuse the restore or are left out.
    ``request_id`` is the caller's ID for this restore, such as an incident's: a data directory that is its
    finished result is left alone.
    ``wal_dir`` is a directory for ``pg_wal``, which is then a link to it.
    With ``assume_stopped`` the plan ignores a running server; the restore itself still refuses it.
    """

    target: Target = Target()
    label: Optional[str] = None
    data_dir: Optional[str] = None
    tablespaces: Mapping[str, str] = field(default_factory=dict)
    existing: str = "refuse"
    action: str = "promote"
    archiving: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    leave: str = "running"
    timeout: Optional[float] = None
    assume_stopped: bool = False
    delta: bool = False
    pieces: bool = True
    erasures: bool = True
    confirm_erasures: Tuple[str, ...] = ()
    unconfirmed: str = "refuse"
    request_id: Optional[str] = None
    wal_dir: Optional[str] = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("action", ACTIONS),
            ("existing", EXISTING),
            ("archiving", ARCHIVING),
            ("leave", LEAVE),
            ("unconfirmed", UNCONFIRMED),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"The restore option {name} is {getattr(self, name)!r}.", f"Choose one of: {', '.join(allowed)}."
                )
        if not self.target.inclusive and self.target.kind not in ("time", "lsn", "xid"):
            raise ConfigError(
                f"Recovery cannot stop just before the target '{self.target.kind}'.",
                "Omit exclusive (inclusive: true), or give a target of the kind time, lsn or xid.",
            )
        if self.request_id is not None and not self.request_id.strip():
            raise ConfigError(
                "The request_id of the restore is empty.", "Give the ID of the incident, or omit request_id."
            )
        if self.action == "standby" and (self.target.kind, self.target.timeline) != ("latest", "latest"):
            raise ConfigError(
                f"A standby follows the newest timeline without an end, but the target is {self.target.describe()}"
                f" on timeline {self.target.timeline}.",
                "Omit target and timeline, or choose action pause.",
            )
        if self.action == "standby" and self.leave == "stopped":
            raise ConfigError(
                "action standby and leave stopped exclude each other: the standby is left following the repository.",
                "Omit leave, and stop the server afterwards.",
            )
        if self.action in ("pause", "shutdown") and self.target.kind == "latest":
            raise ConfigError(
                f"A restore to 'latest' has no target to {self.action} at.",
                "Choose action promote (leave: stopped stops it afterwards) or standby, or another kind of target.",
            )
        if self.delta and self.existing == "move_aside":
            raise ConfigError(
                "delta and move_aside exclude each other: delta reuses the files that move_aside renames.",
                "Choose one of delta and move_aside.",
            )
        if self.delta and self.wal_dir:
            raise ConfigError(
                "delta and wal_dir exclude each other: a delta restore needs pg_wal in the data directory.",
                "Choose one of delta and wal_dir.",
            )
        if self.action == "pause" and self.leave == "stopped":
            raise ConfigError(
                "action pause and leave stopped exclude each other.", "Choose action shutdown, or leave running."
            )


#: Of a server that must not act for the cluster: workers of its subscriptions connect to their publishers and take what
#: the live server has not received yet, and those of pg_cron run its jobs.
PASSIVE: Mapping[str, str] = {"max_logical_replication_workers": "0", "cron.launch_active_jobs": "off"}


def permanent_settings(request: RestoreRequest, archiving: bool) -> Dict[str, Any]:
    """The settings that remain in the restored cluster after recovery. Pure."""
    return {**({} if archiving else {"archive_mode": "off", **PASSIVE}), **request.settings}


@dataclass(frozen=True)
class Place:
    """A directory that receives one archive: its present state decides what happens to its content.

    ``state``: ``missing``, ``empty``, ``unfinished`` (by an interrupted restore, so it may be replaced),
    ``occupied`` (moved aside) or ``kept`` (by a delta restore: at most ``present`` bytes of it stay). ``size`` is its
    final size, ``staged`` the size of the links of a chain until they are combined, both in bytes and at most.
    ``wal``: it is for ``pg_wal``.
    """

    path: str
    state: str
    size: int
    tablespace: Optional[str] = None
    staged: int = 0
    present: int = 0
    wal: bool = False


@dataclass(frozen=True)
class RestorePlan:
    """A checked restore. ``satisfied``: the data directory already is the result of this request.

    ``located`` is the LSN of a target that was searched for in the WAL; ``latest_commit`` the commit time at the end of
    the window, and ``commit_rate`` the commits a second in the WAL before it, if looked up.
    ``segments_needed`` bounds the WAL to be replayed; ``seconds`` is how long the planning took. ``repository`` is the
    location for messages, ``source`` where recovery gets WAL.
    ``last_record`` is the LSN of the last record in the complete segments, if looked up.
    ``pieces`` is the WAL after the last complete segment, for the target ``latest``. ``register`` are the erasures.
    ``warnings`` are about archived WAL that is missing, or exists but is not used.
    """

    request: RestoreRequest
    target: Target
    repository: str
    passed_over: Tuple[str, ...]
    chain: Chain
    path: TimelinePath
    run: Run
    data_dir: str
    places: Tuple[Place, ...]
    archiving: bool
    segments_needed: int
    estimated_seconds: float
    located: Optional[int] = None
    latest_commit: Optional[datetime] = None
    commit_rate: Optional[float] = None
    satisfied: bool = False
    notes: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
    seconds: float = 0.0
    source: Source = EVERYWHERE
    pieces: Pieces = NO_PIECES
    register: Optional[Register] = None
    last_record: Optional[int] = None

    @property
    def backup(self) -> BackupManifest:
        """The backup that is restored: the last link of the chain."""
        return self.chain[-1]

    def erasures_since(self, reached: datetime) -> List[Erasure]:
        """The registered erasures that a cluster with commits up to ``reached`` may not contain."""
        return due(self.register.erasures, reached) if self.register else []

    @property
    def possible_erasures(self) -> List[Erasure]:
        """The erasures that this restore may apply: replay begins at a checkpoint somewhat before the backup."""
        return self.erasures_since(self.backup.started_at - MARGIN)

    @property
    def tablespaces(self) -> Dict[str, str]:
        """The directory of each tablespace outside of the data directory, by OID."""
        return {p.tablespace: p.path for p in self.places if p.tablespace}

    @property
    def wal_dir(self) -> Optional[str]:
        """The directory that ``pg_wal`` is a link to; None if it is not a link."""
        return next((p.path for p in self.places if p.wal), None)

    @property
    def bytes_to_fetch(self) -> int:
        """The stored size of the chain."""
        return sum(b.stored_size for b in self.chain)

    @property
    def bytes_to_write(self) -> int:
        """The most bytes in all directories together at any time."""
        if len(self.chain) == 1:
            return self.backup.data_size
        return sum(b.data_size for b in self.chain) + self.backup.final_size

    def as_dict(self) -> Dict[str, Any]:
        """For check mode, ``--json`` and the diff."""
        return {
            "target": self.target.describe(),
            "target_timeline": self.path.timeline,
            "action": self.request.action,
            "label": self.backup.label,
            "chain": [b.label for b in self.chain],
            "backup_finished_at": format_time(self.backup.finished_at),
            "repository": self.repository,
            "passed_over": list(self.passed_over),
            "window": {
                "start": format_time(self.backup.finished_at),
                "end": format_time(self.latest_commit or self.run.archived_at or self.backup.finished_at),
                "end_lsn": format_lsn(self.run.end),
                "pieces_end_lsn": format_lsn(self.pieces.end) if self.pieces.end is not None else None,
            },
            "data_dir": self.data_dir,
            "places": [asdict(p) for p in self.places],
            "archiving": self.archiving,
            "bytes_to_fetch": self.bytes_to_fetch,
            "bytes_to_write": self.bytes_to_write,
            "segments_needed": self.segments_needed,
            "estimated_seconds": round(self.estimated_seconds, 1),
            "satisfied": self.satisfied,
            "erasures": [e.shown() for e in self.possible_erasures],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "lost_replication_slots": dict(self.backup.requirements.get("replication_slots") or {}),
        }


@dataclass(frozen=True)
class RestoreResult:
    """A finished restore. ``chain`` are the labels of the combined backups, ``label`` the last of them.

    ``files_kept`` is the number of files that a delta restore kept; they are not part of ``bytes_restored``.

    ``timings`` are seconds by phase; ``reached_time`` is that of the last replayed commit. ``commit_rate``, commits a
    second in the last archived WAL, allows estimating the transactions from then until the disaster.
    ``erasures`` are those ``applied`` again, those ``pending`` until the server is promoted, the repositories whose
    register was ``unread``, those ``unconfirmed`` that were left out, and whether all were ``left_out``.
    ``standby`` is how far a standby and its repository were at the end (see :mod:`.standby_status`).
    """

    label: str
    target: str
    reached_lsn: str
    reached_time: Optional[str]
    timeline: int
    parent_timeline: int
    data_dir: str
    repository: str
    moved_aside: Tuple[str, ...]
    bytes_stored: int
    bytes_restored: int
    segments: int
    state: str
    log: str
    timings: Mapping[str, float]
    chain: Tuple[str, ...] = ()
    files_kept: int = 0
    commit_rate: Optional[float] = None
    erasures: Mapping[str, Any] = field(default_factory=dict)
    warnings: Tuple[str, ...] = ()
    standby: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        lists = {"moved_aside": list(self.moved_aside), "chain": list(self.chain), "warnings": list(self.warnings)}
        return {**asdict(self), **lists, "timings": dict(self.timings)}
