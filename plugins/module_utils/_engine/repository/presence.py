# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the files that a record names exist, immediately before it is stored."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Sequence

from ..base.errors import FilesVanished
from ..records.model import ArchiveFile
from .plausible import misfits
from .repository import Repository


def put_records(
    repositories: Sequence[Repository], key: str, record: Mapping[str, Any], files: Iterable[ArchiveFile]
) -> None:
    """Store the record that names ``files`` in each repository, after checking that all of them have these files."""
    named = tuple(files)
    for repository in repositories:
        require_present(repository, key, named)
    for repository in repositories:
        repository.put_record(key, record)


def require_present(repository: Repository, record: str, files: Iterable[ArchiveFile]) -> None:
    """FilesVanished unless the store lists all these files, with their sizes, beside ``record``. One listing."""
    directory = record.rsplit("/", 1)[0]
    sizes = {info.key[len(directory) + 1 :]: info.size for info in repository.store.list(f"{directory}/")}
    lost = missing(files, sizes)
    if lost:
        raise FilesVanished(
            f"{directory} in repository {repository.location} is incomplete and gets no record: {'; '.join(lost)}.",
            "Find out what removes objects there (a prune of an older release, a lifecycle rule), then try again.",
            key=record,
            files=lost,
        )


def missing(files: Iterable[ArchiveFile], sizes: Mapping[str, int]) -> List[str]:
    """In words, which files are missing or have the wrong size, by the listed ``sizes``. Pure."""
    return [
        f"{file.name} is gone" if size is None else f"{file.name} has {size} bytes, not {file.size}"
        for file, size in misfits(files, sizes)
    ]
