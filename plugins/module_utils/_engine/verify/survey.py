# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sort the keys in a repository, from one listing, into records, WAL files and foreign objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Iterable, Iterator, List, Set

from ..repository.kinds import kind_of
from ..repository.layout import Layout
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo

#: The kinds of the small records that are never removed.
LASTING = ("core", "hold", "release", "report", "erasure", "epoch", "incident")
#: What to do with objects that are not Lifeboat's.
SET_APART = (
    "Find out who put them there, and set them apart (docs/ransomware.md). Lifeboat never reads or removes them."
)
_NAMED = 20
_TOLD = 3
# Prefixes that may have a hundred thousand objects, not listed by the quick search.
_LARGE = ("wal/", "logs/", "audit/")


@dataclass
class Foreign:
    """Objects below the cluster's prefix that Lifeboat does not write: their number and the first keys."""

    count: int = 0
    keys: List[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.keys) < _NAMED:
            self.keys.append(key)

    def as_dict(self) -> Dict[str, Any]:
        return {"count": self.count, "keys": list(self.keys)}


def words_of(foreign: Foreign) -> str:
    """The count and the first keys, as text."""
    more = ", …" if foreign.count > _TOLD else ""
    return f"{foreign.count} objects are not Lifeboat's: {', '.join(foreign.keys[:_TOLD])}{more}"


@dataclass
class Survey:
    """``records``: the small permanent ones, and ``histories``: timeline histories and their digests, by key with the
    store's time. ``extras``: ``.backup`` and ``.partial`` files of WAL. ``digests``: the keys of the digests of sealed
    WAL. ``systems``: the system identifiers that have WAL.

    Memory: about 200 bytes for each sealed segment.
    """

    records: Dict[str, datetime] = field(default_factory=dict)
    histories: Dict[str, datetime] = field(default_factory=dict)
    extras: List[ObjectInfo] = field(default_factory=list)
    digests: Set[str] = field(default_factory=set)
    systems: Set[str] = field(default_factory=set)
    foreign: Foreign = field(default_factory=Foreign)


def survey(repository: Repository) -> Survey:
    """List everything below the cluster's prefix."""
    return sort_out(repository.layout, repository.store.list(f"{repository.layout.cluster}/"))


def sort_out(layout: Layout, objects: Iterable[ObjectInfo]) -> Survey:
    """Sort these objects by their keys. Pure."""
    found = Survey()
    digests: Dict[str, str] = {}
    for info in objects:
        kind = kind_of(layout.cluster, info.key)
        if kind.name in LASTING:
            found.records[info.key] = info.modified
        elif kind.name == "history":
            found.systems.add(kind.owner)
            found.histories[info.key] = info.modified
        elif kind.name == "wal":
            found.systems.add(kind.owner)
            prefix = digests.setdefault(kind.owner, layout.wal_digests(kind.owner))
            if info.key.startswith(prefix):
                found.digests.add(info.key)
            elif not (kind.segment or kind.piece or kind.mark):
                found.extras.append(info)
        elif kind.name == "foreign":
            found.foreign.add(info.key)
    return found


def look_for_foreign(repository: Repository) -> Foreign:
    """The foreign objects as of :func:`survey`, listing only the upper levels of WAL, logs and events."""
    layout, found = repository.layout, Foreign()
    for key in _quick(repository):
        if kind_of(layout.cluster, key).name == "foreign":
            found.add(key)
    return found


def _quick(repository: Repository) -> Iterator[str]:
    root = f"{repository.layout.cluster}/"
    for name in repository.store.list_names(root):
        if not name.endswith("/"):
            yield root + name
        elif name not in _LARGE:
            yield from (info.key for info in repository.store.list(root + name))
    for system in repository.store.list_names(repository.layout.wal_systems):
        below = repository.layout.wal_systems + system
        if not system.endswith("/"):
            yield below
        else:
            yield from (below + name for name in repository.store.list_names(below) if not name.endswith("/"))
