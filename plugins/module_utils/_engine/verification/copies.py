# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of file sets, and dumps, as verification sees them: a record, and the files that it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from ..dump.record import load_dump
from ..file_record import load_copy
from ..model import ArchiveFile, load_manifest
from ..repository.kinds import Kind, kind_of
from ..repository.layout import MANIFEST
from ..repository.repository import Repository


@dataclass(frozen=True)
class Copy:
    """One copy or dump: ``name`` as ``files/SET/LABEL``, its files by key with their sizes in the listing.

    ``finished``: whether its record is there.
    """

    name: str
    files: Dict[str, int]
    finished: bool

    def record(self, cluster: str) -> str:
        """The key of its record."""
        return f"{cluster}/{self.name}/{MANIFEST}"


def promised(kind: Kind, raw: bytes, key: str) -> Tuple[ArchiveFile, ...]:
    """The files that a record of a backup, a copy of a file set or a dump names. Pure; ObjectCorrupt."""
    if kind.name == "backup":
        return load_manifest(raw, key).files
    if kind.name == "files":
        return load_copy(raw, key).files
    dump = load_dump(raw, key)
    return (dump.data, dump.globals)


def list_copies(repository: Repository) -> List[Copy]:
    """All of them, by one listing of each kind. Memory: about 500 bytes for each object."""
    cluster = repository.layout.cluster
    found: Dict[str, Dict[str, int]] = {}
    for prefix in (repository.layout.files, repository.layout.dumps):
        for info in repository.store.list(prefix):
            if kind_of(cluster, info.key).name in ("files", "dump"):
                directory = info.key[len(cluster) + 1 :].rsplit("/", 1)[0]
                found.setdefault(directory, {})[info.key] = info.size
    return [
        Copy(name, files, f"{cluster}/{name}/{MANIFEST}" in files) for name, files in sorted(found.items())
    ]


def wrong_sizes(repository: Repository, copy: Copy, files: Tuple[ArchiveFile, ...]) -> Optional[Tuple[str, str]]:
    """The first file that is not there in its size, and how that is said; None when all are. Pure."""
    for file in files:
        key = f"{repository.layout.cluster}/{copy.name}/{file.name}"
        if key not in copy.files:
            return key, "is not there"
        if copy.files[key] != file.size:
            return key, f"has {copy.files[key]} bytes instead of {file.size}"
    return None


def load_record(repository: Repository, copy: Copy) -> Tuple[Tuple[ArchiveFile, ...], Tuple[str, ...]]:
    """What its record promises, and the names of the copies that it is based on; raises as the store does, or
    ObjectCorrupt.
    """
    key = copy.record(repository.layout.cluster)
    kind, raw = kind_of(repository.layout.cluster, key), repository.store.get(key)
    parents = load_copy(raw, key).parents if kind.name == "files" else ()
    return promised(kind, raw, key), tuple(f"{copy.name.rsplit('/', 1)[0]}/{label}" for label in parents)
