# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure repositories one after the other; the error of one does not stop the others. Read-only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.progress import Progress, Silent
from ..config.load import Config, RepositoryConfig
from ..repository.repository import Repositories, Repository
from ..retention import Pruned, plan_prune
from .forecast import AHEAD, forecast, growth_per_day, judge, removed_per_day, stored_per_day
from .limit import Limit, limit_of
from .measure import Amount, Usage, group_of, measure


@dataclass(frozen=True)
class Prunable:
    """What the next prune will free, by kind; ``refused``: the guards that would stop it.

    ``later``: the bytes, of what is there now, that would be removed within 30 days. ``error``: why it is unknown.
    """

    kinds: Mapping[str, Amount] = field(default_factory=dict)
    later: int = 0
    refused: Tuple[str, ...] = ()
    error: Optional[LifeboatError] = None

    @property
    def bytes(self) -> int:
        """Those of all kinds."""
        return sum(amount.bytes for amount in self.kinds.values())

    @property
    def objects(self) -> int:
        """Those of all kinds."""
        return sum(amount.objects for amount in self.kinds.values())

    @property
    def per_day(self) -> float:
        """Bytes a day that retention removes; 0 while a guard stops it."""
        return 0.0 if self.refused or self.error else removed_per_day(self.bytes, self.later)

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "kinds": {kind: {"objects": a.objects, "bytes": a.bytes} for kind, a in self.kinds.items()},
            "bytes_later": self.later,
            "refused": list(self.refused),
            "error": self.error.as_dict() if self.error else None,
        }


@dataclass(frozen=True)
class RepositoryUsage:
    """One repository. ``error``: why it could not be measured; ``prune``: None if it was not requested."""

    repository: str
    location: str
    at: datetime
    usage: Usage = Usage()
    limit: Optional[Limit] = None
    prune: Optional[Prunable] = None
    error: Optional[LifeboatError] = None

    @property
    def removed(self) -> float:
        """Bytes a day that retention removes."""
        return self.prune.per_day if self.prune else 0.0

    @property
    def stored(self) -> Optional[float]:
        """Bytes a day that are stored; None before the first whole week."""
        return stored_per_day(self.usage, self.at)

    @property
    def growth(self) -> Optional[float]:
        """Bytes a day by which it grows; None before the first whole week."""
        return growth_per_day(self.usage, self.at, self.removed)

    @property
    def days_until_full(self) -> Optional[float]:
        """Days until it is full by :func:`.forecast.forecast`."""
        return forecast(self.usage, self.limit, self.at, self.removed)

    @property
    def judgement(self) -> Tuple[str, str, str]:
        """Status, message and hint."""
        return judge(self.usage, self.limit, self.at, self.removed)

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        told: Dict[str, Any] = {"repository": self.repository, "location": self.location}
        if self.error:
            return {**told, "error": self.error.as_dict()}
        status, message, hint = self.judgement
        return {
            **told,
            **self.usage.as_dict(),
            "limit": self.limit.as_dict() if self.limit else None,
            "stored_per_day": _whole(self.stored),
            "removed_per_day": _whole(self.removed),
            "growth_per_day": _whole(self.growth),
            "days_until_full": None if self.days_until_full is None else round(self.days_until_full, 1),
            "prune": self.prune.as_dict() if self.prune else None,
            "status": status,
            "message": message,
            "hint": hint,
            "error": None,
        }


def _whole(number: Optional[float]) -> Optional[int]:
    return None if number is None else round(number)


def report(
    config: Config, name: Optional[str] = None, pruning: bool = True, progress: Optional[Progress] = None
) -> Tuple[RepositoryUsage, ...]:
    """Measure each repository, or only the one with that name; without ``pruning`` no record is read.

    ConfigError if there is none with that name.
    """
    progress = progress or Silent()
    entries = [entry for entry in config.repositories if name in (None, entry.name)]
    if not entries:
        raise ConfigError(
            f"Unknown repository {name!r}.",
            f"Choose one of: {', '.join(entry.name for entry in config.repositories)}.",
        )
    found: List[RepositoryUsage] = []
    for entry in entries:
        progress.phase(f"{entry.name}: list")
        found.append(_look(replace(config, repositories=(entry,)), entry, pruning))
    return tuple(found)


def _look(config: Config, entry: RepositoryConfig, pruning: bool) -> RepositoryUsage:
    repositories = Repositories.open(config)
    repository: Repository = repositories.items[0]
    try:
        found = measured(entry, repository)
    except LifeboatError as exc:
        return RepositoryUsage(entry.name, repository.location, _seen_at(entry), error=exc)
    finally:
        repositories.close()
    # Nothing is removed from one that is read-only.
    return replace(found, prune=_prunable(config)) if pruning and entry.writable else found


def measured(entry: RepositoryConfig, repository: Repository) -> RepositoryUsage:
    """The sums of a repository, by one listing, and its limit. Raises the errors of the store."""
    now = _seen_at(entry)
    usage = measure(repository, now)
    return RepositoryUsage(entry.name, repository.location, now, usage, limit_of(entry, usage))


def _seen_at(entry: RepositoryConfig) -> datetime:
    """The time to count days from."""
    return entry.as_of or clock.now()


def _prunable(config: Config) -> Prunable:
    try:
        (planned,) = plan_prune(config, later=AHEAD)
    except LifeboatError as exc:
        return Prunable(error=exc)
    if planned.error:
        return Prunable(error=planned.error)
    return prunable_of(planned, config.cluster)


def prunable_of(planned: Pruned, cluster: str) -> Prunable:
    """What a plan of retention frees, by the kinds of :mod:`.measure`. Pure."""
    kinds: Dict[str, Amount] = {}
    for removal in planned.plan.removals:
        kind = group_of(cluster, removal.key)
        before = kinds.get(kind, Amount())
        kinds[kind] = Amount(before.objects + 1, before.bytes + removal.size)
    return Prunable(kinds, planned.later, tuple(o.guard for o in planned.objections))
