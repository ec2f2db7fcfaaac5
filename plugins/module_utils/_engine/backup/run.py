# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a base backup: ``plan`` reads from the server and the repositories, ``apply`` streams.

The backup exists once its ``manifest.json`` is stored, which happens last: after every WAL segment between its start
and its stop has been found in every required repository.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupRunning, ConfigError, IncrementalImpossible, WalGap
from ..base.progress import Progress, Silent
from ..base.version import VERSION
from ..config.load import Config
from ..config.option import choices_of
from ..config.sections import BackupConfig
from ..leadership.watch import Watch
from ..postgres import requirements, summaries
from ..postgres.connection import Session, session
from ..postgres.contents import read_contents
from ..postgres.facts import ServerFacts, manifest_wal_range, read_facts, require_backup_ready
from ..records.model import BACKUP_TYPES, BackupManifest
from ..repository.catalog import load_catalog
from ..repository.chain import progress_of
from ..repository.clocks import require_clock
from ..repository.free import free_second
from ..repository.labels import make_label
from ..repository.layout import MANIFEST
from ..repository.leases import writing
from ..repository.locks import extend, open_locks
from ..repository.plausible import CLOCKS
from ..repository.presence import put_records
from ..repository.repository import Repositories, Repository
from . import manifests, parallel
from . import parent as lineage
from .await_wal import await_wal
from .method import choose
from .parent import Lineage
from .stream import extracted_sizes, restored_sizes, stream, tablespaces_of

# Any constant will do, as long as every Lifeboat uses the same one: "lifeboat" in ASCII.
_ADVISORY_LOCK = int.from_bytes(b"lifeboat", "big") >> 1


@dataclass(frozen=True)
class BackupRequest:
    """A requested backup.

    ``type`` ``auto`` is incremental if possible, otherwise full. ``max_age`` (seconds): a finished backup younger than
    that is enough, if it is of this type or a fuller one. ``fallback``: None for the configured value.
    """

    type: str = "full"
    max_age: Optional[float] = None
    accept_new_system: bool = False
    fallback: Optional[str] = None

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("type", self.type, (*BACKUP_TYPES, "auto")),
            ("fallback", self.fallback, (None, *choices_of(BackupConfig, "fallback"))),
        ):
            if value not in allowed:
                known = ", ".join(str(a) for a in allowed if a)
                raise ConfigError(f"The backup option {name} is {value!r}.", f"Choose one of: {known}.")

    def may_fall_back(self, config: BackupConfig) -> bool:
        """Whether a full backup is acceptable if the requested type is impossible."""
        return self.type == "auto" or (self.fallback or config.fallback) == "full"


@dataclass(frozen=True)
class BackupPlan:
    """The backup to make. ``fresh`` is a backup that is young enough: then nothing is to be done."""

    request: BackupRequest
    facts: ServerFacts
    repositories: Tuple[str, ...]
    lineage: Lineage
    fresh: Optional[BackupManifest] = None
    method: str = "stream"

    def as_dict(self) -> Dict[str, Any]:
        """For check mode and ``--json``."""
        return {
            "asked": self.request.type,
            "type": self.lineage.type,
            "parent": self.lineage.parent.label if self.lineage.parent else None,
            "chain": [b.label for b in self.lineage.chain],
            "system_identifier": self.facts.system_identifier,
            "server_version": self.facts.version,
            "from_standby": self.facts.in_recovery,
            "size": self.facts.size,
            "tablespaces": [t.location for t in self.facts.tablespaces],
            "repositories": list(self.repositories),
            "fresh": self.fresh.label if self.fresh else None,
            "method": self.method,
            "notes": list(self.lineage.notes),
        }


@dataclass(frozen=True)
class Made:
    """The backup that now exists, with notes on its type and parent."""

    manifest: BackupManifest
    notes: Tuple[str, ...] = ()


