# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one repository lacks of another. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..store.protocol import ObjectInfo
from .kinds import Kind, kind_of
from .layout import clear_name, is_sealed, sealed_name

# Whose it is comes first; what makes a backup or copy exist comes last, after the WAL that it needs.
_RANKS = {"core": 0, "history": 1, "wal": 2, "backup": 3, "files": 3, "hold": 5}
_RECORD = 4
# What is the same bytes in every repository. WAL may be compressed in another way.
_SAME = ("backup", "files", "history")


@dataclass(frozen=True)
class Lacking:
    """An object to copy, what it is, and of a backup or of a copy of a file set whose it is."""

    info: ObjectInfo
    kind: Kind

    @property
    def owner(self) -> Optional[Tuple[str, str]]:
        """``backup`` or the file set's name, and the label; None for all else."""
        kind = self.kind
        return {"backup": ("backup", kind.owner), "files": (f"files {kind.part}", kind.owner)}.get(kind.name)


@dataclass(frozen=True)
class Lag:
    """What is to be copied, in its order, and the keys that hold something else in the two."""

    lacking: Tuple[Lacking, ...]
    conflicts: Tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Of all that is to be copied."""
        return sum(item.info.size for item in self.lacking)


def find_lag(cluster: str, source: Iterable[ObjectInfo], target: Mapping[str, int]) -> Lag:
    """What ``target`` (sizes by key) lacks of ``source``.

    Backups and copies without a record, leases and foreign objects are not copied. An object of another size is a
    conflict: it is told and left, since nothing is ever replaced.
    """
    lacking: List[Lacking] = []
    conflicts: List[str] = []
    finished: Set[Tuple[str, str]] = set()
    for info in source:
        item = Lacking(info, kind_of(cluster, info.key))
        if item.kind.name not in _RANKS:
            continue
        if item.kind.record and item.owner:
            finished.add(item.owner)
        if info.key not in target:
            # A segment has one form in a repository: the other one has its content.
            if not (item.kind.segment and _other_form(info.key) in target):
                lacking.append(item)
        elif target[info.key] != info.size and item.kind.name in _SAME:
            conflicts.append(info.key)
    wanted = [item for item in lacking if item.owner is None or item.owner in finished]
    wanted.sort(key=lambda item: (_rank(item.kind), item.info.key))
    return Lag(tuple(wanted), tuple(sorted(conflicts)))


def _other_form(key: str) -> str:
    return clear_name(key) if is_sealed(key) else sealed_name(key)


def _rank(kind: Kind) -> int:
    return _RECORD if kind.record else _RANKS[kind.name]


def by_owner(lacking: Iterable[Lacking]) -> Dict[str, int]:
    """How many objects are lacking of what, for people."""
    found: Dict[str, int] = {}
    for item in lacking:
        word = " ".join(item.owner) if item.owner else item.kind.name
        found[word] = found.get(word, 0) + 1
    return found
