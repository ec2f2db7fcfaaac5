# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove objects that the policy does not keep, from every repository."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any, Collection, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from ..audit.scope import Note, audited
from ..base import clock
from ..base.errors import LifeboatError, LocksNotRenewed, PruneIncomplete, PruneRefused, StoreError
from ..base.progress import Progress, Silent
from ..config.load import Config, RepositoryConfig
from ..config.retention import RetentionConfig
from ..records.model import format_time
from ..repository.holds import look_at_holds
from ..repository.kinds import kind_of
from ..repository.leases import restores_under_way
from ..repository.locks import Locks, Renewed, extend, is_locked, is_locking, open_locks
from ..repository.records import Aside, foreign
from ..repository.repository import Repositories, Repository
from ..repository.terms import RENEW_FOR, RENEW_WITHIN
from ..store.protocol import DeleteFailure, ObjectInfo, Unfinished
from .facts import read_facts
from .guards import WAYS_OUT, Circumstances, Objection, objections
from .plan import PrunePlan, make_plan
from .trails import Removal

_BATCH = 1000
_NAMED = 20


@dataclass(frozen=True)
class Pruned:
    """The result for one repository: its plan, the objections to it, how many objects were removed.

    ``aside`` are objects that do not count and are left alone. ``error`` is why a repository that is not required could
    not be read; then the plan is empty. ``locks`` is the result of renewing locks; ``locked`` is the number of objects
    that are still locked, which a later run removes. ``later`` are the bytes of the current objects that would be gone
    after the requested time.
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
    aside: Tuple[Aside, ...] = ()
    later: int = 0

    def as_dict(self) -> Dict[str, Any]:
        """The result as JSON-serializable data, with every removed object."""
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
            "does_not_count": dict(sorted(plan.weak.items())),
            "foreign": dict(sorted(plan.foreign.items())),
            "kept": {label: list(why) for label, why in sorted(plan.kept.items())},
            "objections": [asdict(o) for o in self.objections],
            "error": self.error.as_dict() if self.error else None,
            "set_apart": [item.as_dict() for item in self.aside[:_BATCH]],
            "set_apart_count": len(self.aside),
        }


def plan(
    config: Config,
    lifted: Collection[str] = (),
    progress: Optional[Progress] = None,
    later: Optional[timedelta] = None,
) -> Tuple[Pruned, ...]:
    """The plan for every repository, each by its own contents, with the objections of guards.

    With ``later`` also the bytes that would be gone after that time if nothing more were stored.
    """
    repositories = Repositories.open(config)
    try:
        return tuple(_plan(r, config, lifted, progress or Silent(), later) for r in repositories.items)
    finally:
        repositories.close()


def apply(config: Config, lifted: Collection[str] = (), progress: Optional[Progress] = None) -> Tuple[Pruned, ...]:
    """Plan again and remove, unless a guard that is not ``lifted`` objects anywhere.

    Raises PruneRefused before anything is removed, PruneIncomplete if an object could not be removed; the next run
    completes an interrupted one.
    """
    progress = progress or Silent()
    with audited(config, "prune") as note:
        repositories = Repositories.open(config)
        try:
            planned = [_plan(r, config, lifted, progress) for r in repositories.items]
            _refuse(planned)
            _put_on_record(planned, lifted, note)
            entries = {r.name: r for r in config.repositories}
            done = tuple(
                p if p.error else _apply(r, entries[r.name], p, progress, "restore" not in lifted)
                for r, p in zip(repositories.items, planned)
            )
            _require_locks(done)
        finally:
            repositories.close()
        # On record even if nothing was due: lifeboat_retention_last_success_timestamp_seconds is read from it.
        return done


def _put_on_record(planned: Sequence[Pruned], lifted: Collection[str], note: Note) -> None:
    """Record the removals beforehand; for the audit trail the last number, so that verification knows its start."""
    labels: Set[str] = set()
    copies: Set[str] = set()
    cuts: Dict[str, Dict[str, int]] = {}
    for done in planned:
        cut: Dict[str, int] = {}
        for removal in done.plan.removals:
            kind = kind_of(removal.key.split("/", 1)[0], removal.key)
            if kind.name == "audit":
                cut[kind.owner] = max(int(kind.part.rsplit("/", 1)[1]), cut.get(kind.owner, 0))
            elif kind.name == "backup" and kind.record:
                labels.add(kind.owner)
            elif kind.record:
                copies.add(removal.key.split("/", 1)[1].rsplit("/", 1)[0])
        if cut:
            cuts[done.repository] = cut
    note.objects += sorted(labels)
    note.details.update(
        removing={p.repository: len(p.plan.removals) for p in planned},
        bytes={p.repository: p.plan.bytes_removed for p in planned},
        foreign={p.repository: sorted(p.plan.foreign)[:_NAMED] for p in planned if p.plan.foreign},
        lifted=sorted(lifted),
        copies=sorted(copies),
        unread=[p.repository for p in planned if p.error],
    )
    if cuts:
        note.details["audit_removed"] = cuts


def _plan(
    repository: Repository,
    config: Config,
    lifted: Collection[str],
    progress: Progress,
    later: Optional[timedelta] = None,
) -> Pruned:
    progress.phase(f"{repository.name}: list")
    try:
        now = clock.now()
        facts, aside = read_facts(repository, config.retention, now)
        locking = is_locking(next(r.store for r in config.repositories if r.name == repository.name))
        objects: Iterable[ObjectInfo] = _noticing(repository, aside)
        if later:
            objects = list(objects)
        plan = make_plan(facts, objects, config.retention, now, locking, lifted)
        gone = make_plan(facts, objects, config.retention, now + later, locking).bytes_removed if later else 0
        seen = Circumstances(
            now=clock.now(),
            store_time=repository.store.clock(),
            newest=plan.newest,
            restores=restores_under_way(repository, now),
        )
        # The start times of uploads are by the store's clock.
        left = repository.store.unfinished(f"{facts.cluster}/")
        uploads = tuple(
            u for u in left if is_stale(u, seen.store_time, config.retention) and not facts.writing.has(u.key)
        )
    except LifeboatError as exc:
        if repository.required:
            raise
        return Pruned(repository.name, repository.location, PrunePlan((), {}, 0, 0), error=exc)
    said = objections(plan, config.retention, seen, lifted)
    told = tuple({item.key: item for item in aside}.values())
    return Pruned(repository.name, repository.location, plan, tuple(said), uploads=uploads, aside=told, later=gone)


def _noticing(repository: Repository, aside: List[Aside]) -> Iterator[ObjectInfo]:
    """All objects, adding foreign ones to ``aside``."""
    for info in repository.store.list(f"{repository.layout.cluster}/"):
        if kind_of(repository.layout.cluster, info.key).name == "foreign":
            aside.append(foreign(info.key))
        yield info


def is_stale(upload: Unfinished, now: datetime, policy: RetentionConfig) -> bool:
    """Whether the upload is abandoned: its newest part is older than the grace. Pure.

    If only its start is known it gets a week, longer than the upload of any file takes.
    """
    if upload.touched is not None:
        return upload.touched < now - policy.grace
    return upload.begun < now - max(policy.grace, timedelta(days=7))


def _refuse(planned: List[Pruned]) -> None:
    said = [(p, o) for p in planned for o in p.objections]
    if said:
        words = "; ".join(f"{p.repository}: {o.message} [{o.guard}]" for p, o in said)
        names = " ".join(dict.fromkeys(f"--allow {o.guard}" for p, o in said))
        raise PruneRefused(
            f"Nothing was removed: {words}.",
            f"{' '.join(dict.fromkeys(WAYS_OUT[o.guard] for p, o in said))} To remove the objects anyway, lift the"
            f" guard by its name: {names}.",
            objections=[{"repository": p.repository, **asdict(o)} for p, o in said],
        )


def _apply(
    repository: Repository, entry: RepositoryConfig, planned: Pruned, progress: Progress, watched: bool
) -> Pruned:
    locks = open_locks(entry.store)
    try:
        removed = _remove(repository, planned, locks, progress, watched)
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
                f"The removal is complete, but in repository {pruned.location} {len(pruned.locks.failed)} locks of kept"
                f" objects could not be renewed, the first of {pruned.locks.failed[0]}: {pruned.locks.error.message}",
                "Allow the credentials of retention s3:GetObjectRetention and s3:PutObjectRetention, as the janitor of"
                " the role repository has them.",
                repository=pruned.repository,
                failed=list(pruned.locks.failed[:_NAMED]),
            )


def _remove(
    repository: Repository, planned: Pruned, locks: Optional[Locks], progress: Progress, watched: bool
) -> Pruned:
    """Remove as planned; ``watched``: unless a restore begins meanwhile."""
    progress.phase(f"{repository.name}: remove")
    removals, done, size, locked = planned.plan.removals, 0, 0, 0
    for batch in _batches(removals):
        if watched:
            _require_no_restore(repository, done, len(removals))
        if _is_backup(batch[0]):
            _require_unheld(repository, batch[0], done, len(removals))
            failures = _delete_record(repository, batch[0], done, len(removals))
        else:
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
    """Batches for one request each, records and data apart, because a request has no order.

    Each record of a backup is removed individually, so that holds can be checked right before.
    """
    for _record, group in groupby(removals, key=lambda r: (r.record, r.key if _is_backup(r) else "")):
        rest = iter(group)
        while batch := list(islice(rest, _BATCH)):
            yield batch


def _is_backup(removal: Removal) -> bool:
    return removal.record and removal.kind == "backup"


def _require_unheld(repository: Repository, removal: Removal, done: int, total: int) -> None:
    """PruneIncomplete if this backup was held after the plan, which would also remove its parents and its WAL."""
    label = kind_of(repository.layout.cluster, removal.key).owner
    event = look_at_holds(repository, label).held.get(label)
    if event:
        raise PruneIncomplete(
            f"Backup {label} in repository {repository.location} was held after the plan was made: {event.reason}."
            f" It is kept, with all that it needs; {done} of {total} objects were removed before.",
            "Run lifeboat prune again: the new plan respects this hold.",
            removed=done,
            held=label,
        )


def _delete_record(repository: Repository, removal: Removal, done: int, total: int) -> List[DeleteFailure]:
    """Delete the record of a backup, and put it back if somebody held the backup in that moment."""
    raw = repository.store.get(removal.key)
    failures = repository.store.delete([removal.key])
    if failures:
        return failures
    try:
        _require_unheld(repository, removal, done, total)
    except PruneIncomplete as exc:
        try:
            repository.store.put(removal.key, raw)
        except StoreError as refused:
            exc.hint = (
                f"Its record could not be put back ({refused.message}); its data is there. Copy the record from another"
                f" repository (lifeboat sync), or restore its version in the bucket: {removal.key}. Then run lifeboat"
                " prune again."
            )
        raise
    return failures


def _require_no_restore(repository: Repository, done: int, total: int) -> None:
    """PruneIncomplete if a restore has begun since the plan: it may read what the plan removes."""
    running = restores_under_way(repository, clock.now())
    if running:
        raise PruneIncomplete(
            f"A restore from repository {repository.location} began after the plan was made: {running[0]}. {done} of"
            f" {total} objects were removed before.",
            "Run lifeboat prune again when it is over.",
            removed=done,
            restores=running,
        )


def _incomplete(repository: Repository, failures: List[DeleteFailure], done: int, total: int) -> PruneIncomplete:
    return PruneIncomplete(
        f"{len(failures)} objects in repository {repository.location} could not be removed, the first is"
        f" {failures[0].key} ({failures[0].reason}); {done} of {total} were removed before.",
        "Allow the credentials of retention to delete (in S3 s3:DeleteObject), and run it again: it continues here.",
        failures=[asdict(f) for f in failures[:_NAMED]],
        removed=done,
    )