def plan(config: Config, request: BackupRequest) -> BackupPlan:
    """Check the server, decide whether a backup is due, and choose its parent. Only reads."""
    with session(config.connection) as sql:
        facts = read_facts(sql)
        require_backup_ready(facts)
        repositories = Repositories.open(config)
        try:
            repositories.seal.require()
            repositories.require_signing("backup")
            required = repositories.required
            for repository in required:
                repository.may_adopt(facts.system_identifier, request.accept_new_system)
            _require_clocks(sql, required)
            skew = timedelta(seconds=config.retention.max_clock_skew)
            fresh = _fresh(required, facts.system_identifier, request, skew)
            may_fall_back = request.may_fall_back(config.backup)
            found = (
                Lineage(fresh.type)
                if fresh
                else lineage.find_lineage(config, request.type, facts, sql, required, may_fall_back)
            )
            method = "parallel" if not fresh and choose(config, sql, facts, found.type) else "stream"
            return BackupPlan(request, facts, tuple(r.location for r in required), found, fresh, method)
        finally:
            repositories.close()


def _fresh(
    required: Tuple[Repository, ...], system: str, request: BackupRequest, skew: timedelta
) -> Optional[BackupManifest]:
    """The newest backup that every required repository has and can restore, if it is young enough."""
    if request.max_age is None:
        return None
    wanted = BACKUP_TYPES if request.type == "auto" else BACKUP_TYPES[: BACKUP_TYPES.index(request.type) + 1]
    found: List[BackupManifest] = []
    for repository in required:
        catalog = load_catalog(repository)
        whole = catalog.chains().whole
        ours = [b for b in catalog.of_system(system) if b.type in wanted and b.label in whole]
        if not ours:
            return None
        found.append(max(ours, key=progress_of))
    oldest = min(found, key=progress_of)
    age = clock.now() - oldest.finished_at
    # A backup dated in the future has an unknown age.
    return oldest if age >= -skew and age.total_seconds() <= request.max_age else None


def _require_clocks(sql: Session, required: Sequence[Repository]) -> None:
    """ClockWrong if a clock differs so much from a store's that the backup would not count, or only much later."""
    why = "a backup with such a time would not count"
    for repository in required:
        require_clock(repository, "server's", sql.value("SELECT clock_timestamp()"), CLOCKS, why)
        require_clock(repository, "host's", clock.now(), CLOCKS, why)


def apply(config: Config, planned: BackupPlan, progress: Optional[Progress] = None) -> Made:
    """Make the planned backup, or return the fresh one. Memory: the stores' bounds plus the server's manifests."""
    if planned.fresh:
        return Made(planned.fresh)
    with audited(config, "backup") as note:
        done = _apply(config, planned, progress or Silent())
        note.objects.append(done.manifest.label)
        note.details.update(type=done.manifest.type, bytes=done.manifest.stored_size)
        return done


def _apply(config: Config, planned: BackupPlan, progress: Progress) -> Made:
    repositories = Repositories.open(config)
    try:
        with session(config.connection) as sql, _exclusive(sql, config):
            _require_leads(config, repositories.required, planned.facts)
            for repository in repositories.required:
                repository.adopt(planned.facts.system_identifier, planned.request.accept_new_system)
            for note in planned.lineage.notes:
                progress.note(note)
            try:
                made = _make(config, planned, planned.lineage, repositories, sql, progress)
                return Made(made, planned.lineage.notes)
            except IncrementalImpossible as exc:
                if not planned.request.may_fall_back(config.backup):
                    raise
                instead = lineage.fall_back(planned.lineage.type, exc)
                progress.note(instead.notes[0])
                made = _make(config, planned, instead, repositories, sql, progress)
                return Made(made, (*planned.lineage.notes, *instead.notes))
    finally:
        repositories.close()


