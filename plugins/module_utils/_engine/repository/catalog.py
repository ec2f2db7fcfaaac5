# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog: which backups a repository has. A backup exists when its ``manifest.json`` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple, Union

from ..errors import BackupMissing, ObjectCorrupt, ObjectMissing
from ..model import BackupManifest, load_manifest
from .chain import Chain, Chains, find_chains
from .layout import is_label
from .repository import Repository


@dataclass(frozen=True)
class Damaged:
    """A backup whose manifest cannot be trusted."""

    label: str
    error: ObjectCorrupt


@dataclass(frozen=True)
class Catalog:
    """The backups of one repository, oldest first; ``unfinished`` have files but no manifest."""

    repository: str
    backups: Tuple[BackupManifest, ...]
    unfinished: Tuple[str, ...] = ()
    damaged: Tuple[Damaged, ...] = ()

    def of_system(self, system: str) -> Tuple[BackupManifest, ...]:
        """The backups of one cluster identity."""
        return tuple(b for b in self.backups if b.system_identifier == system)

    def chains(self, more: Optional[Mapping[str, str]] = None) -> Chains:
        """The chain of every backup, or what breaks it; ``more`` tells what else is known to be wrong, by label."""
        faults = dict.fromkeys(self.unfinished, "was never finished")
        faults.update({d.label: "has a damaged record" for d in self.damaged})
        return find_chains(self.backups, {**faults, **(more or {})})

    def newest(self) -> BackupManifest:
        """The backup that finished last; BackupMissing when there is none."""
        if not self.backups:
            extra = (
                f" ({len(self.unfinished)} unfinished, {len(self.damaged)} damaged)"
                if self.unfinished or self.damaged
                else ""
            )
            raise BackupMissing(
                f"Repository {self.repository} holds no finished backup{extra}.", "Make one: lifeboat backup."
            )
        return max(self.backups, key=lambda b: b.finished_at)

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
                "Choose one that lifeboat list shows.",
                label=label,
            )
        newest = f"the newest is {self.newest().label}" if self.backups else "there is none at all"
        raise BackupMissing(
            f"Repository {self.repository} has no backup {label!r}; {newest}.",
            "lifeboat list shows all labels.",
            label=label,
        )


def load_catalog(repository: Repository) -> Catalog:
    """Read the catalog: one listing, and one small get for each backup."""
    labels = [
        n[:-1] for n in repository.store.list_names(repository.layout.backups) if n.endswith("/") and is_label(n[:-1])
    ]
    with ThreadPoolExecutor(max_workers=8) as pool:
        loaded = list(pool.map(lambda label: _load(repository, label), labels))
    return Catalog(
        repository=repository.location,
        backups=tuple(sorted((b for b in loaded if isinstance(b, BackupManifest)), key=lambda b: b.label)),
        unfinished=tuple(label for label, item in zip(labels, loaded) if item is None),
        damaged=tuple(d for d in loaded if isinstance(d, Damaged)),
    )


def missing_files(repository: Repository, chain: Chain) -> Mapping[str, str]:
    """What is wrong with the stored files of these backups, by label: one head for each file, no content is read."""
    wrong = {}
    for backup in chain:
        for file in backup.files:
            info = repository.store.head(repository.layout.backup(backup.label, file.name))
            if info is None:
                wrong[backup.label] = f"lacks its file {file.name}"
            elif info.size != file.size:
                wrong[backup.label] = f"has {info.size} bytes of {file.name} instead of {file.size}"
    return wrong


def _load(repository: Repository, label: str) -> Optional[Union[BackupManifest, Damaged]]:
    key = repository.layout.manifest(label)
    try:
        return load_manifest(repository.store.get(key), key)
    except ObjectMissing:
        return None
    except ObjectCorrupt as exc:
        return Damaged(label, exc)
