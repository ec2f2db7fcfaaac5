# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one repository alone cannot tell: a record that is gone, WAL that ends early, while another has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, FrozenSet, Iterable, List, Mapping, Sequence, Tuple

from ..errors import ObjectMissing, WalGap
from ..postgres.wal_names import Segment
from ..repository.layout import Layout, begun
from .report import Finding


@dataclass(frozen=True)
class Held:
    """What a repository has: records by the names of what they belong to (``backups/LABEL``, ``files/SET/LABEL``,
    ``dumps/DATABASE/LABEL``), what has files and no record, and each segment by its system identifier with the time
    at which it was stored. What others have of WAL since ``until``, and of backups since ``records_until``, may be on
    its way here.
    """

    name: str
    layout: Layout
    finished: FrozenSet[str]
    unfinished: FrozenSet[str]
    until: datetime
    records_until: datetime
    wal: Mapping[str, Mapping[Segment, datetime]] = field(default_factory=dict)


def compare(repositories: Sequence[Held]) -> List[Finding]:
    """What each lacks that another one has, once. Whole backups that one lacks are no fault: ``sync`` brings them."""
    found: List[Finding] = []
    for here in repositories:
        others = [other for other in repositories if other is not here]
        found += _records(here, others)
        found += _ends(here, others)
    return found


def _records(here: Held, others: Iterable[Held]) -> List[Finding]:
    having: Dict[str, str] = {}
    for other in others:
        for name in here.unfinished & other.finished:
            at = begun(name.rsplit("/", 1)[-1])
            if at is None or at < here.records_until:
                having.setdefault(name, other.name)
    return [
        Finding(
            here.name,
            name.rsplit("/", 1)[-1] if name.startswith("backups/") else name,
            ObjectMissing(
                f"The record of {name} is not in repository {here.name}, but files of it are; {having[name]} has it.",
                "Bring it: lifeboat verify --repair. Without its record it cannot be restored from here.",
                repository=here.name,
            ),
            f"{here.layout.cluster}/{name}/manifest.json",
        )
        for name in sorted(having)
    ]


def _ends(here: Held, others: Iterable[Held]) -> List[Finding]:
    behind: Dict[Tuple[str, Segment], str] = {}
    for other in others:
        for system, theirs in other.wal.items():
            ours = here.wal.get(system, {})
            last: Dict[int, int] = {}
            for segment in ours:
                last[segment.timeline] = max(segment.number, last.get(segment.timeline, -1))
            for segment, stored in theirs.items():
                if segment.number > last.get(segment.timeline, segment.number) and stored < here.until:
                    behind.setdefault((system, segment), other.name)
    return [
        Finding(
            here.name,
            "",
            WalGap(
                f"WAL segment {segment.name} is not in repository {here.name}, whose WAL ends before it;"
                f" {behind[system, segment]} has it.",
                "Bring it: lifeboat verify --repair, or lifeboat sync. Without it no restore from here goes beyond it.",
                missing=[segment.name],
            ),
            here.layout.wal(system, segment.name),
            system,
            segment,
        )
        for system, segment in sorted(behind)
    ]
