# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the backup that a differential or incremental one is based on, with reasons against newer ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import IncrementalImpossible
from ..base.wal_names import format_lsn
from ..config.load import Config
from ..postgres import summaries
from ..postgres.connection import Session
from ..postgres.facts import ServerFacts
from ..postgres.summaries import Position
from ..postgres.timeline import TimelinePath
from ..records.model import BackupManifest, format_time
from ..repository.catalog import load_catalog, missing_files
from ..repository.chain import Chain, Chains, progress_of
from ..repository.repository import Repository


@dataclass(frozen=True)
class Lineage:
    """The type of the new backup, and the chain that it continues: its parent is the last; empty for a full one.

    ``notes`` explain why the parent is not a newer one, or why the backup is not of the requested type.
    """

    type: str
    chain: Chain = ()
    notes: Tuple[str, ...] = ()

    @property
    def parent(self) -> Optional[BackupManifest]:
        """The backup that the new one is based on; None for a full one."""
        return self.chain[-1] if self.chain else None


@dataclass(frozen=True)
class Choice:
    """The chain that ends with the chosen parent (empty: there is none), and the newer candidates with the reason."""

    chain: Chain
    passed_over: Tuple[Tuple[str, str], ...]


def choose_parent(
    backup_type: str,
    contents: Mapping[str, Chains],
    system: str,
    path: TimelinePath,
    position: int,
    now: Optional[datetime] = None,
) -> Choice:
    """The newest backup that every repository can restore and that the server descends from. Pure.

    ``contents`` are the chains of each required repository by name. The parent of a differential backup is a full one.
    ``path`` and ``position`` (an LSN) are the server's timeline history and current position, ``now`` is its clock.
    """
    candidates = {label: backup for chains in contents.values() for label, backup in chains.known.items()}
    passed_over: List[Tuple[str, str]] = []
    for backup in sorted(candidates.values(), key=progress_of, reverse=True):
        if backup_type == "differential" and backup.type != "full":
            continue
        why = _unfit(backup, contents, system, path, position) or _later(backup, now)
        if why is None:
            return Choice(next(iter(contents.values())).whole[backup.label], tuple(passed_over))
        passed_over.append((backup.label, why))
    return Choice((), tuple(passed_over))


def _unfit(
    backup: BackupManifest, contents: Mapping[str, Chains], system: str, path: TimelinePath, position: int
) -> Optional[str]:
    if backup.system_identifier != system:
        return f"it belongs to another cluster (system identifier {backup.system_identifier})"
    if not path.contains(backup.timeline, backup.stop_lsn):
        return f"the server, on timeline {path.timeline}, does not descend from it (timeline {backup.timeline})"
    if backup.stop_lsn > position:
        return f"it ends at {format_lsn(backup.stop_lsn)}, but this server is only at {format_lsn(position)}"
    for name, chains in contents.items():
        if backup.label in chains.broken:
            return f"repository {name} cannot restore it: {chains.broken[backup.label]}"
        if backup.label not in chains.whole:
            return f"repository {name} does not have it"
        if chains.whole[backup.label][-1].files != backup.files:
            return f"repository {name} has another backup of that name"
    return None


def _later(backup: BackupManifest, now: Optional[datetime]) -> Optional[str]:
    """Why the backup is too late for a parent: a child's label must have a later time. None if it is not."""
    if now is None or backup.started_at < now:
        return None
    return f"it is dated {format_time(backup.started_at)}, which is in the future: a clock was wrong then"


def find_lineage(
    config: Config, asked: str, facts: ServerFacts, sql: Session, required: Sequence[Repository], fallback: bool
) -> Lineage:
    """Choose the parent of the backup. IncrementalImpossible without one, unless ``fallback`` allows a full backup."""
    if asked == "full":
        return Lineage("full")
    kind = "incremental" if asked == "auto" else asked
    try:
        summaries.require_version(facts.version, facts.version_num)
        position = summaries.read_position(config.connection)
        chain, notes = _find(kind, facts, position, required, sql.value("SELECT clock_timestamp()"))
        summaries.require_summaries(sql, position.path, chain[-1].start_lsn, chain[-1].label)
        return Lineage(kind, chain, notes)
    except IncrementalImpossible as exc:
        if not fallback:
            raise
        return fall_back(kind, exc)


def fall_back(kind: str, exc: IncrementalImpossible) -> Lineage:
    """A full backup instead, with the reason as a note."""
    return Lineage("full", (), (f"a full backup instead of the {kind} one: {exc.message}",))


def _find(
    kind: str, facts: ServerFacts, position: Position, required: Sequence[Repository], now: datetime
) -> Tuple[Chain, Tuple[str, ...]]:
    """The chain to continue, and notes; a chain with missing files is passed over for another one."""
    faults: Dict[str, Dict[str, str]] = {r.name: {} for r in required}
    catalogs = {r.name: load_catalog(r) for r in required}
    while True:
        contents = {name: catalog.chains(faults[name]) for name, catalog in catalogs.items()}
        choice = choose_parent(kind, contents, facts.system_identifier, position.path, position.lsn, now)
        notes = tuple(f"not based on {label}: {why}" for label, why in choice.passed_over)
        if not choice.chain:
            which = "full backup" if kind == "differential" else "backup"
            raise IncrementalImpossible(
                f"No {which} can be the parent of a{'n' if kind[0] == 'i' else ''} {kind} one."
                + "".join(f" Not {label}: {why}." for label, why in choice.passed_over[:5]),
                "Make a full backup first (type full), or let type auto choose.",
                reason="no_parent",
                passed_over=dict(choice.passed_over),
            )
        found = {r.name: missing_files(r, choice.chain) for r in required}
        if not any(found.values()):
            return choice.chain, notes
        for name, wrong in found.items():
            faults[name].update(wrong)
