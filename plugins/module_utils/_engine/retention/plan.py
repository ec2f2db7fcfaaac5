# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide from the catalog, the objects, the policy and the time which objects are removed, with reasons. Pure.

Never removed are unrecognized objects, history files and records of the repository. A backup that is not strong (see
:mod:`.strength`) never leads to the removal of others, and foreign ones are left alone. The records of backups are
removed first, children before their parents, then their data, then WAL, oldest first: an interrupted run leaves nothing
that could be taken for a complete backup, and the next one continues.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.errors import WalInvalid
from ..base.wal_names import Segment
from ..config.retention import RetentionConfig
from ..records.model import BackupManifest, format_time
from ..repository.kinds import Kind, kind_of
from ..repository.labels import begun, label_order
from ..repository.leases import Writing
from ..repository.terms import is_due
from ..store.protocol import ObjectInfo
from .copies import CopyKey, CopyStanding, copies_that_go, copy_order, judge_copies
from .given import Facts, with_unread
from .keep import Rivals, kept_backups, order_of
from .strength import Segments, Standing, Stored, judge
from .trails import Removal, old_diverged, old_drills, old_events, old_leases, old_logs, old_repairs
from .wal import (
    Base,
    Life,
    Needed,
    active_timelines,
    base_reasons,
    find_bases,
    needed_spans,
    segment_number,
    successors,
)

_COPIES = {"files": "copy", "dump": "dump"}


@dataclass(frozen=True)
class PrunePlan:
    """The removals, in order, and the kept backups, with reasons; bytes and objects are of the whole repository.

    ``due`` are the kept objects whose first lock ends soon, if objects are locked. ``weak`` are reasons why backups,
    copies and dumps do not count when others are removed, ``foreign`` why others are left alone, by label or
    ``files/SET/LABEL`` (for WAL ``wal/SYSTEM``); ``beside`` are the bytes of both and of unrecognized objects.
    ``newest`` is the newest backup that counts, or will.
    """

    removals: Tuple[Removal, ...]
    kept: Mapping[str, Tuple[str, ...]]
    objects: int
    bytes: int
    due: Tuple[str, ...] = ()
    weak: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    beside: int = 0
    newest: Optional[BackupManifest] = None

    @property
    def bytes_removed(self) -> int:
        """The bytes of all removals."""
        return sum(r.size for r in self.removals)

    @property
    def share(self) -> float:
        """The percentage of the repository's bytes that is removed, without those that do not count."""
        counted = self.bytes - self.beside
        return min(100.0, 100.0 * self.bytes_removed / counted) if counted else 100.0 * bool(self.removals)


def make_plan(
    facts: Facts,
    objects: Iterable[ObjectInfo],
    policy: RetentionConfig,
    now: datetime,
    locking: bool = False,
    lifted: Collection[str] = (),
) -> PrunePlan:
    """Make the plan, with ``locking`` also the locks that end soon. Memory: about 800 bytes for each object.

    The order of ``objects`` does not matter. ``lifted`` are the names of lifted guards.
    """
    found = _Sorted(now - policy.settle)
    due: List[str] = []
    for info in objects:
        kind = kind_of(facts.cluster, info.key)
        found.add(kind, info)
        if locking and is_due(kind, info.modified, policy, now):
            due.append(info.key)
    facts = with_unread(facts, found.backups, now)
    chains, stored, shrunk_counts = facts.chains, found.stored(), "shrunk" in lifted
    standing = judge(chains, stored, found.segments, policy, now, facts.evidence, shrunk_counts)
    view = _Known(facts, standing, stored, found, policy, now, locking)
    kept = view.kept()
    copies = judge_copies(facts.copies, facts.unreadable, found.copies, policy, now, shrunk_counts)
    removals = [
        *_backups(facts, found, standing, kept, policy, now),
        *_copies(facts, found, copies, policy, now),
        *_wal(found, view, kept, policy, now),
        *old_events(found.audit, policy, now),
        *old_logs(found.logs, policy, now),
        *old_repairs(found.damaged, policy, now),
        *old_drills(found.drills, facts.writing, policy, now),
        *old_diverged(found.diverged, policy, now),
        *old_leases(found.leases, policy, now),
    ]
    removals.sort(key=lambda r: not r.record)
    going = {removal.key for removal in removals} if due else set()
    known = [b for b in chains.known.values() if b.label in standing.strong or b.label in standing.fresh]
    return PrunePlan(
        tuple(removals),
        kept,
        found.count,
        found.bytes,
        tuple(key for key in due if key not in going),
        {**view.unclear, **standing.weak, **_named(copies.weak)},
        {**facts.damaged, **standing.foreign, **_named(copies.foreign)},
        found.beside(facts, standing, copies),
        max(known, key=order_of, default=None),
    )


