# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what may be copied: records of backups, copies and dumps only if the repository has all their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.errors import LifeboatError, ObjectCorrupt, WalGap
from ..base.wal_names import segments_between
from ..records.model import ArchiveFile, BackupManifest, load_manifest
from ..repository.drills import drill_fault, load_drill
from ..repository.kinds import kind_of
from ..repository.lag import Lacking, Owner
from ..repository.layout import MANIFEST
from ..repository.plausible import CLOCKS, Claim, record_fault
from ..repository.repository import Repository
from ..retention import copy_record, copy_record_fault
from ..store.protocol import ObjectInfo
from ..verify import promised
from ..wal.inventory import absent


@dataclass(frozen=True)
class Promise:
    """The files in a record, by key, and why the record is not trusted."""

    files: Mapping[str, ArchiveFile] = field(default_factory=dict)
    why: Optional[str] = None
    backup: Optional[BackupManifest] = None

    def require(self, record: str, have: Mapping[str, int]) -> None:
        """ObjectCorrupt unless ``have`` contains all its files with their sizes."""
        for key, file in self.files.items():
            if have.get(key) != file.size:
                found = f"has {have[key]} bytes there" if key in have else "is missing there"
                raise ObjectCorrupt(
                    f"The record {record} is not copied: {key}, of {file.size} bytes, {found}.",
                    "Copy the file first, from a repository that has it: lifeboat sync --from NAME.",
                    key=key,
                )

    def require_wal(self, target: Repository, record: str) -> None:
        """WalGap unless the target has the WAL that makes the backup consistent."""
        if self.backup is None:
            return
        backup = self.backup
        needed = segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_size)
        # Only up to the first one: a forged record may need any number.
        missing = next((s.name for s in needed if absent(target, backup.system_identifier, [s])), None)
        if missing:
            raise WalGap(
                f"The record {record} is not copied: its WAL segment {missing} is missing there.",
                "Copy its WAL first, from a repository that has it: lifeboat sync --from NAME.",
                missing=[missing],
            )


def read_promises(
    origin: Repository, lacking: Iterable[Lacking], objects: Iterable[ObjectInfo]
) -> Dict[Owner, Promise]:
    """Read the records of everything that is to be copied: one get for each."""
    cluster = origin.layout.cluster
    records = {owner: f"{cluster}/{_directory(owner)}/{MANIFEST}" for owner in _owners(lacking)}
    wanted = set(records.values())
    stored = {info.key: info.modified for info in objects if info.key in wanted}
    return {owner: _read(origin, owner, key, stored[key]) for owner, key in records.items() if key in stored}


def _owners(lacking: Iterable[Lacking]) -> Set[Owner]:
    return {item.owner for item in lacking if item.owner}


def _directory(owner: Owner) -> str:
    what, name, label = owner
    if what in ("backup", "drill"):
        return f"{what}s/{label}"
    return f"{'dumps' if what == 'dump' else what}/{name}/{label}"


def _read(origin: Repository, owner: Owner, key: str, stored: datetime) -> Promise:
    what, _name, label = owner
    backup = None
    try:
        raw = origin.get_record(key)
        files = promised(kind_of(origin.layout.cluster, key), raw, key)
        if what == "backup":
            backup = load_manifest(raw, key)
            why = record_fault(backup, Claim(key, label, stored), CLOCKS)
        elif what == "drill":
            why = drill_fault(load_drill(raw, key), Claim(key, label, stored), origin.layout.cluster)
        else:
            why = copy_record_fault(owner, copy_record(what, raw, key), stored)
    except LifeboatError as exc:
        return Promise(why=exc.message)
    base = key.rsplit("/", 1)[0]
    return Promise({f"{base}/{file.name}": file for file in files}, why, backup)


def set_apart(
    lacking: Sequence[Lacking], promises: Mapping[Owner, Promise]
) -> Tuple[Dict[str, str], Tuple[Lacking, ...]]:
    """The reasons for objects that are not copied, by name, and the objects to copy. Pure."""
    skipped: Dict[str, str] = {}
    rest: List[Lacking] = []
    for item in lacking:
        promise = promises.get(item.owner) if item.owner else None
        if promise is not None and item.owner and promise.why:
            skipped[_directory(item.owner)] = promise.why
        elif promise is not None and not item.kind.record and item.info.key not in promise.files:
            skipped[item.info.key] = "its record does not name it"
        else:
            rest.append(item)
    return skipped, tuple(rest)
