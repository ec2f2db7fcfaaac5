# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the small records below a prefix: one listing, and a get for each of them, several at a time.

An unreadable record does not affect the others: it is set apart, with an error that names it.
"""

from __future__ import annotations

import collections
import heapq
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, TypeVar

from ..base.errors import ObjectCorrupt, ObjectMissing, RecordImplausible
from ..records.fields import MOST_SMALL, Fields, printable
from ..records.model import open_record
from ..store.protocol import ObjectInfo
from .kinds import kind_of, record_kind
from .labels import stamp
from .layout import MANIFEST, stamp_of
from .plausible import Claim, implausible, late
from .repository import Repository

_Record = TypeVar("_Record")
_PARALLEL = 8
#: How many verifications, or reports of restore tests, are read if nothing is removed on their strength: those of a
#: hundred days with one each hour.
ENOUGH = 2500


@dataclass(frozen=True)
class StoredRecord:
    """A stored record: its entry in the listing, and its bytes; ``error``: why they were not read."""

    info: ObjectInfo
    raw: bytes
    error: Optional[ObjectCorrupt] = None

    @property
    def key(self) -> str:
        """Its key."""
        return self.info.key

    def fields(self) -> Fields:
        """The fields of the record; ObjectCorrupt."""
        if self.error is not None:
            raise self.error
        return Fields(open_record(self.raw, self.key, MOST_SMALL), self.key)


@dataclass
class Beside:
    """The listed objects of one label: sizes by name, and when its record was stored (None: it has none)."""

    sizes: Dict[str, int] = field(default_factory=dict)
    stored: Optional[datetime] = None


def list_beside(repository: Repository, prefix: str, foreign: Optional[List[str]] = None) -> Dict[str, Beside]:
    """The objects below ``prefix`` by label, in one listing; keys that Lifeboat never uses are added to ``foreign``."""
    found: Dict[str, Beside] = {}
    for info in repository.store.list(prefix):
        kind = kind_of(repository.layout.cluster, info.key)
        if kind.name not in ("backup", "files", "dump"):
            if foreign is not None:
                foreign.append(info.key)
            continue
        beside = found.setdefault(kind.owner, Beside())
        beside.sizes[info.key.rsplit("/", 1)[-1]] = info.size
        if kind.record:
            beside.stored = info.modified
    return found


@dataclass(frozen=True)
class Aside:
    """An object that was set apart: not read, or not trusted."""

    key: str
    error: ObjectCorrupt

    def as_dict(self) -> Dict[str, Any]:
        return {"key": printable(self.key), **self.error.as_dict()}


def read_labelled(
    repository: Repository,
    prefix: str,
    load: Callable[[bytes, str], _Record],
    fault: Callable[[_Record, Claim, Mapping[str, int]], Optional[str]],
) -> Tuple[List[_Record], List[Aside]]:
    """The finished copies or dumps below ``prefix``, and what was set apart: one listing, and a get for each record.

    ``load`` gives the record of the bytes under a key, or ObjectCorrupt. ``fault`` says what in a record contradicts
    the claim that its key makes, or the sizes of the files listed beside it.
    """
    found: List[_Record] = []
    aside: List[Aside] = []
    for label, beside in list_beside(repository, prefix).items():
        if beside.stored is None:
            continue
        key = f"{prefix}{label}/{MANIFEST}"
        try:
            record = load(repository.get_record(key), key)
            why = fault(record, Claim(key, label, beside.stored), beside.sizes)
            if why:
                raise implausible(key, why)
        except ObjectMissing:
            continue
        except ObjectCorrupt as exc:
            aside.append(Aside(key, exc))
        else:
            found.append(record)
    return found, aside


def foreign(key: str) -> Aside:
    """An object that Lifeboat did not put there."""
    return Aside(key, implausible(key, "no part of the repository has such a name"))


def read_records(repository: Repository, prefix: str) -> List[StoredRecord]:
    """Every record there, in the order of the listing, except those that have disappeared meanwhile."""
    return list(iterate_records(repository, prefix))


def iterate_records(repository: Repository, prefix: str, most: Optional[int] = None) -> Iterator[StoredRecord]:
    """The same, a few at a time; of records with a time in their keys only the newest ``most``.

    One more stands for all others and states how many were not read: a writer can store thousands.
    """
    infos = repository.store.list(prefix)
    if most is not None:
        newest, rest = newest_of(infos, most)
        infos = iter(newest)
        yield from rest
    yield from read_listed(repository, infos)


def read_listed(repository: Repository, infos: Iterable[ObjectInfo]) -> Iterator[StoredRecord]:
    """The records of these objects, a few at a time, in their order."""
    waiting = iter(infos)
    with ThreadPoolExecutor(_PARALLEL, "lifeboat-records") as pool:
        while batch := list(islice(waiting, 4 * _PARALLEL)):
            for found in pool.map(lambda info: read_one(repository, info), batch):
                if found is not None:
                    yield found


def newest_of(infos: Iterable[ObjectInfo], most: int) -> Tuple[List[ObjectInfo], List[StoredRecord]]:
    """The newest ``most`` by the times in their keys, in their original order, and a record that stands for the rest.

    A record whose key has a later time than it was stored will be set apart, and does not displace others. Pure.
    """
    newest: List[Tuple[str, str, ObjectInfo]] = []
    others = 0
    last: Optional[ObjectInfo] = None
    for info in infos:
        at = stamp_of(info.key)
        entry = ("" if at is None or late(at, info.modified) else stamp(at), info.key, info)
        heapq.heappush(newest, entry)
        if len(newest) > most:
            others, last = others + 1, heapq.heappop(newest)[2]
    kept = sorted((info for _stamp, _key, info in newest), key=lambda info: info.key)
    if last is None:
        return kept, []
    error = RecordImplausible(
        f"{printable(last.key)} and {others - 1} older ones were not read: there are more than {most}.",
        "Find out who stores so many of them. Retention reads them all anyway.",
        key=last.key,
    )
    return kept, [StoredRecord(last, b"", error)]


def read_one(repository: Repository, info: ObjectInfo) -> Optional[StoredRecord]:
    """The record of this object; None if it is gone."""
    # The key is enough: a writer can store thousands, and getting each would take minutes.
    if kind_of(repository.layout.cluster, info.key).name == "foreign":
        return StoredRecord(info, b"", foreign(info.key).error)
    try:
        return StoredRecord(info, repository.get_record(info.key, MOST_SMALL, info))
    except ObjectMissing:
        return None
    except ObjectCorrupt as exc:
        return StoredRecord(info, b"", exc)


def look_at_all(repository: Repository) -> None:
    """Read every record not read so far, if records are signed, so that ``repository.signatures`` knows all of them.

    One listing of each kind, and a small get for each record.
    """
    signatures, layout = repository.signatures, repository.layout
    if not signatures.required:
        return
    prefixes = (layout.repository, layout.systems, layout.backups, layout.files, layout.dumps, layout.holds)
    more = (layout.releases, layout.verifications, layout.restore_tests, layout.erasures, layout.repairs, layout.drills)
    infos = [
        info
        for prefix in (*prefixes, *more, layout.leadership, layout.incidents(), layout.diverged())
        for info in repository.store.list(prefix)
        if record_kind(layout.cluster, info.key, {}) != "other"
        and info.key not in signatures.signed
        and info.key not in signatures.foreign
    ]

    def read(info: ObjectInfo) -> None:
        with suppress(ObjectCorrupt, ObjectMissing):
            repository.get_record(info.key, info=info)

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-records") as pool:
        collections.deque(pool.map(read, infos), maxlen=0)
