# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what a restore needs from an archive class, and request it. Nothing else is read or changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

from .. import restore
from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupMissing, ConfigError, ObjectFrozen
from ..base.progress import Progress, Silent
from ..base.units import size
from ..config.load import Config, RepositoryConfig
from ..postgres.timeline import path_to
from ..records.model import format_time, read_moment
from ..repository.catalog import load_catalog
from ..repository.histories import read_histories
from ..repository.repository import Repository
from ..restore import RestorePlan, RestoreRequest, latest_timeline
from ..store.s3.bucket import open_cold
from ..store.s3.cold import ColdObject, S3Cold, Thawed
from .need import choose, files_of, is_record, wal_of
from .terms import TIERS, Terms, impossible, terms

_PARALLEL = 8
# Seconds between two looks at what is being thawed, which takes minutes to hours.
_POLL = 60.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class ThawRequest:
    """What to thaw: the backup ``label`` (None: the newest finished by ``until``) and the WAL after it up to ``until``.

    ``days``: for how long the readable copies are kept. ``repository``: None for the first one in a bucket of S3.
    """

    label: Optional[str] = None
    until: Optional[datetime] = None
    repository: Optional[str] = None
    tier: str = "standard"
    days: int = 7


@dataclass(frozen=True)
class Thawing:
    """What the restore needs, and what of it cannot be read yet.

    ``labels``: the backups, oldest first; empty if only the records were looked at, since some of them are frozen.
    ``frozen`` are not requested, ``ongoing`` are. ``until``: when the first readable copy ends.
    """

    repository: str
    labels: Tuple[str, ...]
    objects: int
    bytes: int
    frozen: Tuple[ColdObject, ...]
    ongoing: int
    terms: Terms
    until: Optional[datetime] = None
    requested: int = 0

    @property
    def cost(self) -> str:
        """How long it takes to thaw what is frozen, and its price."""
        frozen = size(sum(item.size for item in self.frozen))
        price = f"about ${self.terms.dollars:,.2f} (us-east-1, without transfer)"
        return f"{len(self.frozen)} objects, {frozen}: up to {self.terms.hours:g} h, {price}"

    @property
    def readable(self) -> bool:
        """Whether everything can be read now."""
        return bool(self.labels) and not self.frozen and not self.ongoing

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        return {
            "repository": self.repository,
            "labels": list(self.labels),
            "objects": self.objects,
            "bytes": self.bytes,
            "frozen": len(self.frozen),
            "frozen_bytes": sum(item.size for item in self.frozen),
            "ongoing": self.ongoing,
            "requested": self.requested,
            "readable": self.readable,
            "readable_until": format_time(self.until) if self.until else None,
            "hours": self.terms.hours,
            "dollars": round(self.terms.dollars, 2),
        }


def plan(config: Config, request: ThawRequest, progress: Optional[Progress] = None) -> Thawing:
    """Look only. ConfigError for a repository without archive classes, or a tier that a class does not have."""
    with _opened(config, request) as (entry, cold):
        return _thawing(entry, *_needed(config, entry, cold, request, progress or Silent()), request.tier)


def apply(config: Config, request: ThawRequest, progress: Optional[Progress] = None) -> Thawing:
    """Request what is frozen, eight at a time; a second run requests only what is still frozen."""
    progress = progress or Silent()
    with _opened(config, request) as (entry, cold):
        labels, items, states = _needed(config, entry, cold, request, progress)
        found = _thawing(entry, labels, items, states, request.tier)
        if not found.frozen:
            return found
        with audited(config, "thaw", found.labels) as note:
            note.details.update(
                repository=entry.name, requested=len(found.frozen), tier=request.tier, days=request.days
            )
            progress.note(f"{entry.name}: thaw {found.cost}")
            _each(lambda item: cold.thaw(item.key, request.days, request.tier), found.frozen)
        done = _thawing(entry, labels, items, _states(cold, items), request.tier)
        return replace(done, requested=len(found.frozen), terms=found.terms)


def complete(config: Config, request: ThawRequest, progress: Optional[Progress] = None) -> Thawing:
    """Request what is frozen, and wait until all of it can be read, for hours. Time and price are reported first.

    Records come before the data, because they say which data it is: then there are two requests.
    """
    progress = progress or Silent()
    while True:
        found = apply(config, request, progress)
        if found.readable:
            return found
        progress.phase(f"{found.repository}: wait for {found.ongoing} objects")
        clock.sleep(_POLL)


def plan_restore(
    config: Config, request: RestoreRequest, tier: Optional[str], look: bool, progress: Optional[Progress] = None
) -> Tuple[Optional[RestorePlan], Optional[Thawing]]:
    """The plan of a restore, once everything that it reads is thawed with this tier, or with ``look`` only measured.

    With ``look`` there is no plan if that needs frozen objects. Nothing is thawed without ``tier``, for a restore that
    is already done, or from a store without archive classes. A target that is no time with a zone needs all WAL from
    the backup on.
    """
    if tier is None:
        return restore.plan(config, request), None
    target, thawing = request.target, plan if look else complete
    if target.timeline != "latest":
        raise ConfigError(
            f"A thaw finds the WAL of the newest timeline, and the target timeline is {target.timeline}.",
            "Thaw the objects of that timeline in the store, and restore without a thaw.",
        )
    moment = read_moment(target.value) if target.kind == "time" and target.value else None
    wanted = ThawRequest(request.label, moment if moment and moment.tzinfo else None, None, tier)
    try:
        planned = restore.plan(config, request)
    except ObjectFrozen:
        # Which repository and backup it is can only be read once the records, or the last WAL, are thawed.
        found = thawing(config, wanted, progress)
        if look:
            return None, found
        planned = restore.plan(config, request)
    source = next((r for r in config.repositories if r.name == planned.source.name), None)
    if planned.satisfied or source is None or not _is_cold(source):
        return planned, None
    found = thawing(config, replace(wanted, label=planned.backup.label, repository=source.name), progress)
    # Hours may have passed.
    return (planned if look else restore.plan(config, request)), found


