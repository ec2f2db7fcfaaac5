# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what is removed by age alone: audit events, log chunks, repaired objects, drills, leases and so on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Dict, List, Mapping, Sequence, Tuple

from ..config.retention import RetentionConfig
from ..repository.kinds import Kind
from ..repository.leases import Writing
from ..store.protocol import ObjectInfo


@dataclass(frozen=True)
class Removal:
    """An object to remove, with the reason; ``record``: it is the record of a backup, copy, dump or drill.

    ``kind``: ``backup``, ``wal``, ``files``, ``dump``, ``audit``, ``log``, ``damaged``, ``diverged``, ``drill`` or
    ``garbage``.
    """

    key: str
    size: int
    kind: str
    reason: str
    record: bool = False


def old_events(
    chains: Mapping[str, Sequence[Tuple[Kind, ObjectInfo]]], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """The oldest events of each chain, without a gap; its newest event is kept, so that the chain can continue.

    So an event is removed only if the next one exists, and was stored some time ago.
    """
    removals: List[Removal] = []
    first_day = f"{now - timedelta(days=policy.audit_days):%Y%m%d}"
    reason = f"events older than {policy.audit_days:g} days"
    for _chain, events in sorted(chains.items()):
        numbered = sorted((int(kind.part.rsplit("/", 1)[1]), kind.part[:8], info.key, info) for kind, info in events)
        for (number, day, _key, info), (following, _day, _next, after) in zip(numbered, numbered[1:]):
            if day >= first_day or following != number + 1 or after.modified > now - policy.settle:
                break
            removals.append(Removal(info.key, info.size, "audit", reason))
    return removals


def old_logs(
    streams: Mapping[str, Sequence[Tuple[Kind, ObjectInfo]]], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """Chunks by the day they were shipped, even if this repository received them later; none has to be kept."""
    removals: List[Removal] = []
    for stream, chunks in sorted(streams.items()):
        days = policy.days_of_log(stream)
        first_day = f"{now - timedelta(days=days):%Y%m%d}"
        old = sorted((info for kind, info in chunks if kind.part < first_day), key=lambda info: info.key)
        removals += [Removal(i.key, i.size, "log", f"log {stream}, older than {days:g} days") for i in old]
    return removals


def old_repairs(repairs: Mapping[str, Sequence[ObjectInfo]], policy: RetentionConfig, now: datetime) -> List[Removal]:
    """Objects set aside by repairs, each with its record, once both are old enough."""
    reason = f"removed by a repair, {policy.damaged_days:g} days ago or longer"
    return [
        Removal(info.key, info.size, "damaged", reason)
        for _repair, parts in sorted(repairs.items())
        if now - max(info.modified for info in parts) >= timedelta(days=policy.damaged_days)
        for info in parts
    ]


def old_drills(
    drills: Mapping[str, Sequence[Tuple[Kind, ObjectInfo]]], writing: Writing, policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """The evidence of drills, each as a whole, once it is old enough; the newest one of each scenario is kept.

    The age is by the store's time, because anybody who can store objects can give a drill any label. Without a record
    it is removed after the grace.
    """
    newest: Dict[str, Tuple[datetime, str]] = {}
    stored = {label: max(info.modified for _kind, info in parts) for label, parts in drills.items()}
    finished = {label for label, parts in drills.items() if any(kind.record for kind, _info in parts)}
    for label in finished:
        scenario = label.split("-", 1)[1]
        newest[scenario] = max((stored[label], label), newest.get(scenario, (stored[label], label)))
    kept = {label for _at, label in newest.values()}
    removals: List[Removal] = []
    for label, parts in sorted(drills.items()):
        age, infos = now - stored[label], sorted(parts, key=lambda part: part[1].key)
        if label not in finished:
            if age >= policy.grace and not writing.has(infos[0][1].key):
                removals += [
                    Removal(info.key, info.size, "garbage", "of a drill without a record") for _k, info in infos
                ]
        elif label not in kept and age >= timedelta(days=policy.drill_days):
            why = f"a drill, stored {policy.drill_days:g} days ago or longer"
            removals += [Removal(info.key, info.size, "drill", why, kind.record) for kind, info in infos]
    return removals


def old_diverged(
    copies: Mapping[Tuple[str, str], Sequence[Tuple[Kind, ObjectInfo]]], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """The WAL of old primaries after a fork, each copy as a whole once all of it is old enough, its record first."""
    reason = f"written after a fork, stored {policy.diverged_days:g} days ago or longer"
    return [
        Removal(info.key, info.size, "diverged", reason, record=kind.record)
        for _copy, parts in sorted(copies.items())
        if now - max(info.modified for _kind, info in parts) >= timedelta(days=policy.diverged_days)
        for kind, info in parts
    ]


def old_leases(leases: Mapping[str, Sequence[ObjectInfo]], policy: RetentionConfig, now: datetime) -> List[Removal]:
    """The leases of restores and writers, once they have expired; each as a whole."""
    since = now - max(policy.grace, timedelta(days=2))
    return [
        Removal(info.key, info.size, "garbage", "an expired lease")
        for _lease, parts in sorted(leases.items())
        if max(info.modified for info in parts) < since
        for info in parts
    ]
