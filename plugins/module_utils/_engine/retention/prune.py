# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what the policy does not keep, from every repository."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any, Collection, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .. import clock
from ..audit.scope import Note, audited
from ..config import Config, RepositoryConfig
from ..errors import LifeboatError, LocksNotRenewed, PruneIncomplete, PruneRefused
from ..file_record import read_parents
from ..model import format_time
from ..progress import Progress, Silent
from ..repository.catalog import load_catalog
from ..repository.chain import Chains
from ..repository.holds import read_holds
from ..repository.kinds import kind_of
from ..repository.leases import restores_under_way
from ..repository.locks import Locks, Renewed, extend, is_locked, is_locking, open_locks
from ..repository.repository import Repositories, Repository, histories
from ..repository.verifications import last_verified
from ..store.protocol import DeleteFailure, Unfinished
from .guards import Circumstances, Objection, objections
from .lock import RENEW_FOR, RENEW_WITHIN
from .plan import Facts, PrunePlan, Removal, make_plan
from .policy import RetentionConfig

_BATCH = 1000
_NAMED = 20


@dataclass(frozen=True)
class Pruned:
    """One repository: what its plan is, what speaks against it, how many objects were removed.

    ``error`` is why a repository that is not required could not be looked at; it has no plan then. ``locks`` is
    what became of the locks that are due; ``locked`` objects should go, and a lock keeps them: it is not over yet, and
    a later run takes them.
    """

    repository: str
    location: str
    plan: PrunePlan
    objections: Tuple[Objection, ...] = ()
    removed: int = 0
    uploads: Tuple[Unfinished, ...] = ()
    error: Optional[LifeboatError] = None
    locks: Renewed = Renewed()
    locked: int = 0

    def as_dict(self) -> Dict[str, Any]:
        """As plain data, with every object that goes."""
        plan = self.plan
        return {
            "repository": self.repository,
            "location": self.location,
            "objects": plan.objects,
            "bytes": plan.bytes,
            "share": round(plan.share, 1),
            "bytes_removed": plan.bytes_removed,
            "removed": self.removed,
            "removals": [{"key": r.key, "size": r.size, "kind": r.kind, "reason": r.reason} for r in plan.removals],
            "uploads": [{"key": u.key, "begun": format_time(u.begun), "kind": "garbage"} for u in self.uploads],
            "locked": self.locked,
            "locks_due": len(plan.due),
            "locks_renewed": self.locks.extended,
            "kept": {label: list(why) for label, why in sorted(plan.kept.items())},
            "objections": [asdict(o) for o in self.objections],
            "error": self.error.as_dict() if self.error else None,
        }


def prune(
    config: Config, apply: bool, lifted: Collection[str] = (), progress: Optional[Progress] = None
) -> Tuple[Pruned, ...]:
    """Plan for every repository, and with ``apply`` remove, unless a guard that is not ``lifted`` objects anywhere.

    Every repository is judged by what it holds itself. Raises PruneRefused before anything is removed,
    PruneIncomplete when the store keeps an object; a run that is interrupted is completed by the next one.
    """
    with audited(config, "prune", apply=apply) as note:
        planned = _planned(config, apply, lifted, progress or Silent(), note)
        note.skip = not apply or not any(p.plan.removals for p in planned)
        return planned


def _planned(
    config: Config, apply: bool, lifted: Collection[str], progress: Progress, note: Note
) -> Tuple[Pruned, ...]:
    repositories = Repositories.open(config)
    try:
        planned = [_plan(r, config, lifted, progress) for r in repositories.items]
        if not apply:
            return tuple(planned)
        _refuse(planned)
        _put_on_record(planned, lifted, note)
        entries = {r.name: r for r in config.repositories}
        done = tuple(
            p if p.error else _apply(r, entries[r.name], p, progress) for r, p in zip(repositories.items, planned)
        )
        _require_locks(done)
        return done
    finally:
        repositories.close()


def _put_on_record(planned: Sequence[Pruned], lifted: Collection[str], note: Note) -> None:
    """What is about to go; of the audit trail up to which number, so that its verification knows where it begins."""
    labels: Set[str] = set()
    cuts: Dict[str, Dict[str, int]] = {}
    for done in planned:
        cut: Dict[str, int] = {}
        for removal in done.plan.removals:
            kind = kind_of(removal.key.split("/", 1)[0], removal.key)
            if kind.name == "audit":
                cut[kind.owner] = max(int(kind.part.rsplit("/", 1)[1]), cut.get(kind.owner, 0))
            elif kind.name == "backup" and kind.record:
                labels.add(kind.owner)
        if cut:
            cuts[done.repository] = cut
    note.objects += sorted(labels)
    note.details.update(
        removing={p.repository: len(p.plan.removals) for p in planned},
        bytes={p.repository: p.plan.bytes_removed for p in planned},
        lifted=sorted(lifted),
    )
    if cuts:
        note.details["audit_removed"] = cuts


