# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy that a new copy of a file set is based on, and its members.

A sealing host need not be able to open its own objects. So it keeps the index of the newest copy of an incremental
set, which names files of this host, in its spool: ``<spool>/file_sets/<set>``, readable only by its owner. If the spool
belongs to PostgreSQL, root keeps the index below ``/var/lib/lifeboat/file_sets/<cluster>`` instead.
"""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Dict, Iterable, List, Optional

from ..base.errors import LifeboatError, UntrustedPath
from ..base.files import make_directory, open_to_read, replace_file, root_alone_writes
from ..codec.zstd import decompress_stream
from ..config.load import FileSetConfig
from ..repository.file_sets import FileSetBackup, list_files
from ..repository.labels import begun
from ..repository.repository import Repositories, Repository
from .index import as_lines, digest_of, load_members

_KEPT = "file_sets"
_STATE = "/var/lib/lifeboat"


def find_newest(repositories: Repositories, chosen: FileSetConfig) -> Optional[FileSetBackup]:
    """The newest copy, if every required repository has it and its parents, and it fits the current configuration."""
    held = [list_files(repository, chosen.name) for repository in repositories.required]
    newest = [copies[-1] for copies in held if copies]
    if len(newest) < len(held) or len({(copy.label, copy.content_sha256) for copy in newest}) != 1:
        return None
    copy = newest[0]
    if not copy.content_sha256 or any(not set(copy.parents) <= {c.label for c in copies} for copies in held):
        return None
    wanted = (chosen.paths, chosen.excludes, tuple(repositories.seal.recipients))
    return copy if (copy.paths, copy.excludes, copy.recipients) == wanted else None


def is_due(chosen: FileSetConfig, copy: FileSetBackup, now: datetime) -> bool:
    """Whether the next copy must be full, because the oldest copy that this one is based on is too old. Pure."""
    oldest = begun(min([copy.label, *copy.parents]))
    return oldest is None or now - oldest >= timedelta(days=chosen.full_days)


def read_members(repository: Repository, copy: FileSetBackup) -> List[Dict[str, Any]]:
    """The lines of its index, including members in other copies. Memory: about 500 bytes for each."""
    if copy.index is None:
        return []
    key = repository.layout.file_set(copy.file_set, copy.label, copy.index.name)
    return load_members(decompress_stream(repository.read(key, copy.index), key), key)


def find_members(
    repositories: Repositories, copy: FileSetBackup, spool_dir: Optional[str]
) -> Optional[List[Dict[str, Any]]]:
    """The members of the copy, from the kept index or a repository; None unless one of them matches the copy."""
    if spool_dir:
        with contextlib.suppress(OSError, ValueError, KeyError, UntrustedPath):
            with open_to_read(_kept(spool_dir, copy)) as stream:
                label, *lines = stream.read().splitlines()
            members = [json.loads(line) for line in lines]
            if label.decode() == copy.label and digest_of(members) == copy.content_sha256:
                return members
    for repository in repositories.required:
        with contextlib.suppress(LifeboatError):
            members = read_members(repository, copy)
            if digest_of(members) == copy.content_sha256:
                return members
    return None


def keep_members(spool_dir: Optional[str], copy: FileSetBackup, members: Iterable[Dict[str, Any]]) -> None:
    """Keep the members for the next copy. Failures are ignored, because the repositories have the index."""
    if not spool_dir:
        return
    path = _kept(spool_dir, copy)
    with contextlib.suppress(OSError, UntrustedPath):
        make_directory(os.path.dirname(path))
        replace_file(path, chain([f"{copy.label}\n".encode()], as_lines(members)))


def _kept(spool_dir: str, copy: FileSetBackup) -> str:
    if root_alone_writes(spool_dir):
        return os.path.join(spool_dir, _KEPT, copy.file_set)
    return os.path.join(_STATE, _KEPT, copy.cluster, copy.file_set)
