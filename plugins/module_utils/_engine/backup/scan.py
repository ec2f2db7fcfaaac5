# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List what a base backup has to copy from a data directory of this host and its tablespaces."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

from ..postgres.left_out import emptied, is_version_directory, kept

_SPACES = "pg_tblspc"


@dataclass(frozen=True)
class Listed:
    """A file to copy: its path below the data directory (or ``pg_tblspc/<oid>``), its tablespace and size in bytes."""

    path: str
    size: int
    tablespace: Optional[str] = None


@dataclass(frozen=True)
class Directory:
    """A directory to create: its path as in :class:`.Listed`, with its mode, owner and time."""

    path: str
    found: os.stat_result
    tablespace: Optional[str] = None


@dataclass(frozen=True)
class Contents:
    """Files, directories (parents first), and the OIDs of tablespaces, whose links are in ``tablespace_map``."""

    files: Tuple[Listed, ...]
    directories: Tuple[Directory, ...]
    tablespaces: Tuple[str, ...]


@dataclass
class _Walk:
    """Lists a tree without following links. Names that vanish meanwhile are left out, as everything irregular is."""

    data_dir: str
    version_num: int
    files: List[Listed] = field(default_factory=list)
    directories: List[Directory] = field(default_factory=list)

    def walk(self, path: str, tablespace: Optional[str] = None) -> None:
        """Everything below a directory: ``path`` is relative to the data directory, ``""`` for that itself."""
        entries = self._entries(path)
        for name in kept(path, entries):
            below = f"{path}/{name}" if path else name
            if below != _SPACES:
                with contextlib.suppress(FileNotFoundError):
                    self._add(below, entries[name].stat(follow_symlinks=False), tablespace)

    def _add(self, path: str, found: os.stat_result, tablespace: Optional[str]) -> None:
        empty = emptied(path, self.version_num)
        if empty is not None and not stat.S_ISREG(found.st_mode):
            # In place of a link there will be a directory.
            real = os.stat(os.path.join(self.data_dir, path))
            self.directories += [
                Directory(f"{path}/{name}" if name else path, real, tablespace) for name in ("", *empty)
            ]
        elif stat.S_ISDIR(found.st_mode):
            self.directories.append(Directory(path, found, tablespace))
            self.walk(path, tablespace)
        elif stat.S_ISREG(found.st_mode):
            self.files.append(Listed(path, found.st_size, tablespace))

    def _entries(self, path: str) -> Dict[str, os.DirEntry[str]]:
        with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(self.data_dir, path)) as found:
            return {entry.name: entry for entry in found}
        return {}


def scan(data_dir: str, version_num: int) -> Contents:
    """List the data directory and every tablespace. Memory: about 300 bytes for each file."""
    walk = _Walk(data_dir, version_num)
    spaces: List[str] = []
    walk.walk("")
    top = os.path.join(data_dir, _SPACES)
    walk.directories.append(Directory(_SPACES, os.stat(top)))
    for oid in sorted(os.listdir(top)):
        path = os.path.join(top, oid)
        if not oid.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError):
            spaces.append(oid)
            for name in sorted(os.listdir(path)):
                below = f"{_SPACES}/{oid}/{name}"
                if is_version_directory(below) and _of_version(name, version_num):
                    walk.directories.append(Directory(below, os.lstat(os.path.join(data_dir, below)), oid))
                    walk.walk(below, oid)
    return Contents(tuple(walk.files), tuple(walk.directories), tuple(spaces))


def _of_version(name: str, version_num: int) -> bool:
    return name.startswith(f"PG_{version_num // 10000}_")
