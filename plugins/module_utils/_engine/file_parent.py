# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy that a new one of a file set is based on, and what it has.

A host that seals need not be able to open what it sealed. So it keeps the index of the newest copy of an incremental
set, which names files of this host, in its spool: ``<spool>/file_sets/<set>``, readable by its owner only.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, List, Optional

from .codec.zstd import decompress_stream
from .config import FileSetConfig
from .errors import LifeboatError
from .file_index import as_lines, digest_of
from .file_record import FileSetBackup, list_files
from .repository.layout import begun
from .repository.repository import Repositories, Repository

_KEPT = "file_sets"


def find_newest(repositories: Repositories, chosen: FileSetConfig) -> Optional[FileSetBackup]:
    """The newest copy of the set as it is configured now, where every required repository has it and its parents."""
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
    """Whether the next copy holds everything: this one is based on what is too old. Pure."""
    oldest = begun(min([copy.label, *copy.parents]))
    return oldest is None or now - oldest >= timedelta(days=chosen.full_days)


def read_members(repository: Repository, copy: FileSetBackup) -> List[Dict[str, Any]]:
    """The lines of its index, whichever copy holds what they tell of. Memory: about 500 bytes for each."""
    if copy.index is None:
        return []
    key = repository.layout.file_set(copy.file_set, copy.label, copy.index.name)
    raw = b"".join(decompress_stream(repository.read(key, copy.index), key))
    return [json.loads(line) for line in raw.splitlines()]


def find_members(
    repositories: Repositories, copy: FileSetBackup, spool_dir: Optional[str]
) -> Optional[List[Dict[str, Any]]]:
    """What the copy has: as it was kept here, or from a repository; None where neither can be read, or is its own."""
    if spool_dir:
        with contextlib.suppress(OSError, ValueError, KeyError):
            with open(_kept(spool_dir, copy.file_set), "rb") as stream:
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
    """Keep them for the next copy. The repositories have them: a failure is none."""
    if not spool_dir:
        return
    path = _kept(spool_dir, copy.file_set)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), prefix=".", delete=False) as stream:
            stream.write(f"{copy.label}\n".encode())
            stream.writelines(as_lines(members))
        os.rename(stream.name, path)


def _kept(spool_dir: str, file_set: str) -> str:
    return os.path.join(spool_dir, _KEPT, file_set)