def _plan(repository: Repository, config: Config, lifted: Collection[str], progress: Progress) -> Pruned:
    progress.phase(f"{repository.name}: list")
    try:
        now = clock.now()
        facts = _facts(repository)
        locking = is_locking(next(r.store for r in config.repositories if r.name == repository.name))
        objects = repository.store.list(f"{facts.cluster}/")
        plan = make_plan(facts, objects, config.retention, now, locking)
        seen = Circumstances(
            now=clock.now(),
            store_time=repository.store.clock(),
            newest=facts.chains.newest,
            restores=restores_under_way(repository, now),
        )
        # The store's clock says when its uploads were begun.
        left = repository.store.unfinished(f"{facts.cluster}/")
        uploads = tuple(u for u in left if is_stale(u, seen.store_time, config.retention))
    except LifeboatError as exc:
        if repository.required:
            raise
        return Pruned(repository.name, repository.location, PrunePlan((), {}, 0, 0), error=exc)
    said = objections(plan, config.retention, seen, lifted)
    return Pruned(repository.name, repository.location, plan, tuple(said), uploads=uploads)


def is_stale(upload: Unfinished, now: datetime, policy: RetentionConfig) -> bool:
    """Whether nobody writes this upload any more: its newest part is older than the grace. Pure.

    Where only its begin is known it is given a week, which no upload of one file takes.
    """
    if upload.touched is not None:
        return upload.touched < now - policy.grace
    return upload.begun < now - max(policy.grace, timedelta(days=7))


def _facts(repository: Repository) -> Facts:
    catalog = load_catalog(repository)
    chains = catalog.chains()
    return Facts(
        cluster=repository.layout.cluster,
        chains=chains,
        damaged=[d.label for d in catalog.damaged],
        histories={system: dict(histories(repository, system)) for system in repository.systems()},
        held={label: event.reason for label, event in read_holds(repository).items()},
        verified=_newest_verified(repository, chains),
        based_on=read_parents(repository),
    )


def _newest_verified(repository: Repository, chains: Chains) -> Optional[str]:
    verified = last_verified(repository)
    known = [b for b in chains.restorable if b.label in verified]
    return max(known, key=lambda b: b.finished_at).label if known else None


def _refuse(planned: List[Pruned]) -> None:
    said = [(p, o) for p in planned for o in p.objections]
    if said:
        words = "; ".join(f"{p.repository}: {o.message} [{o.guard}]" for p, o in said)
        names = " ".join(dict.fromkeys(f"--allow {o.guard}" for p, o in said))
        raise PruneRefused(
            f"Nothing was removed: {words}.",
            f"Look at lifeboat prune --plan. If that is what you want, lift the guard by its name: {names}.",
            objections=[{"repository": p.repository, **asdict(o)} for p, o in said],
        )


def _apply(repository: Repository, entry: RepositoryConfig, planned: Pruned, progress: Progress) -> Pruned:
    locks = open_locks(entry.store)
    try:
        removed = _remove(repository, planned, locks, progress)
        if locks is None or not planned.plan.due:
            return removed
        progress.phase(f"{repository.name}: renew {len(planned.plan.due)} locks")
        now = clock.now()
        return replace(removed, locks=extend(locks, planned.plan.due, now + RENEW_WITHIN, now + RENEW_FOR))
    finally:
        if locks is not None:
            locks.close()


def _require_locks(done: Sequence[Pruned]) -> None:
    for pruned in done:
        if pruned.locks.failed and pruned.locks.error:
            raise LocksNotRenewed(
                f"What goes is gone. In repository {pruned.location} {len(pruned.locks.failed)} locks of what stays"
                f" could not be renewed, the first of {pruned.locks.failed[0]}: {pruned.locks.error.message}",
                "The credentials of retention need s3:GetObjectRetention and s3:PutObjectRetention; the janitor of the"
                " role repository has them.",
                repository=pruned.repository,
                failed=list(pruned.locks.failed[:_NAMED]),
            )


def _remove(repository: Repository, planned: Pruned, locks: Optional[Locks], progress: Progress) -> Pruned:
    progress.phase(f"{repository.name}: remove")
    removals, done, size, locked = planned.plan.removals, 0, 0, 0
    for batch in _batches(removals):
        failures = repository.store.delete([r.key for r in batch])
        kept = [f for f in failures if locks is not None and is_locked(locks, f.key)]
        if len(kept) < len(failures):
            raise _incomplete(repository, [f for f in failures if f not in kept], done, len(removals))
        locked += len(kept)
        done += len(batch) - len(kept)
        size += sum(r.size for r in batch)
        progress.advance(size, planned.plan.bytes_removed)
    for upload in planned.uploads:
        repository.store.drop(upload)
    return replace(planned, removed=done, locked=locked)


def _batches(removals: Sequence[Removal]) -> Iterator[Sequence[Removal]]:
    """At most so many that one request takes, records and data apart: a store keeps no order within a request."""
    for _record, group in groupby(removals, key=lambda r: r.record):
        rest = iter(group)
        while batch := list(islice(rest, _BATCH)):
            yield batch


def _incomplete(repository: Repository, failures: List[DeleteFailure], done: int, total: int) -> PruneIncomplete:
    return PruneIncomplete(
        f"Repository {repository.location} kept {len(failures)} objects that should go, the first is"
        f" {failures[0].key} ({failures[0].reason}); {done} of {total} were removed before.",
        "The credentials of retention must be allowed to delete (s3:DeleteObject); the next run goes on from here.",
        failures=[asdict(f) for f in failures[:_NAMED]],
        removed=done,
    )
