# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the claims of a record with its key, the listing and its neighbors. Pure.

Anybody who can create objects can create a record with a valid checksum, so its content is only a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Collection, Iterable, Iterator, Mapping, Optional, Sequence, Tuple

from ..base.errors import RecordImplausible, WalInvalid
from ..base.wal_names import format_lsn, history_name
from ..postgres.timeline import path_to
from ..records.fields import printable
from ..records.model import ArchiveFile, BackupManifest, format_time
from .labels import begun, is_label, label_order, type_of
from .layout import MANIFEST, SERVER_MANIFEST, clear_name

#: How far the clock of a record's writer may be ahead of the store's. A wrong time zone must not hide a backup.
SKEW = timedelta(days=1)
#: How far the clocks of a server and a store may differ for a backup that justifies the removal of others.
CLOCKS = timedelta(hours=1)
# A clock may be set back during a backup.
_STEP = timedelta(minutes=10)
# No backup spans more WAL than this: 16 TiB.
_MOST_WAL = 2**44
_SEGMENT_SIZES = frozenset(1 << power for power in range(20, 31))


@dataclass(frozen=True)
class Claim:
    """The place of a record: its key, the label in the key, and when it was stored."""

    key: str
    label: str
    stored: datetime


def implausible(key: str, why: str) -> RecordImplausible:
    """The error that names the contradiction."""
    return RecordImplausible(
        f"{printable(key)} is not plausible: {why}.",
        "Find out who stored it; it is set apart and ignored. If it was not Lifeboat, somebody has the writer's keys.",
        key=key,
        why=why,
    )


def late(at: datetime, stored: datetime, skew: timedelta = SKEW) -> Optional[str]:
    """The fault of a record that claims a later time than that at which it was stored."""
    if at <= stored + skew:
        return None
    return f"it claims to be of {format_time(at)}, but was stored at {format_time(stored)}"


def settled(at: datetime, stored: datetime) -> datetime:
    """When it happened at the latest: a record that claims a future time is older than the records stored later.

    Stores report times to the second.
    """
    return min(at, stored + timedelta(seconds=1))


def apart(at: datetime, told: Optional[datetime]) -> Optional[str]:
    """The fault of a record whose time, to the second, is not that of its key."""
    if told is not None and at.replace(microsecond=0) == told:
        return None
    return f"its time {format_time(at)} is not that of its key"


def _label(label: str, at: datetime, claim: Claim, skew: timedelta) -> Iterator[Optional[str]]:
    if label != claim.label:
        yield f"it claims the label {label}"
    yield apart(at, begun(claim.label))
    yield late(at, claim.stored, skew)


def _first(faults: Iterator[Optional[str]]) -> Optional[str]:
    try:
        return next((fault for fault in faults if fault), None)
    except (TypeError, ValueError, OverflowError, AttributeError):
        # The reader rejects these already, but plans must not depend on that alone.
        return "it has values of the wrong kind"


def backup_fault(
    backup: BackupManifest, claim: Claim, cluster: str, systems: Collection[str], histories: Mapping[int, str]
) -> Optional[str]:
    """What contradicts the record of a backup; None for a plausible one.

    ``systems`` are the identifiers that the repository knows, ``histories`` the history files of the backup's system.
    """
    if backup.cluster != cluster:
        return f"it is of the cluster {backup.cluster}"
    if why := record_fault(backup, claim):
        return why
    if backup.system_identifier not in systems:
        return f"the repository does not know its system identifier {backup.system_identifier} (systems/)"
    return _timeline(backup, histories)


def record_fault(backup: BackupManifest, claim: Claim, skew: timedelta = SKEW) -> Optional[str]:
    """What cannot be true in the record of a backup by itself; None for a plausible one."""
    return _first(_record(backup, claim, skew))


