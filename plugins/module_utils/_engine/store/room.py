# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much space a store has, if it can tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from ..base.files import open_directory
from ..config.store_options import DirectoryOptions, StoreOptions
from .directory.errors import bucket_missing, translated


@dataclass(frozen=True)
class Room:
    """Bytes: ``size`` is the total that ordinary users can fill, ``free`` the rest of it."""

    size: int
    free: int


def room_of(options: StoreOptions) -> Optional[Room]:
    """The space of a directory's file system (``fstatvfs``); None for object stores, which report no limit.

    BucketMissing, and the store's other errors.
    """
    if not isinstance(options, DirectoryOptions):
        return None
    root = os.path.abspath(options.path)
    try:
        with translated(root, "open", ""):
            top = open_directory(root)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise bucket_missing(root) from exc
    try:
        with translated(root, "statvfs", ""):
            found = os.fstatvfs(top)
    finally:
        os.close(top)
    # Like df: space reserved for root does not count.
    used = found.f_blocks - found.f_bfree
    return Room((used + found.f_bavail) * found.f_frsize, found.f_bavail * found.f_frsize)
