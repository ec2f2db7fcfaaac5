# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a repository by one listing: only sums, so that memory does not grow with the number of objects.

The kinds: ``core`` (the owner of the repository), ``backup``, ``wal`` (with timeline histories, digests
and marks), ``files``, ``dump``, ``log``, ``audit``, ``verification``, ``report`` (of restore tests), ``lease`` (of a
running restore or writer), ``hold`` (with releases), ``erasure``, ``epoch`` (of leadership), ``drill`` (evidence),
``incident`` (events of incidents), ``damaged`` (removed by a repair), and ``foreign``: objects that are not
Lifeboat's. They are stable: programs may rely on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict, Iterable, Mapping, Optional

from ..base import clock
from ..records.model import format_time
from ..repository.kinds import kind_of
from ..repository.labels import type_of
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo

KINDS = (
    "core", "backup", "wal", "files", "dump", "log", "audit", "verification", "report", "lease", "hold", "erasure",
    "epoch", "drill", "incident", "diverged", "damaged", "foreign",
)  # fmt: skip
TYPES = ("full", "differential", "incremental")
#: Number of complete days with their own sums, besides today.
DAYS = 30
_PART_OF = {"history": "wal", "release": "hold"}


@dataclass(frozen=True)
class Amount:
    """Number of objects, their bytes, and when the newest was stored (UTC, aware; None if there is none)."""

    objects: int = 0
    bytes: int = 0
    newest: Optional[datetime] = None

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "newest": format_time(self.newest) if self.newest else None,
        }


@dataclass(frozen=True)
class Usage:
    """The sums of one repository: ``kinds`` has each of :data:`KINDS`, ``backups`` each of :data:`TYPES`.

    ``days``: the existing bytes by the day (UTC) on which they were stored, for today and the :data:`DAYS` days before,
    if there are any. ``oldest``: when the oldest existing object was stored.
    """

    kinds: Mapping[str, Amount] = field(default_factory=dict)
    backups: Mapping[str, Amount] = field(default_factory=dict)
    days: Mapping[date, int] = field(default_factory=dict)
    oldest: Optional[datetime] = None

    @property
    def objects(self) -> int:
        """The number of all objects."""
        return sum(amount.objects for amount in self.kinds.values())

    @property
    def bytes(self) -> int:
        """The bytes of all objects."""
        return sum(amount.bytes for amount in self.kinds.values())

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "kinds": {kind: amount.as_dict() for kind, amount in self.kinds.items()},
            "backups": {name: amount.as_dict() for name, amount in self.backups.items()},
            "days": {day.isoformat(): count for day, count in sorted(self.days.items())},
            "oldest": format_time(self.oldest) if self.oldest else None,
        }


def group_of(cluster: str, key: str) -> str:
    """The one of the :data:`KINDS` that this object belongs to."""
    name = kind_of(cluster, key).name
    return _PART_OF.get(name, name)


def measure(repository: Repository, now: Optional[datetime] = None) -> Usage:
    """List everything below the cluster's prefix once: on S3, one request for each 1000 objects.

    Older versions in a versioned bucket, and parts of unfinished uploads, are not included.
    """
    cluster = repository.layout.cluster
    return tally(repository.store.list(f"{cluster}/"), cluster, now or clock.now())


def tally(objects: Iterable[ObjectInfo], cluster: str, now: datetime) -> Usage:
    """The sums of these objects, in one pass. Pure."""
    kinds = {name: _Sum() for name in KINDS}
    backups = {name: _Sum() for name in TYPES}
    days: Dict[date, int] = {}
    oldest: Optional[datetime] = None
    today = now.astimezone(timezone.utc).date()
    since = today - timedelta(days=DAYS)
    for info in objects:
        kind = kind_of(cluster, info.key)
        kinds.setdefault(_PART_OF.get(kind.name, kind.name), _Sum()).add(info)
        if kind.name == "backup":
            backups[type_of(kind.owner)].add(info)
        day = info.modified.astimezone(timezone.utc).date()
        if since <= day <= today:
            days[day] = days.get(day, 0) + info.size
        oldest = info.modified if oldest is None else min(oldest, info.modified)
    return Usage(
        {name: found.amount() for name, found in kinds.items()},
        {name: found.amount() for name, found in backups.items()},
        days,
        oldest,
    )


class _Sum:
    """An amount that grows."""

    def __init__(self) -> None:
        self._objects = self._bytes = 0
        self._newest: Optional[datetime] = None

    def add(self, info: ObjectInfo) -> None:
        self._objects += 1
        self._bytes += info.size
        self._newest = info.modified if self._newest is None else max(self._newest, info.modified)

    def amount(self) -> Amount:
        return Amount(self._objects, self._bytes, self._newest)