def _named(copies: Mapping[CopyKey, str]) -> Dict[str, str]:
    return {"/".join(key): why for key, why in copies.items()}


class _Sorted:
    """The objects by kind; those stored after ``since`` are fresh."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self.count = self.bytes = self.unknown = 0
        self.backups: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.copies: Dict[CopyKey, List[Tuple[Kind, ObjectInfo]]] = {}
        self.wal: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.leases: Dict[str, List[ObjectInfo]] = {}
        self.audit: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.logs: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.damaged: Dict[str, List[ObjectInfo]] = {}
        self.drills: Dict[str, List[Tuple[Kind, ObjectInfo]]] = {}
        self.diverged: Dict[Tuple[str, str], List[Tuple[Kind, ObjectInfo]]] = {}
        self._names: Dict[str, Set[str]] = {}
        self._fresh: Dict[str, Set[str]] = {}
        self.segments = Segments(self._names, self._fresh)

    def add(self, kind: Kind, info: ObjectInfo) -> None:
        self.count += 1
        self.bytes += info.size
        if kind.name == "wal":
            self.wal.setdefault(kind.owner, []).append((kind, info))
            if kind.segment and info.size:
                self._names.setdefault(kind.owner, set()).add(kind.part)
                if info.modified > self._since:
                    self._fresh.setdefault(kind.owner, set()).add(kind.part)
        elif kind.name == "backup":
            self.backups.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "lease":
            self.leases.setdefault(f"{kind.part}/{kind.owner}", []).append(info)
        elif kind.name in _COPIES:
            self.copies.setdefault((kind.name, kind.part, kind.owner), []).append((kind, info))
        elif kind.name == "audit":
            self.audit.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "log":
            self.logs.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "drill":
            self.drills.setdefault(kind.owner, []).append((kind, info))
        elif kind.name == "damaged":
            self.damaged.setdefault(kind.owner, []).append(info)
        elif kind.name == "diverged":
            self.diverged.setdefault((kind.owner, kind.part), []).append((kind, info))
        elif kind.name == "foreign":
            self.unknown += info.size

    def stored(self) -> Dict[str, Stored]:
        """The listed files of each backup that has a record."""
        found: Dict[str, Stored] = {}
        for label, parts in self.backups.items():
            at = next((info.modified for kind, info in parts if kind.record), None)
            if at is not None:
                found[label] = Stored({kind.part: info for kind, info in parts}, at)
        return found

    def beside(self, facts: Facts, standing: Standing, copies: CopyStanding) -> int:
        """The bytes of unrecognized objects, and of backups, copies and dumps that do not count."""
        labels = {*standing.weak, *standing.foreign, *facts.damaged}
        lists = [self.backups[label] for label in labels if label in self.backups]
        lists += [self.copies[key] for key in (*copies.weak, *copies.foreign)]
        return self.unknown + sum(info.size for parts in lists for kind, info in parts)


class _Known:
    """The backups by cluster identity: all but the foreign ones, the strong ones, and their part in recovery."""

    def __init__(
        self,
        facts: Facts,
        standing: Standing,
        stored: Mapping[str, Stored],
        found: _Sorted,
        policy: RetentionConfig,
        now: datetime,
        locking: bool,
    ) -> None:
        self._facts, self._standing, self._policy = facts, standing, policy
        self.window_start = policy.window_start(now)
        self._all: Dict[str, List[BackupManifest]] = {}
        self.strong: Dict[str, List[BackupManifest]] = {}
        for label, backup in facts.chains.known.items():
            if label not in standing.foreign:
                self._all.setdefault(backup.system_identifier, []).append(backup)
            if label in standing.strong:
                self.strong.setdefault(backup.system_identifier, []).append(backup)
        since = {b.label: _since(b, stored.get(b.label), locking) for found in self._all.values() for b in found}
        self._ages = {label: now - moment for label, moment in since.items()}
        lives = self._lives(found, since)
        strong = [b for found in self.strong.values() for b in found]
        self.replaced = {s: by for s, by in successors(lives, strong, policy, self._ages).items() if by}
        self.bases: Dict[str, List[Base]] = {}
        self.unclear: Dict[str, str] = {f"wal/{s}": f"all of it stays: {why}" for s, why in facts.unclear.items()}
        for system, life in lives.items():
            own, over = self.strong.get(system, ()), system in self.replaced
            timelines, histories = active_timelines(life, own, self.window_start, over), facts.histories.get(system, {})
            try:
                self.bases[system] = find_bases(
                    self.of(system), standing.strong, histories, timelines, self.window_start
                )
            except WalInvalid as exc:
                self.unclear[_wal_of(system)] = f"all of it stays: {exc.message}"

    def of(self, system: str) -> Sequence[BackupManifest]:
        """The backups of one identity, without foreign ones."""
        return self._all.get(system, ())

    def _lives(self, found: _Sorted, since: Mapping[str, datetime]) -> Dict[str, Life]:
        timelines: Dict[str, Dict[int, datetime]] = {}
        for system, files in found.wal.items():
            times = timelines.setdefault(system, {})
            for kind, info in files:
                timeline = int(kind.part[:8], 16)
                times[timeline] = max(times.get(timeline, info.modified), info.modified)
        lives = {}
        for system in {*timelines, *self._all}:
            moments = [*timelines.get(system, {}).values(), *(since[b.label] for b in self.of(system))]
            lives[system] = Life(timelines.get(system, {}), max(moments))
        return lives

    def kept(self) -> Mapping[str, Tuple[str, ...]]:
        """The backups that are kept, and why."""
        facts, counted = self._facts, self._facts.evidence.verified
        rivals = {
            system: Rivals(
                [b for s in {system, *self.replaced.get(system, ())} for b in self.strong.get(s, ())], counted
            )
            for system in self._all
        }
        verified, bases = {*counted, *facts.verified}, base_reasons(chain(*self.bases.values()), self.window_start)
        # The backup that recovery starts from is unknown then, so it may be any of them.
        unclear = [b for system in self._all if _wal_of(system) in self.unclear for b in self.of(system)]
        bases.update(dict.fromkeys((b.label for b in unclear), "a timeline history cannot be read"))
        return kept_backups(facts.chains, self._standing, self._policy, self._ages, rivals, verified, facts.held, bases)

    def may_lose_wal(self, system: str) -> bool:
        """Whether WAL of this identity may be removed: if it has a strong backup, or another identity replaced it."""
        return _wal_of(system) not in self.unclear and (system in self.replaced or system in self.strong)


def _wal_of(system: str) -> str:
    return f"wal/{system}"


def _since(backup: BackupManifest, stored: Optional[Stored], locking: bool) -> datetime:
    """When a backup's days start: the time in its label, or when it was stored, if later.

    With locks only the former: some stores change the time of an object when its lock is renewed.
    """
    began = begun(backup.label) or backup.started_at
    return began if locking or stored is None else max(began, stored.at)


def _backups(
    facts: Facts,
    found: _Sorted,
    standing: Standing,
    kept: Mapping[str, Tuple[str, ...]],
    policy: RetentionConfig,
    now: datetime,
) -> List[Removal]:
    removals: List[Removal] = []
    stay = {*kept, *standing.foreign, *facts.damaged, *facts.held}
    # A child started after its parent, so it is removed first.
    for label in sorted(found.backups.keys() - stay, key=label_order, reverse=True):
        parts = sorted(found.backups[label], key=lambda p: p[1].key)
        backup = facts.chains.known.get(label)
        if backup is not None:
            reason = f"{backup.type} backup of {format_time(backup.finished_at)[:10]}, nothing keeps it"
            removals += [Removal(info.key, info.size, "backup", reason, kind.record) for kind, info in parts]
        else:
            removals += _unfinished(parts, "a backup", facts.writing, policy, now)
    return removals


def _unfinished(
    parts: Sequence[Tuple[Kind, ObjectInfo]], what: str, writing: Writing, policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """Files without a record, once they can no longer be in progress."""
    if writing.has(parts[0][1].key) or max(info.modified for kind, info in parts) >= now - policy.grace:
        return []
    return [Removal(info.key, info.size, "garbage", f"of {what} without a record") for kind, info in parts]


def _copies(
    facts: Facts, found: _Sorted, standing: CopyStanding, policy: RetentionConfig, now: datetime
) -> List[Removal]:
    """Copies of file sets, and dumps; the newest complete one of each is kept, with those that it is based on."""
    removals: List[Removal] = []
    for what, name, label in copies_that_go(facts.copies, standing, found.copies, policy, now):
        if (what, name) in facts.newer:
            continue  # A copy of a newer format may need this one.
        reason = f"{_COPIES[what]} of {name}, {policy.days_of_copy(what, name):g} days old or older"
        parts = found.copies[what, name, label]
        removals += [Removal(info.key, info.size, what, reason, kind.record) for kind, info in parts]
    for what, name, label in sorted(found.copies, key=copy_order, reverse=True):
        parts = found.copies[what, name, label]
        if not any(kind.record for kind, info in parts):
            removals += _unfinished(parts, f"a {_COPIES[what]} of {name}", facts.writing, policy, now)
    return removals


def _wal(
    found: _Sorted, view: _Known, kept: Mapping[str, Tuple[str, ...]], policy: RetentionConfig, now: datetime
) -> List[Removal]:
    removals: List[Removal] = []
    old = f"WAL older than {policy.wal_days:g} days that no backup needs"
    for system, files in sorted(found.wal.items()):
        if not view.may_lose_wal(system):
            continue
        ours = view.of(system)
        needed = Needed(needed_spans([b for b in ours if b.label in kept], view.bases.get(system, ())))
        sizes = {b.segment_size for b in ours}
        names, fresh = found.segments.names.get(system, ()), found.segments.fresh.get(system, ())
        passed = _passed(view.strong.get(system, ()))
        for kind, info in sorted(files, key=lambda f: f[0].part):
            complete = kind.part in names and kind.part not in fresh and kind.part <= passed.get(kind.part[:8], "")
            if kind.piece and complete and info.modified < now - policy.grace:
                removals.append(Removal(info.key, info.size, "garbage", "a piece of a segment that is complete"))
            elif info.modified < view.window_start and not _is_needed(kind.part, sizes, needed):
                removals.append(Removal(info.key, info.size, "wal", old))
    return removals


def _passed(strong: Iterable[BackupManifest]) -> Dict[str, str]:
    """By timeline, the last segment of a strong backup: the server has been past it."""
    found: Dict[str, str] = {}
    for backup in strong:
        name = Segment.ending_at(backup.timeline, backup.stop_lsn, backup.segment_size).name
        found[name[:8]] = max(name, found.get(name[:8], name))
    return found


def _is_needed(name: str, sizes: Set[int], needed: Needed) -> bool:
    """Whether the segment is needed. Without backups none is; if names are ambiguous (``pg_resetwal``), all are."""
    if not sizes:
        return False
    where = segment_number(name, next(iter(sizes))) if len(sizes) == 1 else None
    return where is None or needed.has(*where)