@contextmanager
def _exclusive(sql: Session, config: Config) -> Iterator[None]:
    """One backup of a server at a time, from any host: an advisory lock, which ends with the session."""
    if not sql.value("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]):
        holder = sql.rows(
            "SELECT a.pid, coalesce(a.client_addr::text, 'a local socket'), a.backend_start"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = %s",
            [_ADVISORY_LOCK],
        )
        who = (
            f"server process {holder[0][0]}, from {holder[0][1]}, since {holder[0][2]:%Y-%m-%d %H:%M:%S %Z}"
            if holder
            else "another session"
        )
        raise BackupRunning(
            f"Another backup of cluster {config.cluster} is running ({who}).",
            "Wait for it, or end a hanging one: pg_terminate_backend(). A dead one frees the lock with its connection.",
        )
    yield


def _require_leads(config: Config, required: Sequence[Repository], facts: ServerFacts) -> None:
    """Deposed for a primary whose site does not lead: its WAL is not archived, so the backup could not finish."""
    if not facts.in_recovery:
        Watch(config.site, required).require(facts.system_identifier)


def _make(
    config: Config,
    planned: BackupPlan,
    found: Lineage,
    repositories: Repositories,
    sql: Session,
    progress: Progress,
) -> BackupManifest:
    facts, parent, required, seal = planned.facts, found.parent, repositories.required, repositories.seal
    parent_manifest = _ready_parent(config, parent, required, sql, progress) if parent else None
    started_at = free_second(required, lambda: sql.value("SELECT clock_timestamp()"), lambda layout: layout.backups)
    label = make_label(started_at, found.type)
    record = required[0].layout.manifest(label)
    with writing(required, [record]):
        begin = clock.monotonic()
        progress.phase(f"backup {label}" + (f" on {parent.label}" if parent else ""))
        needs = requirements.collect(sql, config.connection)
        place = choose(config, sql, facts, found.type)
        files, raw = (
            parallel.copy(config, label, facts, place, required, progress, seal)
            if place
            else stream(config, label, facts, required, progress, seal, parent_manifest)
        )
        finished_at, streamed = sql.value("SELECT clock_timestamp()"), clock.monotonic()
        wal = manifest_wal_range(raw)
        sizes, after = extracted_sizes(raw), read_facts(sql)
        restored = restored_sizes(raw, facts.space_sizes, after.space_sizes) if parent else {}
        tablespaces = tablespaces_of((*facts.tablespaces, *after.tablespaces), files, sizes, restored)
        files.append(manifests.store(raw, label, required, seal))
        progress.phase("wait for WAL")
        try:
            await_wal(config.backup, required, facts, wal, sql)
        except WalGap:
            # If another site has taken the lead meanwhile, this one no longer archives.
            _require_leads(config, required, facts)
            raise
        manifest = BackupManifest(
            label=label,
            type=found.type,
            cluster=config.cluster,
            system_identifier=facts.system_identifier,
            timeline=wal.timeline,
            start_lsn=wal.start,
            stop_lsn=wal.stop,
            segment_size=facts.segment_size,
            started_at=started_at,
            finished_at=finished_at,
            server_version=facts.version,
            server_version_num=facts.version_num,
            files=tuple(files),
            data_size=sum(sizes.values()),
            restored_size=restored[""] + sum(t.restored_size for t in tablespaces) if parent else 0,
            tablespaces=tablespaces,
            parent=parent.label if parent else None,
            from_standby=facts.in_recovery,
            requirements=needs,
            timings={"stream": round(streamed - begin, 3), "wal": round(clock.monotonic() - streamed, 3)},
            lifeboat_version=VERSION,
            recipients=seal.recipients,
            contents=read_contents(config.connection, config.verify.count_tables),
        )
        put_records(required, record, manifest.as_dict(), manifest.files)
    _lock_chain(config, repositories, found.chain, found.type, progress)
    if seal.seals and config.spool_dir:
        manifests.keep(config.spool_dir, label, raw, [b.label for b in found.chain])
    progress.note(f"backup {label} is complete: {manifest.stored_size} bytes stored for {manifest.data_size}")
    return manifest


def _lock_chain(
    config: Config, repositories: Repositories, chain: Sequence[BackupManifest], kind: str, progress: Progress
) -> None:
    """Lock the chain for as long as the new backup. Failures are only noted, because retention renews locks too."""
    until = clock.now() + timedelta(days=config.retention.days_of(kind))
    stores = {entry.name: entry.store for entry in config.repositories}
    for repository in repositories.required:
        locks = open_locks(stores[repository.name])
        if locks is None:
            continue
        names = [(b.label, name) for b in chain for name in (*(f.name for f in b.files), MANIFEST)]
        done = extend(locks, [repository.layout.backup(label, name) for label, name in names], until, until)
        locks.close()
        if done.error:
            progress.note(f"{repository.name}: the locks of the chain were not extended: {done.error.message}")


def _ready_parent(
    config: Config, parent: BackupManifest, required: Tuple[Repository, ...], sql: Session, progress: Progress
) -> bytes:
    """The parent's ``backup_manifest``, once the server has the WAL summaries since the parent's start."""
    position = summaries.read_position(config.connection)
    summaries.require_summaries(sql, position.path, parent.start_lsn, parent.label)
    progress.phase("wait for WAL summaries")
    summaries.await_summarizer(sql, position.lsn, config.backup.summary_timeout)
    return manifests.read_parent(parent, required, config.spool_dir)
