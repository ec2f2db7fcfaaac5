# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a copy of a file set: what makes it exist."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .errors import ObjectCorrupt, ObjectMissing
from .model import FORMAT, ArchiveFile, format_time, open_record, parse_time
from .repository.layout import CHANGES, MANIFEST, type_of
from .repository.repository import Repository


@dataclass(frozen=True)
class FileSetBackup:
    """One stored copy of a file set. ``data_size`` is that of the tar archive, in bytes.

    ``index`` names each of its ``members`` with owner, mode, ACL and the digest of its content; ``content_sha256`` is
    the digest of all that. ``unsettled`` are tar's words about files that changed while they were read, three times.
    ``parents`` are the labels of the copies that hold what did not change since.
    """

    label: str
    file_set: str
    cluster: str
    host: str
    created_at: datetime
    paths: Tuple[str, ...]
    excludes: Tuple[str, ...]
    data_size: int
    file: ArchiveFile
    recipients: Tuple[str, ...] = ()
    index: Optional[ArchiveFile] = None
    content_sha256: str = ""
    members: int = 0
    unsettled: Tuple[str, ...] = ()
    parents: Tuple[str, ...] = ()

    @property
    def files(self) -> Tuple[ArchiveFile, ...]:
        """What is stored beside the record."""
        return (self.file, self.index) if self.index else (self.file,)

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it."""
        return {
            "format": FORMAT,
            **asdict(self),
            "created_at": format_time(self.created_at),
            "paths": list(self.paths),
            "excludes": list(self.excludes),
            "recipients": list(self.recipients),
            "unsettled": list(self.unsettled),
            "parents": list(self.parents),
        }


def load_copy(raw: bytes, key: str) -> FileSetBackup:
    """The record of these bytes; ObjectCorrupt (naming ``key``) when anything is off."""
    data = open_record(raw, key)
    fields = {k: v for k, v in data.items() if k not in ("sha256", "format")}
    try:
        return FileSetBackup(
            **{
                **fields,
                "created_at": parse_time(fields["created_at"]),
                "paths": tuple(fields["paths"]),
                "excludes": tuple(fields["excludes"]),
                "file": ArchiveFile(**fields["file"]),
                "recipients": tuple(fields.get("recipients", ())),
                "unsettled": tuple(fields.get("unsettled", ())),
                "parents": tuple(fields.get("parents", ())),
                "index": ArchiveFile(**fields["index"]) if fields.get("index") else None,
            }
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ObjectCorrupt(
            f"{key} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=key
        ) from exc


def list_files(repository: Repository, name: str) -> List[FileSetBackup]:
    """The finished copies of a file set, oldest first."""
    found = []
    for entry in repository.store.list_names(repository.layout.file_set_prefix(name)):
        key = repository.layout.file_set(name, entry.rstrip("/"), MANIFEST)
        try:
            found.append(load_copy(repository.store.get(key), key))
        except ObjectMissing:
            continue
    return sorted(found, key=lambda b: b.label)


def choose_copy(
    copies: Sequence[FileSetBackup], label: Optional[str] = None, at: Optional[datetime] = None
) -> Optional[FileSetBackup]:
    """Of copies from oldest to newest: ``label``'s, or the newest that existed at ``at``, or the newest. Pure.

    Before the first copy there is only the oldest to take: it is the nearest to what was there then.
    """
    if label is not None:
        return next((c for c in copies if c.label == label), None)
    earlier = [c for c in copies if at is None or c.created_at <= at]
    return [*copies[:1], *earlier][-1] if copies else None


def read_parents(repository: Repository) -> Dict[Tuple[str, str], Tuple[str, ...]]:
    """By set and label the copies that others hold a part of: what stays because of them. One get for each of these.

    Of a record that cannot be read every earlier copy of the set may be needed.
    """
    layout, found = repository.layout, {}
    for name in [n.rstrip("/") for n in repository.store.list_names(layout.files)]:
        labels = [n.rstrip("/") for n in repository.store.list_names(layout.file_set_prefix(name))]
        for label in labels:
            if type_of(label) != CHANGES:
                continue
            key = layout.file_set(name, label, MANIFEST)
            try:
                found[name, label] = load_copy(repository.store.get(key), key).parents
            except ObjectMissing:
                continue
            except ObjectCorrupt:
                found[name, label] = tuple(earlier for earlier in labels if earlier < label)
    return found
