# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains: a backup and the parents that it needs, down to its full backup. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Tuple, Union

from ..base.errors import ChainBroken
from ..records.model import BackupManifest

Chain = Tuple[BackupManifest, ...]


@dataclass(frozen=True)
class Break:
    """Why a backup cannot be restored: its chain needs ``link``, which has a ``fault`` (``is not there``, …)."""

    label: str
    link: str
    fault: str

    def __str__(self) -> str:
        whose = "" if self.link == self.label else f", which {self.label} needs,"
        return f"{self.link}{whose} {self.fault}"

    def error(self, repository: str, way_out: str) -> ChainBroken:
        """The error for an attempt to use this backup."""
        what = "itself" if self.link == self.label else f"its parent {self.link}"
        return ChainBroken(
            f"Backup {self.label} in repository {repository} cannot be restored: {what} {self.fault}.",
            way_out,
            label=self.label,
            link=self.link,
        )


@dataclass(frozen=True)
class Chains:
    """For every ``known`` backup its complete chain, from the full backup to itself, or what breaks it."""

    known: Mapping[str, BackupManifest]
    whole: Mapping[str, Chain]
    broken: Mapping[str, Break]

    @property
    def restorable(self) -> Tuple[BackupManifest, ...]:
        """The backups whose chain is complete."""
        return tuple(chain[-1] for chain in self.whole.values())

    @property
    def newest(self) -> Optional[BackupManifest]:
        """The restorable backup whose WAL goes furthest."""
        return newest_of(self.restorable)


def progress_of(backup: BackupManifest) -> Tuple[int, int, str]:
    """The sort key by which the last backup of one cluster identity is the newest: how far its WAL goes.

    Clocks may be wrong or set back, but WAL only advances. A backup dated tomorrow must not stay the newest forever.
    """
    return backup.timeline, backup.stop_lsn, backup.label


def newest_of(backups: Iterable[BackupManifest]) -> Optional[BackupManifest]:
    """The newest backup. Across cluster identities, whose WAL is unrelated, the time decides."""
    last: Dict[str, BackupManifest] = {}
    for backup in sorted(backups, key=progress_of):
        last[backup.system_identifier] = backup
    return max(last.values(), key=lambda b: b.finished_at, default=None)


def find_chains(backups: Iterable[BackupManifest], unusable: Mapping[str, str]) -> Chains:
    """Follow every backup to its full one. ``unusable``: faults by label, with or without a record."""
    known: Dict[str, BackupManifest] = {}
    twice: Dict[str, str] = {}
    for backup in backups:
        if known.setdefault(backup.label, backup) is not backup:
            twice[backup.label] = "has two records"
    unusable = {**unusable, **twice}
    whole: Dict[str, Chain] = {}
    broken: Dict[str, Break] = {}
    for backup in known.values():
        found = _follow(backup, known, unusable)
        if isinstance(found, Break):
            broken[backup.label] = found
        else:
            whole[backup.label] = found
    return Chains(known, whole, broken)


def _follow(
    backup: BackupManifest, known: Mapping[str, BackupManifest], unusable: Mapping[str, str]
) -> Union[Chain, Break]:
    links: List[BackupManifest] = [backup]
    while True:
        first = links[0]
        if first.label in unusable:
            return Break(backup.label, first.label, unusable[first.label])
        if first.parent is None:
            if first.type == "full":
                return tuple(links)
            return Break(backup.label, first.label, "has no parent although it is not a full backup")
        parent = known.get(first.parent)
        if parent is None:
            return Break(backup.label, first.parent, unusable.get(first.parent, "is not there"))
        # A parent ends before its child begins, so no chain can be a cycle.
        later = parent.stop_lsn > first.start_lsn or parent.start_lsn >= first.start_lsn
        if parent.system_identifier != first.system_identifier or later:
            return Break(
                backup.label, parent.label, f"cannot be the parent of {first.label}: it is later, or another cluster's"
            )
        links.insert(0, parent)
