# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that one repository lacks compared with another. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..store.protocol import ObjectInfo
from .kinds import Kind, kind_of
from .layout import Layout

Owner = Tuple[str, str, str]

# The owner first; the record that makes a backup or copy exist last, after the WAL that it needs.
_RANKS = {
    "core": 0, "history": 1, "epoch": 1, "wal": 3, "backup": 4, "files": 4, "dump": 4,
    "drill": 4, "diverged": 4, "hold": 6, "report": 6, "erasure": 6, "incident": 6, "audit": 7, "log": 8,
}  # fmt: skip
# The acknowledgement before its WAL, so that WAL not yet copied is known to be missing.
_MARK, _RECORD = 2, 5
# Objects with the same bytes in every repository. WAL may be compressed differently, and repositories that did not see
# each other may have different events of an incident under the same number.
_SAME = ("backup", "files", "dump", "drill", "history", "erasure", "epoch", "diverged", "audit", "log")


@dataclass(frozen=True)
class Lacking:
    """An object to copy, its kind, and the backup, copy of a file set or dump that it belongs to."""

    info: ObjectInfo
    kind: Kind

    @property
    def owner(self) -> Optional[Owner]:
        """For a backup ``backup`` or a drill ``drill``, an empty string and its label; for a copy ``files``, its set
        and label; for a dump ``dump``, its database and label; otherwise None.
        """
        kind = self.kind
        if kind.name not in ("backup", "files", "dump", "drill"):
            return None
        return kind.name, "" if kind.name in ("backup", "drill") else kind.part, kind.owner


@dataclass(frozen=True)
class Lag:
    """The objects to copy, in order, and the keys whose objects differ between the two.

    ``doubtful``: different bytes according to the listings, but possibly the same content.
    """

    lacking: Tuple[Lacking, ...]
    conflicts: Tuple[str, ...]
    doubtful: Tuple[Lacking, ...] = ()

    @property
    def bytes(self) -> int:
        """The total size of the objects to copy."""
        return sum(item.info.size for item in self.lacking)


def find_lag(
    cluster: str, source: Iterable[ObjectInfo], target: Mapping[str, int], digests: Optional[Mapping[str, str]] = None
) -> Lag:
    """The objects of ``source`` that ``target`` (sizes by key, and MD5s if known) lacks.

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
            # A repository has a segment in one form only: the other form has the same content.
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
    """Whether the listings show different bytes although equal ones are expected; pieces may disappear meanwhile."""
    if item.kind.piece or (item.kind.name != "wal" and item.kind.name not in _SAME):
        return False
    return item.info.size != size or (None not in (md5, item.info.md5) and md5 != item.info.md5)


def _rank(kind: Kind) -> int:
    return _RECORD if kind.record else _MARK if kind.mark else _RANKS[kind.name]


def by_owner(lacking: Iterable[Lacking]) -> Dict[str, int]:
    """The number of missing objects by owner, in words."""
    found: Dict[str, int] = {}
    for item in lacking:
        word = " ".join(filter(None, item.owner)) if item.owner else item.kind.name
        found[word] = found.get(word, 0) + 1
    return found
