# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog: which backups a repository has. A backup exists when its ``manifest.json`` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import List, Mapping, Optional, Sequence, Tuple, Union

from ..base.errors import BackupMissing, ObjectCorrupt, ObjectMissing, RecordForeign, RecordImplausible, RecordTooNew
from ..records.model import BackupManifest, load_manifest
from .chain import Chain, Chains, find_chains, newest_of
from .histories import histories
from .labels import label_order
from .plausible import Claim, backup_fault, implausible, lacking, unnamed
from .records import Beside, list_beside
from .repository import Repository


@dataclass(frozen=True)
class Damaged:
    """A backup whose record is damaged or implausible (``RecordImplausible``): it is treated as if it did not exist."""

    label: str
    error: ObjectCorrupt

    @property
    def foreign(self) -> bool:
        """Whether the record is intact, but lacks a valid signature."""
        return isinstance(self.error, RecordForeign)

    @property
    def newer(self) -> bool:
        """Whether the record is intact, but its format is too new for this release."""
        return isinstance(self.error, RecordTooNew)

    @property
    def words(self) -> str:
        """Why chains that need it are broken."""
        if self.foreign:
            return "has a record that counts for nothing"
        if self.newer:
            return "has a record of a newer Lifeboat"
        doubted = isinstance(self.error, RecordImplausible)
        return "has an implausible record" if doubted else "has a damaged record"


@dataclass(frozen=True)
class Catalog:
    """The backups of one repository, oldest first; ``unfinished`` have files but no manifest.

    ``lacking``: by label, which file of a backup is missing or has the wrong size, so that its chains are incomplete.
    ``foreign``: keys below ``backups/`` that belong to no backup.
    """

    repository: str
    backups: Tuple[BackupManifest, ...]
    unfinished: Tuple[str, ...] = ()
    damaged: Tuple[Damaged, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    foreign: Tuple[str, ...] = ()

    def of_system(self, system: str) -> Tuple[BackupManifest, ...]:
        """The backups of one cluster identity."""
        return tuple(b for b in self.backups if b.system_identifier == system)

    def chains(self, more: Optional[Mapping[str, str]] = None) -> Chains:
        """The chain of every backup, or what breaks it; ``more``: other known faults, by label."""
        faults = dict.fromkeys(self.unfinished, "was never finished")
        faults.update({d.label: d.words for d in self.damaged})
        faults.update(self.lacking)
        return find_chains(self.backups, {**faults, **(more or {})})

    def newest(self) -> BackupManifest:
        """The newest backup, preferably one with all its files; BackupMissing if there is none."""
        newest = newest_of(b for b in self.backups if b.label not in self.lacking) or newest_of(self.backups)
        if newest is None:
            extra = (
                f" ({len(self.unfinished)} unfinished, {len(self.damaged)} damaged)"
                if self.unfinished or self.damaged
                else ""
            )
            raise BackupMissing(
                f"Repository {self.repository} has no finished backup{extra}.",
                "Make one with lifeboat backup; lifeboat list shows the contents.",
            )
        return newest

    def find(self, label: str) -> BackupManifest:
        """The backup with this label; raises BackupMissing, or the ObjectCorrupt of a damaged one."""
        for backup in self.backups:
            if backup.label == label:
                return backup
        for damaged in self.damaged:
            if damaged.label == label:
                raise damaged.error
        if label in self.unfinished:
            raise BackupMissing(
                f"Backup {label} in repository {self.repository} was never finished.",
                "Choose a backup from lifeboat list.",
                label=label,
            )
        newest = f"the newest is {self.newest().label}" if self.backups else "there is none at all"
        raise BackupMissing(
            f"Repository {self.repository} has no backup {label!r}; {newest}.",
            "Choose a label from lifeboat list.",
            label=label,
        )


def load_catalog(repository: Repository) -> Catalog:
    """Read the catalog: one listing of ``backups/``, and one small get for each backup.

    A record that is damaged or contradicts its key, the listing or the repository is set apart as damaged. Memory:
    about 100 bytes for each object, beside the records.
    """
    foreign: List[str] = []
    beside = list_beside(repository, repository.layout.backups, foreign)
    with ThreadPoolExecutor(max_workers=8) as pool:
        loaded = dict(zip(beside, pool.map(lambda item: _load(repository, *item), beside.items())))
    read = [item for item in loaded.values() if isinstance(item, BackupManifest)]
    believed, doubted = _believed(repository, read, beside)
    for backup in believed:
        names = unnamed(backup.files, beside[backup.label].sizes)
        foreign += (repository.layout.backup(backup.label, name) for name in names)
    wanting = ((b.label, lacking(b.files, beside[b.label].sizes)) for b in believed)
    damaged = [*doubted, *(item for item in loaded.values() if isinstance(item, Damaged))]
    return Catalog(
        repository=repository.location,
        backups=tuple(sorted(believed, key=lambda b: label_order(b.label))),
        unfinished=tuple(label for label, item in loaded.items() if item is None),
        damaged=tuple(sorted(damaged, key=lambda d: d.label)),
        lacking={label: words for label, words in wanting if words},
        foreign=tuple(sorted(foreign)),
    )


def _load(repository: Repository, label: str, beside: Beside) -> Optional[Union[BackupManifest, Damaged]]:
    if beside.stored is None:
        return None
    key = repository.layout.manifest(label)
    try:
        found = load_manifest(repository.get_record(key), key)
    except ObjectMissing:
        return None
    except ObjectCorrupt as exc:
        return Damaged(label, exc)
    # Its files are compared with the listing by label, so the label must be its own.
    if found.label != label:
        return Damaged(label, implausible(key, f"it claims the label {found.label}"))
    return found


def _believed(
    repository: Repository, read: Sequence[BackupManifest], beside: Mapping[str, Beside]
) -> Tuple[List[BackupManifest], List[Damaged]]:
    systems = frozenset(repository.systems()) if read else frozenset()
    # Timeline 1 has no history.
    branched = {b.system_identifier for b in read if b.timeline > 1} & systems
    told = {system: dict(histories(repository, system)) for system in sorted(branched)}
    believed: List[BackupManifest] = []
    doubted: List[Damaged] = []
    for backup in read:
        key, stored = repository.layout.manifest(backup.label), beside[backup.label].stored
        claim = Claim(key, backup.label, stored or backup.finished_at)
        known = told.get(backup.system_identifier, {})
        why = backup_fault(backup, claim, repository.layout.cluster, systems, known)
        if why is None:
            believed.append(backup)
        else:
            doubted.append(Damaged(backup.label, implausible(key, why)))
    return believed, doubted


def missing_files(repository: Repository, chain: Chain) -> Mapping[str, str]:
    """The faults of these backups' files, by label: one head request for each file, without reading content."""
    wrong = {}
    for backup in chain:
        heads = ((f.name, repository.store.head(repository.layout.backup(backup.label, f.name))) for f in backup.files)
        words = lacking(backup.files, {name: info.size for name, info in heads if info is not None})
        if words:
            wrong[backup.label] = words
    return wrong
