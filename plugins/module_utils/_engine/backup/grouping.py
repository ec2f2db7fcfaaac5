# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Divide the files of a cluster into volumes: whole archives of whole files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

#: Bytes of files in a volume; a larger file has a volume of its own. PostgreSQL's files have at most 1 GiB.
VOLUME_SIZE = 2**30


@dataclass(frozen=True)
class Listed:
    """A file to copy: its path below the data directory (or ``pg_tblspc/<oid>``), its tablespace and size in bytes."""

    path: str
    size: int
    tablespace: Optional[str] = None


def group(files: Iterable[Listed], most: int = VOLUME_SIZE) -> List[Tuple[Listed, ...]]:
    """The volumes, large ones first, so that no worker begins a large one when the others have ended. Pure.

    A volume has the files of one tablespace, at most ``most`` bytes unless it is a single file. Of one tablespace no
    two volumes would fit into one (first-fit decreasing), so there are at most twice as many as necessary. In a
    volume, files are in the order of their paths, which is about that of the disk.
    """
    spaces: Dict[Optional[str], List[Listed]] = {}
    for file in files:
        spaces.setdefault(file.tablespace, []).append(file)
    volumes = [volume for space in spaces.values() for volume in _fill(space, most)]
    return sorted(volumes, key=lambda v: (-sum(f.size for f in v), v[0].tablespace or "", v[0].path))


def _fill(files: Sequence[Listed], most: int) -> List[Tuple[Listed, ...]]:
    volumes: List[List[Listed]] = []
    room: List[int] = []
    for file in sorted(files, key=lambda f: (-f.size, f.path)):
        # Only the last few volumes are tried: with 100,000 files, all of them would take too long.
        for i in range(max(0, len(volumes) - 16), len(volumes)):
            if file.size <= room[i]:
                volumes[i].append(file)
                room[i] -= file.size
                break
        else:
            volumes.append([file])
            room.append(most - file.size)
    return [tuple(sorted(volume, key=lambda f: f.path)) for volume in volumes]
