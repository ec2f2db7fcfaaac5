# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which backups count when others are removed. Pure.

Anybody with the writer's keys can store any record that does not exist yet. So a record is believed only if its key
and the listing bear it out, and a backup *counts* (replaces others, starts the window, makes a cluster identity the
successor of another) only if it is strong. Any other one is *weak*: it is compared individually with the strong ones
and never affects others. If its record cannot be true it is *foreign*: it is left alone, and no other is kept for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Collection, Dict, FrozenSet, Mapping, Optional, Sequence, Set

from ..base.wal_names import Segment, segments_between
from ..config.retention import RetentionConfig
from ..records.model import BackupManifest, format_time
from ..repository.chain import Chains
from ..repository.labels import label_order
from ..repository.plausible import CLOCKS, Claim, record_fault
from ..store.protocol import ObjectInfo

# A backup stored longer than this after its end was copied from elsewhere, or its record is wrong.
_LATE = timedelta(days=1)

Names = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Stored:
    """A backup in the listing: its files by name, and when its record was stored."""

    files: Mapping[str, ObjectInfo]
    at: datetime


@dataclass(frozen=True)
class Segments:
    """The names of complete segments by system identifier, and those of them that were stored recently."""

    names: Names
    fresh: Names = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """The labels of backups that were verified (read back and intact), and that passed a restore test."""

    verified: Collection[str] = ()
    restored: Collection[str] = ()


@dataclass(frozen=True)
class Standing:
    """The labels of the strong backups, and of the weak and foreign ones with the reason.

    ``fresh`` are the weak ones whose only fault is that they were stored recently.
    """

    strong: FrozenSet[str] = frozenset()
    weak: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    fresh: FrozenSet[str] = frozenset()


def judge(
    chains: Chains,
    stored: Mapping[str, Stored],
    segments: Segments,
    policy: RetentionConfig,
    now: datetime,
    evidence: Evidence,
    shrunk_counts: bool = False,
) -> Standing:
    """The standing of each known backup. ``shrunk_counts``: the guard ``shrunk`` is lifted."""
    foreign: Dict[str, str] = {}
    faults: Dict[str, str] = {}
    fresh: Set[str] = set()
    for label, backup in chains.known.items():
        names = segments.names.get(backup.system_identifier, ())
        if label not in stored:
            faults[label] = "it is not in the listing"
        elif why := record_fault(backup, Claim("", label, stored[label].at), CLOCKS):
            foreign[label] = why
        elif fault := _fault(backup, stored[label], names) or _distrust(label, policy, evidence):
            faults[label] = fault
        elif _is_fresh(backup, stored[label], segments.fresh.get(backup.system_identifier, ()), now - policy.settle):
            fresh.add(label)
    sound = [b for b in chains.known.values() if b.label not in foreign and b.label not in faults]
    faults.update(_late(sound, stored))
    if not shrunk_counts:
        faults.update(_shrunk([b for b in sound if b.label not in faults], fresh, policy))
    wrong = {**foreign, **faults}
    ours = [label for label in chains.known if label not in foreign]
    weak = {label: why for label in ours if (why := _broken(label, chains, wrong))}
    young = frozenset(label for label in ours if label not in weak and fresh & {b.label for b in chains.whole[label]})
    weak.update(dict.fromkeys(young, f"it was stored less than {policy.settle_hours:g} hours ago"))
    return Standing(frozenset(ours) - set(weak), weak, foreign, young)


def _fault(backup: BackupManifest, stored: Stored, segments: Collection[str]) -> Optional[str]:
    """The first of its files, or of the WAL that makes it consistent, that is missing, in words; or None."""
    for file in backup.files:
        info = stored.files.get(file.name)
        if info is None:
            return f"its file {file.name} is missing"
        if info.size != file.size:
            return f"its file {file.name} has {info.size} bytes instead of {file.size}"
    first = backup.start_lsn // backup.segment_size
    last = Segment.ending_at(backup.timeline, backup.stop_lsn, backup.segment_size).number
    if last - first >= len(segments):
        return f"the WAL from its start to its stop is missing, {last - first + 1} segments"
    needed = segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_size)
    lacking = next((s.name for s in needed if s.name not in segments), None)
    return f"it needs WAL segment {lacking}, which is missing" if lacking else None


def _is_fresh(backup: BackupManifest, stored: Stored, segments: Collection[str], since: datetime) -> bool:
    """Whether its record, a file or WAL that it needs was stored after ``since``."""
    if max(stored.at, *(stored.files[f.name].modified for f in backup.files)) > since:
        return True
    needed = segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_size)
    return bool(segments) and any(s.name in segments for s in needed)


def _distrust(label: str, policy: RetentionConfig, evidence: Evidence) -> Optional[str]:
    if policy.trust != "whole" and label not in evidence.verified and label not in evidence.restored:
        return f"it was not verified (retention.trust: {policy.trust})"
    if policy.trust == "restored" and label not in evidence.restored:
        return "it did not pass a restore test (retention.trust: restored)"
    return None


def _late(backups: Sequence[BackupManifest], stored: Mapping[str, Stored]) -> Dict[str, str]:
    """Backups stored long after their end, and after one that started later, as backdated ones are."""
    found: Dict[str, str] = {}
    earliest: Dict[str, datetime] = {}
    for backup in sorted(backups, key=lambda b: label_order(b.label), reverse=True):
        at, system = stored[backup.label].at, backup.system_identifier
        if at > backup.finished_at + _LATE and at > earliest.get(system, at):
            found[backup.label] = f"it was stored after newer ones, at {format_time(at)}"
        earliest[system] = min(at, earliest.get(system, at))
    return found


def _shrunk(backups: Sequence[BackupManifest], fresh: Set[str], policy: RetentionConfig) -> Dict[str, str]:
    """Full backups that are tiny compared with the previous one."""
    found: Dict[str, str] = {}
    before: Dict[str, int] = {}
    for backup in sorted((b for b in backups if b.type == "full"), key=lambda b: b.label):
        last = before.get(backup.system_identifier, 0)
        if policy.is_shrunk(backup.stored_size, last):
            found[backup.label] = shrunk(backup.stored_size, last)
        elif backup.label not in fresh:
            before[backup.system_identifier] = backup.stored_size
    return found


def shrunk(size: int, before: int) -> str:
    """The reason why something that small does not count."""
    return f"it has {size} bytes, the previous one {before} (--allow shrunk lets it count)"


def _broken(label: str, chains: Chains, faults: Mapping[str, str]) -> Optional[str]:
    """The fault of the backup or of one that it is based on; None if there is none."""
    if label in faults:
        return faults[label]
    if label in chains.broken:
        return str(chains.broken[label])
    links = [link.label for link in chains.whole[label] if link.label in faults]
    return f"it is based on {links[0]}: {faults[links[0]]}" if links else None
