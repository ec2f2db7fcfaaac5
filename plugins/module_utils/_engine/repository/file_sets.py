# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a copy of a file set: without it, the copy does not exist."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..records.fields import LABEL, MOST_SMALL
from ..records.model import FORMAT, MOST_BYTES, ArchiveFile, format_time, open_fields, read_file
from .labels import label_order
from .layout import FILE_SET_DATA, FILE_SET_INDEX
from .plausible import Claim, copy_fault, lacking
from .records import Aside, read_labelled
from .repository import Repository


@dataclass(frozen=True)
class FileSetBackup:
    """One stored copy of a file set. ``data_size`` is that of the tar archive, in bytes.

    ``index`` lists the ``members`` with owner, mode, ACL and digest of the content; ``content_sha256`` is the digest of
    the index. ``unsettled`` are tar's messages about files that changed while they were read, in three attempts.
    ``parents`` are the labels of the copies that contain the unchanged members.
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
        """The stored files beside the record."""
        return (self.file, self.index) if self.index else (self.file,)

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON-serializable data."""
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


_DIGEST = re.compile(r"(?:[0-9a-f]{64})?\Z")
_DATA = re.compile(rf"{re.escape(FILE_SET_DATA)}(?:\.age)?\Z")
_INDEX = re.compile(rf"{re.escape(FILE_SET_INDEX)}(?:\.age)?\Z")
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")


def load_copy(raw: bytes, key: str) -> FileSetBackup:
    """The record of these bytes; ObjectCorrupt (naming ``key``) if anything is wrong."""
    fields = open_fields(raw, key)
    return FileSetBackup(
        label=fields.text("label", LABEL),
        file_set=fields.text("file_set", _SET),
        cluster=fields.text("cluster", most=255),
        host=fields.text("host", most=255),
        created_at=fields.moment("created_at"),
        paths=fields.texts("paths"),
        excludes=fields.texts("excludes"),
        data_size=fields.integer("data_size", 0, MOST_BYTES),
        file=read_file(fields.inner("file"), _DATA),
        recipients=fields.texts("recipients", default=()),
        index=read_file(fields.inner("index"), _INDEX) if fields.has("index") else None,
        content_sha256=fields.text("content_sha256", _DIGEST, default=""),
        members=fields.integer("members", default=0),
        unsettled=fields.texts("unsettled", most=MOST_SMALL, default=()),
        parents=fields.texts("parents", LABEL, default=()),
    )


def list_files(repository: Repository, name: str) -> List[FileSetBackup]:
    """The finished copies of a file set, oldest first, except damaged and implausible ones."""
    return read_copies(repository, name)[0]


def read_copies(repository: Repository, name: str) -> Tuple[List[FileSetBackup], List[Aside]]:
    """The finished copies as :func:`list_files`, and those that were set apart."""
    layout = repository.layout

    def fault(copy: FileSetBackup, claim: Claim, sizes: Mapping[str, int]) -> Optional[str]:
        return lacking(copy.files, sizes) or copy_fault(
            name, copy.cluster, copy.label, copy.created_at, claim, copy.file_set, layout.cluster, copy.parents
        )

    found, aside = read_labelled(repository, layout.file_set_prefix(name), load_copy, fault)
    return sorted(found, key=lambda b: label_order(b.label)), aside


def choose_copy(
    copies: Sequence[FileSetBackup], label: Optional[str] = None, at: Optional[datetime] = None
) -> Optional[FileSetBackup]:
    """The copy with this ``label``, or the newest one at the time ``at``, or the newest; ``copies`` in order. Pure.

    For a time before the first copy, the oldest is chosen, because it is the closest.
    """
    if label is not None:
        return next((c for c in copies if c.label == label), None)
    earlier = [c for c in copies if at is None or c.created_at <= at]
    return [*copies[:1], *earlier][-1] if copies else None