def _is_cold(entry: RepositoryConfig) -> bool:
    cold = open_cold(entry.store)
    if cold is not None:
        cold.close()
    return cold is not None


@contextmanager
def _opened(config: Config, request: ThawRequest) -> Iterator[Tuple[RepositoryConfig, S3Cold]]:
    if request.tier not in TIERS or request.days < 1:
        raise ConfigError(
            f"The tier is {request.tier!r} and the number of days {request.days}.",
            f"Choose {', '.join(TIERS)}, and at least 1 day.",
        )
    if config.as_of:
        raise ConfigError("A thaw and as_of exclude each other.", "Omit as_of: thaw the current objects.")
    named = [r for r in config.repositories if request.repository in (None, r.name)]
    for entry in named:
        cold = open_cold(entry.store)
        if cold is not None:
            try:
                yield entry, cold
            finally:
                cold.close()
            return
    raise ConfigError(
        f"There is no repository {request.repository!r}." if not named else "No repository has archive classes of S3.",
        "Name one of type s3; the objects of all others can be read at once.",
        repository=request.repository,
    )


def _needed(
    config: Config, entry: RepositoryConfig, cold: S3Cold, request: ThawRequest, progress: Progress
) -> Tuple[Tuple[str, ...], Sequence[ColdObject], Dict[str, Thawed]]:
    """The labels of the chain, the objects that are needed, and their states; records alone while some are frozen."""
    progress.phase(f"{entry.name}: list")
    listed = list(cold.list(f"{config.cluster}/"))
    records = [item for item in listed if is_record(config.cluster, item.key)]
    states = _states(cold, records)
    if not all(state.readable for state in states.values()):
        # Which backups there are, only their records say.
        return (), records, states
    labels, wanted = _wanted(config, entry, listed, request)
    progress.phase(f"{entry.name}: look at {len(wanted)} objects")
    return labels, wanted, _states(cold, wanted)


def _wanted(
    config: Config, entry: RepositoryConfig, listed: Sequence[ColdObject], request: ThawRequest
) -> Tuple[Tuple[str, ...], List[ColdObject]]:
    """The labels of the chain, and all objects that a restore from it reads."""
    repository = Repository.open(entry, config.cluster)
    try:
        catalog = load_catalog(repository)
        asked = catalog.find(request.label) if request.label else catalog.newest()
        system = asked.system_identifier
        told = read_histories(repository, system)
    finally:
        repository.store.close()
    chains = catalog.chains()
    ours = [b for b in catalog.of_system(system) if b.label in chains.whole]
    path = path_to(latest_timeline({b.timeline for b in ours} or {asked.timeline}, told.texts, told.stored), told.texts)
    base = choose([asked] if request.label else ours, path, request.until)
    if base is None:
        raise BackupMissing(
            f"Repository {repository.location} has no whole backup finished by then on the way to the newest timeline.",
            "Choose a later time, or a label from lifeboat list.",
            repository=entry.name,
        )
    links = chains.whole.get(base.label, (base,))
    labels = tuple(link.label for link in links)
    wal = wal_of(config.cluster, listed, base, path, request.until)
    return labels, [*files_of(config.cluster, labels, listed), *wal]


def _states(cold: S3Cold, items: Sequence[ColdObject]) -> Dict[str, Thawed]:
    """Those in another class can be read, without a request."""
    found = {item.key: Thawed(readable=True) for item in items}
    archived = [item for item in items if item.archived]
    found.update(zip((item.key for item in archived), _each(lambda item: cold.state(item.key), archived)))
    return found


def _thawing(
    entry: RepositoryConfig, labels: Tuple[str, ...], items: Sequence[ColdObject], states: Dict[str, Thawed], tier: str
) -> Thawing:
    away = [item for item in items if not states[item.key].readable]
    frozen = tuple(item for item in away if not states[item.key].ongoing)
    if name := impossible((item.storage_class for item in frozen), tier):
        raise ConfigError(
            f"Objects of class {name} cannot be thawed with the tier {tier}.", "Choose bulk or standard.", tier=tier
        )
    ends = [state.until for state in states.values() if state.until and state.readable]
    return Thawing(
        repository=entry.name,
        labels=labels,
        objects=len(items),
        bytes=sum(item.size for item in items),
        frozen=frozen,
        ongoing=len(away) - len(frozen),
        terms=terms(((item.storage_class, item.size) for item in frozen), tier),
        until=min(ends, default=None),
    )


def _each(work: Callable[[ColdObject], _T], items: Sequence[ColdObject]) -> List[_T]:
    with ThreadPoolExecutor(_PARALLEL, "lifeboat-thaw") as pool:
        return list(pool.map(work, items))