def _record(backup: BackupManifest, claim: Claim, skew: timedelta) -> Iterator[Optional[str]]:
    yield from _label(backup.label, backup.started_at, claim, skew)
    if backup.type != type_of(claim.label):
        yield f"it claims to be a {backup.type} backup"
    if backup.finished_at < backup.started_at - _STEP:
        yield f"it ended at {format_time(backup.finished_at)}, before it began"
    yield late(backup.finished_at, claim.stored, skew)
    if backup.segment_size not in _SEGMENT_SIZES or backup.timeline < 1:
        yield f"no server has segments of {backup.segment_size} bytes, or timeline {backup.timeline}"
    if not 0 <= backup.start_lsn < backup.stop_lsn < 1 << 64:
        yield f"its WAL ends at {format_lsn(backup.stop_lsn)}, before it begins"
    if backup.stop_lsn - backup.start_lsn > _MOST_WAL:
        yield f"it claims WAL from {format_lsn(backup.start_lsn)} to {format_lsn(backup.stop_lsn)}"
    yield _parent(backup, claim.label)
    yield _files(backup.files)


def _files(files: Sequence[ArchiveFile]) -> Optional[str]:
    names = [clear_name(file.name) for file in files]
    if SERVER_MANIFEST not in names or not any(name.startswith("base.") for name in names):
        return f"it names no base.tar, or no {SERVER_MANIFEST}"
    if len(set(names)) < len(names):
        return "it names a file twice"
    return next((f"its file {file.name} is empty" for file in files if file.size <= 0), None)


def _parent(backup: BackupManifest, label: str) -> Optional[str]:
    parent = backup.parent
    if parent is None:
        return None if backup.type == "full" else "it has no parent"
    if backup.type == "full":
        return f"it is a full backup with a parent, {parent}"
    if not is_label(parent) or not _earlier(parent, label):
        return f"its parent {parent} is not earlier"
    return None


def _earlier(label: str, other: str) -> bool:
    """Compare by a total order, so that parents cannot form a cycle."""
    return begun(label) is not None and begun(other) is not None and label_order(label)[:2] < label_order(other)[:2]


def _timeline(backup: BackupManifest, histories: Mapping[int, str]) -> Optional[str]:
    if backup.timeline not in histories:
        return None
    try:
        path = path_to(backup.timeline, histories)
    except WalInvalid:
        return None
    forks = [step.switch for step in path.steps[:-1] if step.switch is not None]
    if forks and backup.stop_lsn < max(forks):
        name = history_name(backup.timeline)
        return f"it ended at {format_lsn(backup.stop_lsn)}, before its timeline began ({name})"
    return None


def lacking(files: Sequence[ArchiveFile], beside: Mapping[str, int]) -> Optional[str]:
    """In words, the first of these files that is missing ``beside`` the record or has another size; or None."""
    for file, size in misfits(files, beside):
        return (
            f"lacks its file {file.name}" if size is None else f"has {size} bytes of {file.name} instead of {file.size}"
        )
    return None


def misfits(files: Iterable[ArchiveFile], sizes: Mapping[str, int]) -> Iterator[Tuple[ArchiveFile, Optional[int]]]:
    """The files whose listed size differs, with that size; None if they are not listed."""
    return ((file, sizes.get(file.name)) for file in files if sizes.get(file.name) != file.size)


def unnamed(files: Sequence[ArchiveFile], beside: Mapping[str, int]) -> Sequence[str]:
    """The files beside a record that the record does not name."""
    named = {MANIFEST, *(file.name for file in files)}
    return [name for name in sorted(beside) if name not in named]


def copy_fault(
    name: str, cluster: str, label: str, created_at: datetime, claim: Claim, whose: str, here: str,
    parents: Sequence[str] = (), skew: timedelta = SKEW,
) -> Optional[str]:  # fmt: skip
    """What contradicts the record of a copy of a file set, or of a dump.

    ``whose`` is the set or database in the record, ``name`` the one in its key; ``here`` is the cluster.
    """

    def faults() -> Iterator[Optional[str]]:
        yield from _label(label, created_at, claim, skew)
        if whose != name:
            yield f"it claims to be of {whose!r}"
        if cluster != here:
            yield f"it is of the cluster {cluster}"
        for parent in parents:
            if not _earlier(parent, claim.label):
                yield f"its parent {parent} is not earlier"

    return _first(faults())
