# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a comparison reveals: a missing record, or WAL that ends early, while another repository has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, FrozenSet, Iterable, List, Mapping, Sequence, Tuple

from ..base.errors import LifeboatError, ObjectCorrupt, ObjectMissing, WalConflict, WalGap
from ..base.wal_names import Segment
from ..repository.kinds import kind_of
from ..repository.labels import begun
from ..repository.layout import Layout
from .records import alike, name_of
from .report import Finding


@dataclass(frozen=True)
class Held:
    """What a repository has: records by the names of what they belong to (``backups/LABEL``, ``files/SET/LABEL``,
    ``dumps/DATABASE/LABEL``), what has files and no record, and each segment by its system identifier with the time
    at which it was stored. What others have of WAL since ``until``, and of backups since ``records_until``, may be on
    its way here. ``lasting`` are the keys of the records and histories that are never removed, with the same time;
    ``texts`` the sound histories; ``own`` are those of its lasting records that no other repository needs: releases,
    and holds that are over.
    """

    name: str
    layout: Layout
    finished: FrozenSet[str]
    unfinished: FrozenSet[str]
    until: datetime
    records_until: datetime
    wal: Mapping[str, Mapping[Segment, datetime]] = field(default_factory=dict)
    lasting: Mapping[str, datetime] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    own: FrozenSet[str] = frozenset()


def compare(repositories: Sequence[Held]) -> List[Finding]:
    """What each lacks that another one has, once. Missing whole backups are not a fault: ``sync`` copies them."""
    found: List[Finding] = []
    for here in repositories:
        others = [other for other in repositories if other is not here]
        found += _records(here, others)
        found += _ends(here, others)
        found += _lasting(here, others)
        found += _histories(here, others)
    return found


def _lasting(here: Held, others: Iterable[Held]) -> List[Finding]:
    cluster = here.layout.cluster
    # Of a hold and of a report the same one may lie under another key.
    own = [key for key in here.lasting if kind_of(cluster, key).name in ("hold", "report")]
    found: Dict[str, str] = {}
    for other in others:
        for key, stored in other.lasting.items():
            if key in other.own:
                continue
            if stored < here.until and key not in here.lasting and not any(alike(cluster, key, k) for k in own):
                found.setdefault(key, other.name)
    return [
        Finding(
            here.name,
            name_of(here.layout, key),
            ObjectMissing(
                f"{key} is not in repository {here.name}; {found[key]} has it.",
                f"Bring it: lifeboat sync --from {found[key]} --to {here.name}.",
                key=key,
                repository=here.name,
            ),
            key,
        )
        for key in sorted(found)
    ]


def _histories(here: Held, others: Iterable[Held]) -> List[Finding]:
    """Sound ones that differ: of one with a digest and one without, the latter is wrong; else nobody knows."""
    found: Dict[str, Finding] = {}
    for other in others:
        for key in here.texts.keys() & other.texts.keys():
            if here.texts[key] == other.texts[key] or (_digest_of(key) in here.lasting):
                continue
            words = f"{key} is another one in repository {here.name} than in {other.name}"
            hint = (
                "Compare both with the server's pg_wal and with the timelines of the backups, and set the wrong one"
                " apart by hand (docs/ransomware.md). lifeboat sync --to NAME brings the right one there."
            )
            error: LifeboatError = WalConflict(f"{words}, and neither has a digest.", hint, key=key)
            if _digest_of(key) in other.lasting:
                hint = "Bring it: lifeboat verify --repair."
                error = ObjectCorrupt(f"{words}, which has its digest.", hint, key=key)
            found.setdefault(key, Finding(here.name, "", error, key))
    return [found[key] for key in sorted(found)]


def _digest_of(history: str) -> str:
    root, name = history.rsplit("/", 1)
    return f"{root}/sha256/{name}"


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
                f"Bring it: lifeboat sync --from {behind[system, segment]} --to {here.name}. Without it no restore"
                " from here goes beyond it.",
                missing=[segment.name],
            ),
            here.layout.wal(system, segment.name),
            system,
            segment,
        )
        for system, segment in sorted(behind)
    ]
