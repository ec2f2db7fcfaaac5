# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is given, and what it must keep because something that is stored was not read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Collection, Iterable, Mapping, Optional, Sequence, Tuple

from ..records.model import BackupManifest
from ..repository.chain import Chains
from ..repository.histories import Histories
from ..repository.kinds import Kind
from ..repository.leases import Writing
from ..store.protocol import ObjectInfo
from .copies import CopyKey, CopyRecord
from .strength import Evidence


@dataclass(frozen=True)
class Facts:
    """The input of a plan, besides the objects.

    ``histories`` are the texts of history files by system identifier and timeline; ``held`` the reasons of holds by
    label; ``unclear`` the reasons, by system identifier, why no WAL is removed; ``evidence`` are verifications and
    restore tests that count, ``verified`` all backups with a record of verification; ``copies`` are the records of
    copies and dumps, ``unreadable`` why those of others cannot be read; ``writing`` is what is being written; ``newer``
    are the file sets and databases with copies by a newer Lifeboat.
    """

    cluster: str
    chains: Chains
    damaged: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence = Evidence()
    verified: Collection[str] = ()
    copies: Mapping[CopyKey, CopyRecord] = field(default_factory=dict)
    unreadable: Mapping[CopyKey, str] = field(default_factory=dict)
    writing: Writing = Writing()
    newer: Collection[Tuple[str, str]] = ()


def without_history(backups: Iterable[BackupManifest], found: Histories) -> Optional[str]:
    """Why it is unknown which backups of a system its timelines came from; None if it is known.

    A history is missing if it has a digest, or if there is a backup of its timeline and anything of an earlier one. A
    repository that was begun after a failover has neither.
    """
    mine = {backup.timeline for backup in backups}
    earliest = min({*mine, *found.stored}, default=1)
    lost = found.lost | {t for t in mine if t > earliest and t not in found.texts and t not in found.damaged}
    return f"the history of timeline {min(lost)} is missing" if lost else None


def with_unread(facts: Facts, backups: Mapping[str, Sequence[Tuple[Kind, ObjectInfo]]], now: datetime) -> Facts:
    """The facts, in which everything of the cluster's systems is held if the record of a backup was not read.

    It was stored before ``now``, when reading began, but the store did not show it, or not give it. What it needs is
    unknown.
    """
    read = {*facts.chains.known, *facts.damaged}
    missing = sorted(
        label
        for label, parts in backups.items()
        if label not in read and any(kind.record and info.modified < now for kind, info in parts)
    )
    if not missing:
        return facts
    why = f"the record of backup {missing[0]} is stored, but was not read"
    systems = {*facts.histories, *(backup.system_identifier for backup in facts.chains.known.values())}
    return replace(
        facts,
        held={**facts.held, **dict.fromkeys((*facts.chains.known, *missing), why)},
        unclear={**facts.unclear, **dict.fromkeys(systems, why)},
    )
