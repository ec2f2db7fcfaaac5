# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an assessment knows, and what was asked. Plain data: the decision is made from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Optional, Tuple

from ..base.errors import ConfigError

CORRUPTION, SERVER, REGION, RANSOMWARE, DELETION = "corruption", "server", "region", "ransomware", "deletion"
DISASTERS = (CORRUPTION, SERVER, REGION, RANSOMWARE, DELETION)
#: What is known of the server of this configuration.
PRIMARY, STANDBY, SILENT = "primary", "standby", "silent"


@dataclass(frozen=True)
class Asked:
    """What the operator said. Times are aware; None and "" are what was not said.

    ``disaster_at`` is since when nothing is committed any more, ``as_of`` a moment before an attack. ``host``,
    ``new_host`` and ``standby`` are names of the inventory, ``old_host`` is an address. ``standby_error``: why the
    standby could not be asked. ``fenced``: the old server is off for good. ``config_file`` is the configuration on the
    host, for the commands.
    """

    disaster: str = ""
    target: Optional[datetime] = None
    label: str = ""
    as_of: Optional[datetime] = None
    disaster_at: Optional[datetime] = None
    database: str = ""
    tables: Tuple[str, ...] = ()
    host: str = ""
    new_host: str = ""
    standby: str = ""
    old_host: str = ""
    fenced: bool = False
    inventory: str = ""
    config_file: str = ""
    standby_error: str = ""

    def __post_init__(self) -> None:
        if self.disaster and self.disaster not in DISASTERS:
            raise ConfigError(f"The disaster {self.disaster!r} is unknown.", f"Choose one of: {', '.join(DISASTERS)}.")
        if self.target is not None and self.label:
            raise ConfigError("A time and a label exclude each other.", "Give one of them.")


@dataclass(frozen=True)
class Span:
    """A window of a repository: what a restore to a time can reach on one timeline."""

    timeline: int
    label: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Backup:
    """A backup that can be restored. ``seconds`` is the forecast of a restore that replays all WAL behind it.

    ``size`` is that of the restored cluster in bytes. ``proven`` is the result of its newest restore test.
    """

    label: str
    finished_at: datetime
    seconds: float
    basis: str
    size: int
    timeline: int = 1
    verified_at: Optional[datetime] = None
    proven: Optional[bool] = None
    sealed: bool = False


@dataclass(frozen=True)
class DumpFact:
    """A dump of one database."""

    label: str
    database: str
    created_at: datetime
    size: int
    sealed: bool = False


@dataclass(frozen=True)
class DrillFact:
    """The newest drill of a scenario that passed, and the recovery time that it measured, in seconds."""

    scenario: str
    label: str
    rto: float


@dataclass(frozen=True)
class Place:
    """A repository, as it is now or as it was at ``as_of``. With an ``error`` nothing else of it is known.

    ``spans`` and ``backups`` are oldest first; the last span is the one that a restore to latest takes.
    ``last_commit`` is that of the archived WAL, where it was looked up; ``pieces_at`` when the newest piece behind it
    was stored. ``rate`` are commits a second. ``findings`` are sentences about what is wrong, ``frozen`` about objects
    that cannot be read at once. ``strange`` is the first object that was put over another one, and when.
    """

    name: str
    location: str = ""
    required: bool = True
    versioned: bool = False
    as_of: Optional[datetime] = None
    error: str = ""
    spans: Tuple[Span, ...] = ()
    backups: Tuple[Backup, ...] = ()
    last_commit: Optional[datetime] = None
    pieces_at: Optional[datetime] = None
    rate: Optional[float] = None
    dumps: Tuple[DumpFact, ...] = ()
    drills: Tuple[DrillFact, ...] = ()
    findings: Tuple[str, ...] = ()
    frozen: Tuple[str, ...] = ()
    strange: Optional[Tuple[str, datetime]] = None

    @property
    def end(self) -> Optional[datetime]:
        """Up to when commits can be restored; None where no WAL can be."""
        if not self.spans:
            return None
        return max(t for t in (self.last_commit or self.spans[-1].end, self.pieces_at) if t is not None)


@dataclass(frozen=True)
class Server:
    """The server of the configuration, asked where the assessment runs.

    ``data_dir`` says whether its data directory exists on this host, ``free`` how many bytes are free beside it (None:
    not known). ``error`` is why a silent server gave no answer. ``host`` and ``port`` are libpq's. ``asked`` is False
    where the assessment runs on another host, so that it is not known whether the server answers.
    """

    state: str = SILENT
    error: str = ""
    data_dir: bool = False
    free: Optional[int] = None
    host: str = ""
    port: int = 5432
    asked: bool = True


@dataclass(frozen=True)
class StandbyFact:
    """What a promotion would lose: ``verdict`` is of ``lifeboat standby loss``; seconds, bytes."""

    verdict: str
    reasons: Tuple[str, ...] = ()
    uncovered: Optional[float] = None
    lost_bytes: Optional[int] = None
    to_replay: int = 0


INDEX, TABLE, SYSTEM = "index", "table", "system"


@dataclass(frozen=True)
class Damage:
    """A damaged relation: its name as SQL quotes it, and the blocks that are known (of an index, the first).

    ``kind``: ``index`` (it can be built again), ``table`` (it can be restored alone) or ``system`` (it cannot).
    """

    database: str
    relation: str
    kind: str
    blocks: Tuple[int, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Damages:
    """What was found in the live cluster. ``unread`` are databases that could not be checked, ``noted`` sentences."""

    found: Tuple[Damage, ...] = ()
    unread: Tuple[str, ...] = ()
    noted: Tuple[str, ...] = ()

    def of(self, kind: str) -> Tuple[Damage, ...]:
        """Those of a kind."""
        return tuple(damage for damage in self.found if damage.kind == kind)


@dataclass(frozen=True)
class Facts:
    """Everything that the decision rests on. ``past`` are the repositories as they were before the attack.

    ``silent`` names what did not answer, each with the reason. ``damages`` is None where nobody looked. ``identity``:
    sealed objects can be opened here.
    """

    cluster: str
    now: datetime
    places: Tuple[Place, ...]
    server: Server = Server()
    standby: Optional[StandbyFact] = None
    past: Tuple[Place, ...] = ()
    damages: Optional[Damages] = None
    rpo: Optional[float] = None
    rto: Optional[float] = None
    identity: bool = False
    contacts: Tuple[str, ...] = ()
    silent: Tuple[Tuple[str, str], ...] = ()
    seconds: float = 0.0

    @property
    def answering(self) -> Tuple[Place, ...]:
        """The repositories that answered."""
        return tuple(p for p in self.places if not p.error)
