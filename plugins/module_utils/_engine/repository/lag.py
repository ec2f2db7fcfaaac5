# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one repository lacks compared with another. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..store.protocol import ObjectInfo
from .kinds import Kind, kind_of
from .layout import Layout

Owner = Tuple[str, str, str]

# Whose it is comes first; what makes a backup or copy exist comes last, after the WAL that it needs.
_RANKS = {
    "core": 0, "history": 1, "epoch": 1, "wal": 3, "backup": 4, "files": 4, "dump": 4, "diverged": 4,
    "hold": 6, "report": 6, "erasure": 6, "audit": 7, "log": 8,
}  # fmt: skip
# That WAL is acknowledged comes before it: what is not copied yet is known to be missing.
_MARK, _RECORD = 2, 5
# What is the same bytes in every repository. WAL may be compressed in another way.
_SAME = ("backup", "files", "dump", "history", "erasure", "epoch", "diverged", "audit", "log")


@dataclass(frozen=True)
class Lacking:
    """An object to copy, what it is, and of a backup, a copy of a file set or a dump whose it is."""

    info: ObjectInfo
    kind: Kind

    @property
    def owner(self) -> Optional[Owner]:
        """Of a backup ``backup``, an empty word and its label; of a copy ``files``, its set and label; of a dump
        ``dump``, its database and label; else None.
        """
        kind = self.kind
        if kind.name not in ("backup", "files", "dump"):
            return None
        return kind.name, "" if kind.name == "backup" else kind.part, kind.owner


@dataclass(frozen=True)
class Lag:
    """What is to be copied, in its order, and the keys that hold something else in the two.

    Of ``doubtful`` ones the listings tell other bytes, which may hold the same content.
    """

    lacking: Tuple[Lacking, ...]
    conflicts: Tuple[str, ...]
    doubtful: Tuple[Lacking, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all that is to be copied."""
        return sum(item.info.size for item in self.lacking)


def find_lag(
    cluster: str, source: Iterable[ObjectInfo], target: Mapping[str, int], digests: Optional[Mapping[str, str]] = None
) -> Lag:
    """What ``target`` (sizes by key, and MD5s where they are known) lacks of ``source``.

    Backups and copies without a record, pieces of complete segments, leases and foreign objects are not copied. An
    object of another size is a conflict: it is reported and left alone, since nothing is ever replaced.
    """
    lacking: List[Lacking] = []
    conflicts: List[str] = []
    finished: Set[Owner] = set()
    complete: Set[Tuple[str, str]] = set()
    doubtful: List[Lacking] = []
    layout = Layout(cluster)
    for info in source:
        item = Lacking(info, kind_of(cluster, info.key))
        if item.kind.name not in _RANKS:
            continue
        if item.kind.record and item.owner:
            finished.add(item.owner)
        if item.kind.segment:
            complete.add((item.kind.owner, item.kind.part))
        if info.key not in target:
            # A segment has one form in a repository: the other one has its content.
            forms = layout.wal_forms(item.kind.owner, item.kind.part) if item.kind.segment else ()
            if not any(form in target for form in forms):
                lacking.append(item)
        elif target[info.key] != info.size and item.kind.name in _SAME:
            conflicts.append(info.key)
        elif _differs(item, target[info.key], (digests or {}).get(info.key)):
            doubtful.append(item)
    wanted = [
        item
        for item in lacking
        if (item.owner is None or item.owner in finished)
        and not (item.kind.piece and (item.kind.owner, item.kind.part) in complete)
    ]
    wanted.sort(key=lambda item: (_rank(item.kind), item.info.key))
    return Lag(tuple(wanted), tuple(sorted(conflicts)), tuple(doubtful))


def _differs(item: Lacking, size: int, md5: Optional[str]) -> bool:
    """Whether the listings tell of other bytes, where the same are expected; a piece goes once its segment is there."""
    if item.kind.piece or (item.kind.name != "wal" and item.kind.name not in _SAME):
        return False
    return item.info.size != size or (None not in (md5, item.info.md5) and md5 != item.info.md5)


def _rank(kind: Kind) -> int:
    return _RECORD if kind.record else _MARK if kind.mark else _RANKS[kind.name]


def by_owner(lacking: Iterable[Lacking]) -> Dict[str, int]:
    """How many objects are lacking of what, for people."""
    found: Dict[str, int] = {}
    for item in lacking:
        word = " ".join(filter(None, item.owner)) if item.owner else item.kind.name
        found[word] = found.get(word, 0) + 1
    return found
