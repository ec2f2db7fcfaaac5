# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of file sets, dumps and drills, as verification sees them: a record, and the files that it lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Optional, Tuple

from ..base import clock
from ..base.errors import ObjectCorrupt
from ..records.model import ArchiveFile, load_manifest
from ..repository.drills import drill_fault, load_drill
from ..repository.dumps import load_dump
from ..repository.file_sets import load_copy
from ..repository.kinds import Kind, kind_of
from ..repository.layout import MANIFEST, Layout
from ..repository.plausible import Claim, copy_fault, implausible
from ..repository.repository import Repository


@dataclass(frozen=True)
class Copy:
    """One copy, dump or drill: ``name`` as ``files/SET/LABEL``, ``files`` by key with their sizes in the listing.

    ``finished``: whether it has a record; ``stored``: when the last of its files was put; ``recorded``: when the
    record was.
    """

    name: str
    files: Dict[str, int]
    finished: bool
    stored: datetime
    recorded: Optional[datetime] = None

    def record(self, cluster: str) -> str:
        """The key of its record."""
        return f"{cluster}/{self.name}/{MANIFEST}"


def promised(kind: Kind, raw: bytes, key: str) -> Tuple[ArchiveFile, ...]:
    """The files listed in the record of a backup, a copy of a file set, a dump or a drill. Pure; ObjectCorrupt."""
    if kind.name == "backup":
        backup = load_manifest(raw, key)
        _require_own(key, f"backups/{backup.label}/")
        return backup.files
    if kind.name == "files":
        copy = load_copy(raw, key)
        _require_own(key, Layout("").file_set(copy.file_set, copy.label, ""))
        return copy.files
    if kind.name == "drill":
        drill = load_drill(raw, key)
        _require_own(key, f"drills/{drill.label}/")
        return drill.files
    dump = load_dump(raw, key)
    _require_own(key, Layout("").dump(dump.database, dump.label, ""))
    return (dump.data, dump.globals)


def _require_own(key: str, directory: str) -> None:
    """ObjectCorrupt unless the record names this directory of a cluster as its own."""
    if key.split("/", 1)[1] != f"{directory.lstrip('/')}{MANIFEST}":
        raise ObjectCorrupt(
            f"{key} contains the record of {directory.strip('/')}.",
            "Copy the right one from another repository: lifeboat verify --repair.",
            key=key,
        )


def list_copies(repository: Repository) -> List[Copy]:
    """All copies, dumps and drills, by one listing of each kind. Memory: about 500 bytes for each object."""
    cluster = repository.layout.cluster
    found: Dict[str, Dict[str, int]] = {}
    stored: Dict[str, datetime] = {}
    recorded: Dict[str, datetime] = {}
    for prefix in (repository.layout.files, repository.layout.dumps, repository.layout.drills):
        for info in repository.store.list(prefix):
            if kind_of(cluster, info.key).name in ("files", "dump", "drill"):
                directory = info.key[len(cluster) + 1 :].rsplit("/", 1)[0]
                found.setdefault(directory, {})[info.key] = info.size
                stored[directory] = max(info.modified, stored.get(directory, info.modified))
                if info.key.endswith(f"/{MANIFEST}"):
                    recorded[directory] = info.modified
    return [
        Copy(name, files, name in recorded, stored[name], recorded.get(name)) for name, files in sorted(found.items())
    ]


def wrong_sizes(repository: Repository, copy: Copy, files: Tuple[ArchiveFile, ...]) -> Optional[Tuple[str, str]]:
    """The first file that is missing or has a wrong size, and the fault as text; None if there is none. Pure."""
    for file in files:
        key = f"{repository.layout.cluster}/{copy.name}/{file.name}"
        if key not in copy.files:
            return key, "is missing"
        if copy.files[key] != file.size:
            return key, f"has {copy.files[key]} bytes instead of {file.size}"
    return None


def load_record(repository: Repository, copy: Copy) -> Tuple[Tuple[ArchiveFile, ...], Tuple[str, ...]]:
    """The files in its record, and the names of the copies that it is based on."""
    cluster, key = repository.layout.cluster, copy.record(repository.layout.cluster)
    kind, raw = kind_of(cluster, key), repository.get_record(key)
    claim = Claim(key, kind.owner, copy.recorded or clock.now())
    parents: Tuple[str, ...] = ()
    if kind.name == "files":
        found = load_copy(raw, key)
        parents = found.parents
        why = copy_fault(
            kind.part, found.cluster, found.label, found.created_at, claim, found.file_set, cluster, parents
        )  # fmt: skip
    elif kind.name == "drill":
        why = drill_fault(load_drill(raw, key), claim, cluster)
    else:
        dump = load_dump(raw, key)
        whose = repository.layout.dump_prefix(dump.database)[len(repository.layout.dumps) : -1]
        why = copy_fault(kind.part, dump.cluster, dump.label, dump.created_at, claim, whose, cluster)
    if why:
        raise implausible(key, why)
    return promised(kind, raw, key), tuple(f"{copy.name.rsplit('/', 1)[0]}/{label}" for label in parents)
