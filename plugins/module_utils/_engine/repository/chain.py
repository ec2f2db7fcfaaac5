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
    """Why a backup cannot be put together: its chain needs ``link``, which ``fault`` (``is not there``, …)."""

    label: str
    link: str
    fault: str

    def __str__(self) -> str:
        whose = "" if self.link == self.label else f", which {self.label} needs,"
        return f"{self.link}{whose} {self.fault}"

    def error(self, repository: str, way_out: str) -> ChainBroken:
        """The error for whoever wants this backup."""
        what = "itself" if self.link == self.label else f"its parent {self.link}"
        return ChainBroken(
            f"Backup {self.label} in repository {repository} cannot be restored: {what} {self.fault}.",
            way_out,
            label=self.label,
            link=self.link,
        )


@dataclass(frozen=True)
class Chains:
    """Of every ``known`` backup either its whole chain, the full one first and itself last, or what breaks it."""

    known: Mapping[str, BackupManifest]
    whole: Mapping[str, Chain]
    broken: Mapping[str, Break]

    @property
    def restorable(self) -> Tuple[BackupManifest, ...]:
        """The backups whose chain is complete."""
        return tuple(chain[-1] for chain in self.whole.values())

    @property
    def newest(self) -> Optional[BackupManifest]:
        """The one of them that is furthest on."""
        return newest_of(self.restorable)


def progress_of(backup: BackupManifest) -> Tuple[int, int, str]:
    """How far a cluster had come: of the backups of one cluster identity, the last by this is the newest.

    Clocks are set wrong and set back, but WAL only advances. A backup dated tomorrow must not stay the newest forever.
    """
    return backup.timeline, backup.stop_lsn, backup.label


def newest_of(backups: Iterable[BackupManifest]) -> Optional[BackupManifest]:
    """The newest backup. Between cluster identities, whose WAL has nothing in common, the time decides."""
    last: Dict[str, BackupManifest] = {}
    for backup in sorted(backups, key=progress_of):
        last[backup.system_identifier] = backup
    return max(last.values(), key=lambda b: b.finished_at, default=None)


def find_chains(backups: Iterable[BackupManifest], unusable: Mapping[str, str]) -> Chains:
    """Follow every backup to its full one. ``unusable`` tells of labels (with a record or not) what is wrong."""
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
            return Break(backup.label, first.label, "names no parent although it is no full backup")
        parent = known.get(first.parent)
        if parent is None:
            return Break(backup.label, first.parent, unusable.get(first.parent, "is not there"))
        # A parent ends before its child begins, so that no chain ever comes back to itself.
        later = parent.stop_lsn > first.start_lsn or parent.start_lsn >= first.start_lsn
        if parent.system_identifier != first.system_identifier or later:
            return Break(
                backup.label, parent.label, f"is no parent for {first.label}: it is another cluster's or later"
            )
        links.insert(0, parent)
