# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the catalogue, the objects, the policy and the time to what goes, each with its reason. Pure.

Nothing goes that is not recognized: foreign objects, history files, records of the repository. The records of backups
go first, children before their parents, then their data, then WAL from the oldest on: a run that is interrupted leaves
nothing that could be taken for a whole backup, and the next one goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..model import BackupManifest, format_time
from ..repository.chain import Chains
from ..repository.kinds import Kind, kind_of
from ..store.protocol import ObjectInfo
from .keep import kept_backups
from .lock import is_due
from .policy import RetentionConfig
from .wal import Needed, base_reasons, find_bases, needed_spans, segment_number

_COPIES = {"files": "copy", "dump": "dump"}


@dataclass(frozen=True)
class Removal:
    """An object that goes, and why; ``record`` marks what makes a backup or copy exist.

    ``kind``: ``backup``, ``wal``, ``files``, ``dump``, ``audit``, ``log``, ``damaged`` or ``garbage``.
    """

    key: str
    size: int
    kind: str
    reason: str
    record: bool = False


@dataclass(frozen=True)
class Facts:
    """What a plan is made of, beside the objects.

    ``histories`` are the texts of history files by system identifier and timeline; ``held`` the reasons of holds by
    label; ``verified`` the newest backup that was verified; ``based_on``, by set and label, the copies of the set that
    hold a part of that copy.
    """

    cluster: str
    chains: Chains
    damaged: Sequence[str] = ()
    histories: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    verified: Optional[str] = None
    based_on: Mapping[Tuple[str, str], Tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PrunePlan:
    """What goes, in its order, and which backups stay, with the reasons; bytes and objects of the whole repository.

    ``due`` are the objects that stay and whose first lock ends soon, where objects are locked.
    """

    removals: Tuple[Removal, ...]
    kept: Mapping[str, Tuple[str, ...]]
    objects: int
    bytes: int
    due: Tuple[str, ...] = ()

    @property
    def bytes_removed(self) -> int:
        """Bytes of all that goes."""
        return sum(r.size for r in self.removals)

    @property
    def share(self) -> float:
        """The per cent of the repository's bytes that go."""
        return 100.0 * self.bytes_removed / self.bytes if self.bytes else 0.0


def make_plan(
    facts: Facts, objects: Iterable[ObjectInfo], policy: RetentionConfig, now: datetime, locking: bool = False
) -> PrunePlan:
    """Decide; with ``locking`` also whose locks end soon. Memory: about 700 bytes for each object.

    The order of ``objects`` does not matter.
    """
    sorted_out = _Sorted()
    due: List[str] = []
    for info in objects:
        kind = kind_of(facts.cluster, info.key)
        sorted_out.add(kind, info)
        if locking and is_due(kind, info.modified, policy, now):
            due.append(info.key)
    window_start, whole = policy.window_start(now), facts.chains.restorable
    found = {
        system: find_bases(_of(whole, system), facts.histories.get(system, {}), timelines, window_start)
        for system, timelines in sorted_out.active(whole, window_start).items()
    }
    bases = {label: why for b in found.values() for label, why in base_reasons(b, window_start).items()}
    kept = kept_backups(facts.chains, policy, now, facts.held, facts.verified, bases)
    stay = [facts.chains.known[label] for label in kept]
    needed = {system: Needed(needed_spans(_of(stay, system), found.get(system, ()))) for system in sorted_out.wal}
    removals = [
        *_backups(facts, sorted_out, kept, policy, now),
        *_copies(facts, sorted_out, policy, now),
        *_wal(facts, sorted_out, needed, policy, now),
        *_audit(sorted_out, policy, now),
        *_logs(sorted_out, policy, now),
        *_damaged(sorted_out, policy, now),
        *(
            Removal(info.key, info.size, "garbage", "of a restore that has ended")
            for info in sorted_out.leases
            if info.modified < now - max(policy.grace, timedelta(days=2))
        ),
    ]
    removals.sort(key=lambda r: not r.record)
    going = {removal.key for removal in removals} if due else set()
    stay_due = tuple(key for key in due if key not in going)
    return PrunePlan(tuple(removals), kept, sorted_out.count, sorted_out.bytes, stay_due)


class _Sorted:
    """The objects by what they are."""

    def __init__(self) -> None:
        self.count = self.bytes = 0
        self.backups: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.copies: Dict[Tuple[str, str, str], List[Tuple[Kind, ObjectInfo]]] = {}
        self.wal: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.leases: List[ObjectInfo] = []
        self.audit: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.logs: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.damaged: Dict[str, List[ObjectInfo]] = {}

    def add(self, kind: Kind, info: ObjectInfo) -> None:
        self.count += 1
        self.bytes += info.size
        if kind.name == "wal":
            self.wal.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "backup":
            self.backups.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "lease":
            self.leases.append(info)
        elif kind.name in _COPIES:
            self.copies.setdefault((kind.name, kind.part, kind.owner), []).append((kind, info))
        elif kind.name == "audit":
            self.audit.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "log":
            self.logs.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "damaged":
            self.damaged.setdefault(kind.owner, []).append(info)

    def active(self, whole: Sequence[BackupManifest], window_start: datetime) -> Dict[str, Set[int]]:
        """The timelines, by system identifier, that point-in-time recovery must reach.

        Those with WAL in the window; and of a cluster that may live on, although it was idle for so long, the last one.
        It does not when another one was backed up since.
        """
        found: Dict[str, Set[int]] = {}
        for system, files in self.wal.items():
            times: Dict[int, datetime] = {}
            for kind, info in files:
                timeline = int(kind.part[:8], 16)
                times[timeline] = max(times.get(timeline, info.modified), info.modified)
            last = max(times.values())
            replaced = any(b.system_identifier != system and b.finished_at > last for b in whole)
            found[system] = {t for t, moment in times.items() if moment >= window_start}
            if not replaced:
                found[system] |= {max(times), max(times, key=lambda t: times[t])}
        return found


def _of(backups: Iterable[BackupManifest], system: str) -> List[BackupManifest]:
    return [b for b in backups if b.system_identifier == system]


def _backups(
    facts: Facts, found: _Sorted, kept: Mapping[str, Tuple[str, ...]], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    removals: List[Removal] = []
    # A child began after its parent, so that it goes before it.
    for label in sorted(found.backups, reverse=True):
        parts = sorted(found.backups[label], key=lambda p: p[1].key)
        backup = facts.chains.known.get(label)
        if label in kept or label in facts.damaged or label in facts.held:
            continue
        if backup is not None:
            reason = f"{backup.type} backup of {format_time(backup.finished_at)[:10]}, nothing keeps it"
            removals += [Removal(info.key, info.size, "backup", reason, kind.record) for kind, info in parts]
        else:
            removals += _unfinished(parts, "a backup", policy, now)
    return removals


def _unfinished(
    parts: Sequence[Tuple[Kind, ObjectInfo]], what: str, policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """Of something without a record, once nobody can be at it any more."""
    if max(info.modified for kind, info in parts) >= now - policy.grace:
        return []
    return [Removal(info.key, info.size, "garbage", f"of {what} without a record") for kind, info in parts]


def _copies(facts: Facts, found: _Sorted, policy: RetentionConfig, now: datetime) -> List[Removal]:
    """Copies of file sets, and dumps; the newest whole one of each set and database stays, and what it is based on."""
    removals: List[Removal] = []
    whole = {key for key, parts in found.copies.items() if any(kind.record for kind, info in parts)}
    newest = {(what, name): max(o[2] for o in whole if o[:2] == (what, name)) for what, name, _label in whole}

    def is_old(what: str, name: str, label: str) -> bool:
        stored = max(info.modified for kind, info in found.copies[what, name, label])
        return label != newest[what, name] and now - stored >= timedelta(days=policy.days_of_copy(what, name))

    old = {key for key in whole if is_old(*key)}
    needed = {
        (what, name, parent)
        for what, name, label in whole - old
        for parent in (facts.based_on.get((name, label), ()) if what == "files" else ())
    }
    # A copy goes before those that it is based on.
    for (what, name, label), parts in sorted(found.copies.items(), reverse=True):
        word = _COPIES[what]
        if (what, name, label) not in whole:
            removals += _unfinished(parts, f"a {word} of {name}", policy, now)
        elif (what, name, label) in old - needed:
            reason = f"{word} of {name}, {policy.days_of_copy(what, name):g} days old or older"
            removals += [Removal(info.key, info.size, what, reason, kind.record) for kind, info in parts]
    return removals


def _audit(found: _Sorted, policy: RetentionConfig, now: datetime) -> List[Removal]:
    """The oldest events of each chain, without a gap; its newest event stays, so that the chain goes on behind it."""
    removals: List[Removal] = []
    first_day = f"{now - timedelta(days=policy.audit_days):%Y%m%d}"
    for _chain, events in sorted(found.audit.items()):
        events.sort(key=lambda e: e[0].part.rsplit("/", 1)[1])
        for kind, info in events[:-1]:
            if kind.part[:8] >= first_day:
                break
            reason = f"events older than {policy.audit_days:g} days"
            removals.append(Removal(info.key, info.size, "audit", reason))
    return removals


def _logs(found: _Sorted, policy: RetentionConfig, now: datetime) -> List[Removal]:
    """Chunks by the day they were shipped on, whenever this repository got them; there is none that must stay."""
    removals: List[Removal] = []
    for stream, chunks in sorted(found.logs.items()):
        days = policy.days_of_log(stream)
        first_day = f"{now - timedelta(days=days):%Y%m%d}"
        old = sorted((info for kind, info in chunks if kind.part < first_day), key=lambda info: info.key)
        removals += [Removal(i.key, i.size, "log", f"log {stream}, older than {days:g} days") for i in old]
    return removals


def _damaged(found: _Sorted, policy: RetentionConfig, now: datetime) -> List[Removal]:
    """What repairs removed, each with its record, once both are old enough."""
    reason = f"removed by a repair, {policy.damaged_days:g} days ago or longer"
    return [
        Removal(info.key, info.size, "damaged", reason)
        for _repair, parts in sorted(found.damaged.items())
        if now - max(info.modified for info in parts) >= timedelta(days=policy.damaged_days)
        for info in parts
    ]


def _wal(
    facts: Facts, found: _Sorted, needed: Mapping[str, Needed], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    removals: List[Removal] = []
    window_start = policy.window_start(now)
    old = f"WAL older than {policy.wal_days:g} days that no backup needs"
    for system, files in sorted(found.wal.items()):
        sizes = {b.segment_size for b in _of(facts.chains.known.values(), system)}
        complete = {kind.part for kind, info in files if kind.segment and info.size}
        for kind, info in sorted(files, key=lambda f: f[0].part):
            if kind.piece and kind.part in complete and info.modified < now - policy.grace:
                removals.append(Removal(info.key, info.size, "garbage", "a piece of a segment that is complete"))
            elif info.modified < window_start and not _is_needed(kind.part, sizes, needed[system]):
                removals.append(Removal(info.key, info.size, "wal", old))
    return removals


def _is_needed(name: str, sizes: Set[int], needed: Needed) -> bool:
    """Without any backup no WAL is needed. Where names have more than one meaning (``pg_resetwal``), all of it is."""
    if not sizes:
        return False
    where = segment_number(name, next(iter(sizes))) if len(sizes) == 1 else None
    return where is None or needed.has(*where)
