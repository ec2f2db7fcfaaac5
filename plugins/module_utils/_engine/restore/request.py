# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a restore: what is asked, what would be done, what was done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import ConfigError
from ..model import BackupManifest, Target, format_time
from ..postgres.timeline import TimelinePath
from ..postgres.wal_names import format_lsn
from ..repository.chain import Chain
from ..wal.fetch import EVERYWHERE, Source
from ..wal.inventory import Run
from .pieces import NO_PIECES, Pieces

ACTIONS = ("promote", "pause", "shutdown")
EXISTING = ("refuse", "move_aside")
ARCHIVING = ("auto", "on", "off")
LEAVE = ("running", "stopped")


@dataclass(frozen=True)
class RestoreRequest:
    """What is asked.

    ``data_dir`` None means the configured one. ``tablespaces`` maps a location at the source to one here.
    ``archiving`` ``auto`` lets only the configured data directory archive; any other is a clone. ``settings`` are added
    to the restored cluster's ``postgresql.auto.conf``. ``timeout`` bounds the recovery in seconds; None waits for ever.
    ``delta`` keeps those files of the existing directories that are as in the backup, and rewrites the others.
    Without ``pieces`` the WAL ends with the last complete segment, whatever was streamed of the next one.
    Without ``erasures`` nothing of the register of erasures is applied again.
    With ``assume_stopped`` a running server is no reason to refuse the plan; it is still one to refuse the restore.
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

    def __post_init__(self) -> None:
        for name, allowed in (("action", ACTIONS), ("existing", EXISTING), ("archiving", ARCHIVING), ("leave", LEAVE)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"The restore option {name} is {getattr(self, name)!r}.", f"Choose one of: {', '.join(allowed)}."
                )
        if self.action != "promote" and self.target.kind == "latest":
            raise ConfigError(
                f"A restore to 'latest' has no target to {self.action} at.",
                "Choose action promote (leave: stopped stops it afterwards), or a target of another kind.",
            )
        if self.delta and self.existing == "move_aside":
            raise ConfigError(
                "A delta restore uses what is there, and move_aside takes it away.",
                "Choose one of delta and move_aside.",
            )
        if self.action == "pause" and self.leave == "stopped":
            raise ConfigError(
                "A paused server that is stopped is not paused.", "Choose action shutdown, or leave running."
            )


@dataclass(frozen=True)
class Place:
    """A directory that receives one archive: its present state decides what happens to what is there.

    ``state``: ``missing``, ``empty``, ``unfinished`` (an interrupted restore of ours, which may be replaced),
    ``occupied`` (moved aside) or ``kept`` (a delta restore: at most ``present`` bytes of it stay). ``size`` is what it
    holds at the end, ``staged`` what the links of a chain take there until they are put together, in bytes and at most.
    """

    path: str
    state: str
    size: int
    tablespace: Optional[str] = None
    staged: int = 0
    present: int = 0


@dataclass(frozen=True)
class RestorePlan:
    """What would be done. ``satisfied``: the data directory already is the result of this very restore.

    ``located`` is the LSN of a target that was searched for in the WAL; ``latest_commit`` the commit time that the
    window ends with, where it was looked up, and ``commit_rate`` how many commits a second the WAL before it has.
    ``segments_needed`` bounds the WAL to be replayed; ``seconds`` is how long
    the planning took. ``repository`` is told to people, ``source`` is what the recovery asks for WAL.
    ``pieces`` is what lies behind the last complete segment, for the target ``latest``.
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
    seconds: float = 0.0
    source: Source = EVERYWHERE
    pieces: Pieces = NO_PIECES

    @property
    def backup(self) -> BackupManifest:
        """The backup that is restored: the last link of the chain."""
        return self.chain[-1]

    @property
    def bytes_to_fetch(self) -> int:
        """What the chain takes in the repository."""
        return sum(b.stored_size for b in self.chain)

    @property
    def bytes_to_write(self) -> int:
        """What all directories together take at most at one time."""
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
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class RestoreResult:
    """What was done. ``chain`` are the labels that were put together, ``label`` the last of them.

    ``files_kept`` of a delta restore were as in the backup and are not among ``bytes_restored``.

    ``timings`` are seconds by phase; ``reached_time`` is that of the last replayed commit. ``commit_rate``, commits a
    second in the last archived WAL, tells how many transactions the time until the disaster may have had.
    ``erasures`` are those ``applied`` again, those ``pending`` until the server is promoted, the repositories whose
    register was ``unread``, and whether they were ``left_out``.
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

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        lists = {"moved_aside": list(self.moved_aside), "chain": list(self.chain)}
        return {**asdict(self), **lists, "timings": dict(self.timings)}
