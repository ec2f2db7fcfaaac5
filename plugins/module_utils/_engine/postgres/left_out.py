# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a base backup leaves out of a data directory, exactly as ``BASE_BACKUP`` of PostgreSQL 15 to 18 does.

PostgreSQL manual, "Making a Base Backup Using the Low Level API"; source ``basebackup.c``: ``excludeFiles``,
``excludeDirContents`` and ``sendDir``. Paths are relative to the data directory, with ``pg_tblspc/<oid>/…`` for
tablespaces. All decisions are pure.
"""

from __future__ import annotations

import re
from typing import Collection, List, Optional, Tuple

#: The control file, which is copied last.
CONTROL_FILE = "global/pg_control"
#: What the server writes for a backup itself, so that one that is lying around belongs to another backup.
LABEL_FILE, MAP_FILE = "backup_label", "tablespace_map"

_FILES = frozenset(
    (
        "postgresql.auto.conf.tmp",
        "current_logfiles.tmp",
        LABEL_FILE,
        MAP_FILE,
        "backup_manifest",
        "postmaster.pid",
        "postmaster.opts",
        # Of macOS.
        ".DS_Store",
    )
)
_PREFIXES = ("pgsql_tmp", "pg_internal.init")
# Their contents are recreated at a start; the directories themselves are needed.
_EMPTIED = frozenset(
    ("pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans")
)
_SPACE = re.compile(r"pg_tblspc/[0-9]+/PG_[0-9]+_[0-9]+\Z", re.ASCII)
_DATABASE = re.compile(r"(?:base|pg_tblspc/[0-9]+/PG_[0-9]+_[0-9]+)/[0-9]+\Z", re.ASCII)
_TEMPORARY = re.compile(r"t[0-9]+_[0-9]+(?:_(?:init|fsm|vm))?(?:\.[0-9]+)?\Z", re.ASCII)
_RELATION = re.compile(r"([1-9][0-9]{0,9})(?:_(init|fsm|vm))?(?:\.([1-9][0-9]*))?\Z", re.ASCII)


def kept(directory: str, names: Collection[str]) -> List[str]:
    """The names in a directory that belong into a backup, sorted; ``pg_control``, which comes last, is not among them.

    ``directory`` is ``""`` for the data directory itself.
    """
    found = [n for n in names if n not in _FILES and not n.startswith(_PREFIXES)]
    if directory == "global":
        found = [n for n in found if n != "pg_control"]
    if _DATABASE.match(directory):
        found = [n for n in found if not _TEMPORARY.match(n) and not _of_unlogged(n, names)]
    return sorted(found)


def _of_unlogged(name: str, names: Collection[str]) -> bool:
    """Whether the server empties this file at a start: a fork of an unlogged relation, except the initial one."""
    match = _RELATION.match(name)
    return bool(match and match.group(2) != "init" and f"{match.group(1)}_init" in names)


def emptied(path: str, version_num: int) -> Optional[Tuple[str, ...]]:
    """The empty subdirectories to store of a directory whose contents are left out; None: its contents are kept.

    Such a directory may also be a link to one.
    """
    if path == "pg_wal":
        return ("archive_status", "summaries") if version_num >= 170000 else ("archive_status",)
    return () if path.rsplit("/", 1)[-1] in _EMPTIED else None


def is_version_directory(path: str) -> bool:
    """Whether this is the directory of one major version in a tablespace, the only one that a backup has."""
    return bool(_SPACE.match(path))


def first_block(path: str, blocks_in_segment: int) -> Optional[int]:
    """The number of the first page of a file of a relation; None for a file without checksums of pages."""
    directory, _slash, name = path.rpartition("/")
    match = _RELATION.match(name)
    if not match or not (directory == "global" or _DATABASE.match(directory)):
        return None
    return int(match.group(3) or 0) * blocks_in_segment
