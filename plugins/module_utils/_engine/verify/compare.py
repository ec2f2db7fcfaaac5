# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that only a comparison of repositories reveals: missing records, and WAL that ends early. Pure."""

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
    """The contents of a repository: records by the names of their owners (``backups/LABEL``, ``files/SET/LABEL``,
    ``dumps/DATABASE/LABEL``), names that have files but no record, and segments by system identifier with the time
    at which they were stored. Other repositories' WAL since ``until``, and backups since ``records_until``, may still
    arrive here. ``lasting``: keys of the records and histories that are never removed, with the time of storing;
    ``texts``: the sound histories; ``own``: those of its lasting records that no other repository needs, namely
    releases and released holds.
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
    """What each repository lacks but another one has. Missing whole backups are no fault: ``sync`` copies them."""
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
    # The same hold or report may have another key there.
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
                f"{key} is missing in repository {here.name}; {found[key]} has it.",
                f"Copy it: lifeboat sync --from {found[key]} --to {here.name}.",
                key=key,
                repository=here.name,
            ),
            key,
        )
        for key in sorted(found)
    ]


def _histories(here: Held, others: Iterable[Held]) -> List[Finding]:
    """Sound histories that differ: one without a digest is wrong if the other has one; otherwise, either may be."""
    found: Dict[str, Finding] = {}
    for other in others:
        for key in here.texts.keys() & other.texts.keys():
            if here.texts[key] == other.texts[key] or (_digest_of(key) in here.lasting):
                continue
            words = f"{key} differs between repositories {here.name} and {other.name}"
            hint = (
                "Compare both with the server's pg_wal and with the timelines of the backups. Set the wrong one apart"
                " manually (docs/ransomware.md), then copy the right one: lifeboat sync --to NAME."
            )
            error: LifeboatError = WalConflict(f"{words}, and neither has a digest.", hint, key=key)
            if _digest_of(key) in other.lasting:
                hint = "Copy it: lifeboat verify --repair."
                error = ObjectCorrupt(f"{words}, and only {other.name} has its digest.", hint, key=key)
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
                f"Repository {here.name} has files of {name} but not its record; {having[name]} has it.",
                "Copy it: lifeboat verify --repair. Without the record, nothing can be restored from these files.",
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
                f"WAL segment {segment.name} is missing in repository {here.name}, whose WAL ends before it;"
                f" {behind[system, segment]} has it.",
                f"Copy it: lifeboat sync --from {behind[system, segment]} --to {here.name}. Until then, no restore"
                " from this repository goes further.",
                missing=[segment.name],
            ),
            here.layout.wal(system, segment.name),
            system,
            segment,
        )
        for system, segment in sorted(behind)
    ]
