# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what ``tar --compare`` ignores: ACLs, extended attributes, and hard links."""

from __future__ import annotations

import os
import tempfile
from typing import Dict, List, Sequence, Set

from ..base.errors import ProcessFailed
from ..base.process import Drain
from .changes import TAR, Member, listed, tar_name
from .index import Indexer

# Attributes that tar keeps (--acls, --xattrs); SELinux labels belong to the host.
_KEPT = ("user.", "system.posix_acl_")


def attribute_differences(members: Sequence[Member], target: str) -> List[bytes]:
    """The names of files and directories below ``target`` whose ACL or attributes differ from the index.

    Only files with any attributes, on disk or in the index, are read. Files that cannot be read are not compared.
    """
    chosen = {tar_name(m): m for m in members if m["kind"] in ("file", "directory") and _has_any(m, target)}
    if not chosen:
        return []
    with listed(list(chosen)) as named, tempfile.TemporaryFile() as words, Indexer() as indexer:
        argv = [*TAR[:-1], f"--directory={target}", "--file=-", "--create", "--sparse", *named]
        try:
            for chunk in Drain(argv, words, accept=(0, 1)).chunks():
                indexer.write(chunk)
        except ProcessFailed:
            return []
        now = {tar_name(m): m.get("attributes", {}) for m in indexer.finish()}
    return sorted(name for name, m in chosen.items() if name in now and now[name] != m.get("attributes", {}))


def _has_any(member: Member, target: str) -> bool:
    place = os.path.join(os.fsencode(target), tar_name(member))
    try:
        there = os.listxattr(place, follow_symlinks=False)
    except OSError:
        return False  # It does not exist, which tar reports, or its file system has no attributes.
    return bool(member.get("attributes")) or any(name.startswith(_KEPT) for name in there)


def link_groups(members: Sequence[Member]) -> List[Set[bytes]]:
    """For each file with hard links, the set of its names. Pure."""
    found: Dict[bytes, Set[bytes]] = {}
    names = {str(member["path"]): tar_name(member) for member in members}
    for member in members:
        if member["kind"] == "hardlink":
            first = names.get("/" + str(member.get("target", "")).strip("/"), b"")
            found.setdefault(first, {first}).add(tar_name(member))
    return list(found.values())
