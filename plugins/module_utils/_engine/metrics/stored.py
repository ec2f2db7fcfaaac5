# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of one repository, which can be read from anywhere, even after the loss of the host."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Dict, List, Mapping, Optional

from ..base.errors import LifeboatError
from ..config.load import Config, RepositoryConfig
from ..escalation import taken_care_until
from ..incident.places import stored_in
from ..incident.timeline import Incident
from ..listing import Contents, read_contents
from ..records.model import BACKUP_TYPES, BackupManifest
from ..repository.drills import Drills, read_drills
from ..repository.kinds import kind_of
from ..repository.labels import begun, type_of
from ..repository.locks import locked_until
from ..repository.log_names import log_chunk
from ..repository.repository import Repository
from ..repository.restore_tests import Tested, look_at_tests
from ..repository.verifications import Known, read_known
from ..restore import Pace, estimate_seconds, last_pace
from ..usage import Difference, RepositoryUsage
from .samples import Samples

# Limit, because a writer could open thousands.
_MOST_INCIDENTS = 20


@dataclass(frozen=True)
class Stored:
    """The data for a repository's metrics. ``file_sets``, ``dumps`` and ``logs`` have the newest time by name."""

    contents: Contents
    known: Known
    tests: Mapping[str, Tested]
    pace: Optional[Pace] = None
    locked_until: Optional[datetime] = None
    file_sets: Mapping[str, datetime] = field(default_factory=dict)
    dumps: Mapping[str, datetime] = field(default_factory=dict)
    logs: Mapping[str, datetime] = field(default_factory=dict)
    drills: Drills = Drills()
    incidents: Mapping[str, Incident] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Figures that take a listing of everything: the size of the repository, what it lacks that another one has (None
    without another one), and when retention last succeeded in it, if known.
    """

    usage: RepositoryUsage
    difference: Optional[Difference] = None
    pruned: Optional[datetime] = None


def measured_samples(config: Config, found: Measured) -> Samples:
    """The samples of what was measured in a repository. Pure."""
    samples = Samples(cluster=config.cluster, repository=found.usage.repository)
    for kind, amount in found.usage.usage.kinds.items():
        samples.add("repository_bytes", amount.bytes, kind=kind)
        samples.add("repository_objects", amount.objects, kind=kind)
    if limit := found.usage.limit:
        samples.add("repository_quota_bytes", limit.bytes)
        samples.add("repository_free_bytes", limit.free)
    if found.difference:
        samples.add("repository_lag_bytes", found.difference.lag)
        samples.add("repository_conflicts", found.difference.conflicts)
    samples.add("retention_last_success_timestamp_seconds", found.pruned)
    return samples


def read_stored(config: Config, entry: RepositoryConfig, repository: Repository) -> Stored:
    """Read the records of backups, verifications, restore tests and drills, and list everything else."""
    contents = read_contents(repository, config.retention)
    newest = contents.chains.newest
    return Stored(
        contents,
        read_known(repository),
        look_at_tests(repository)[0],
        last_pace(repository, None),
        _locked_until(entry, repository, newest) if newest else None,
        _newest(repository, repository.layout.files, "files"),
        _newest(repository, repository.layout.dumps, "dump"),
        _logs(repository),
        read_drills(repository),
        {name: found for name, found in stored_in(config, repository).items() if found.is_open},
    )


def _locked_until(entry: RepositoryConfig, repository: Repository, newest: BackupManifest) -> Optional[datetime]:
    """When the lock of the newest backup ends; None without a lock, or if it cannot be read."""
    with suppress(LifeboatError):
        return locked_until(entry.store, repository.layout.manifest(newest.label))
    return None


def _newest(repository: Repository, prefix: str, kind_name: str) -> Dict[str, datetime]:
    """When the newest finished copy or dump began, by file set or database."""
    found: Dict[str, datetime] = {}
    for info in repository.store.list(prefix):
        kind = kind_of(repository.layout.cluster, info.key)
        at = begun(kind.owner) if kind.name == kind_name and kind.record else None
        # A writer can choose any label, but not the time at which the record was stored.
        if at is not None and at <= info.modified:
            found[kind.part] = max(at, found.get(kind.part, at))
    return found


def _logs(repository: Repository) -> Dict[str, datetime]:
    """When the newest chunk was stored, by stream."""
    found: Dict[str, datetime] = {}
    for info in repository.store.list(repository.layout.logs):
        if chunk := log_chunk(info.key):
            found[chunk.stream] = max(info.modified, found.get(chunk.stream, info.modified))
    return found


def stored_samples(
    config: Config, entry: RepositoryConfig, stored: Optional[Stored], read_at: Optional[datetime], up: bool
) -> Samples:
    """The samples of one repository: the data last read, and whether it can be read now (``up``). Pure."""
    samples = Samples(cluster=config.cluster, repository=entry.name)
    samples.add("repository_up", up)
    samples.add("repository_required", entry.required)
    if stored is None:
        return samples
    samples.add("repository_read_timestamp_seconds", read_at)
    _backups(samples, stored.contents)
    _wal(samples, stored)
    samples.add("verification_last_timestamp_seconds", stored.known.newest)
    if stored.known.newest:
        samples.add("verification_damaged_objects", stored.known.damaged)
    samples.add("audit_faults", stored.known.audit_faults)
    if stored.tests:
        last = max(stored.tests.values(), key=lambda test: test.at)
        samples.add("restore_test_last_timestamp_seconds", last.at)
        samples.add("restore_test_last_proven", last.proven)
        samples.add("restore_test_last_duration_seconds", last.seconds)
    _drills(samples, stored.drills)
    samples.add("lock_until_timestamp_seconds", stored.locked_until)
    # A file set that was never stored has time 0, because an age rule would ignore a missing sample.
    never = datetime.fromtimestamp(0, timezone.utc)
    for name in {chosen.name for chosen in config.file_sets} | set(stored.file_sets):
        samples.add("file_set_last_success_timestamp_seconds", stored.file_sets.get(name, never), file_set=name)
    for database, at in stored.dumps.items():
        samples.add("dump_last_success_timestamp_seconds", at, database=database)
    for stream, at in stored.logs.items():
        samples.add("log_last_shipped_timestamp_seconds", at, stream=stream)
    if read_at:
        _incidents(samples, config, stored.incidents, read_at)
    return samples


def _drills(samples: Samples, drills: Drills) -> None:
    if drills.last_passed:
        samples.add("drill_last_success_timestamp_seconds", drills.last_passed.stored_at)
    if last := drills.last:
        samples.add("drill_last_passed", last.passed)
        samples.add("drill_last_rto_seconds", last.rto)
        samples.add("drill_last_rpo_seconds", last.rpo)
        samples.add("drill_last_lost_transactions", last.lost_transactions)


def _incidents(samples: Samples, config: Config, incidents: Mapping[str, Incident], now: datetime) -> None:
    """Samples of open incidents only, so that their number stays small."""
    for name, incident in list(incidents.items())[:_MOST_INCIDENTS]:
        until = taken_care_until(incident, config.incidents)
        updated = incident.updated
        samples.add("incident_started_timestamp_seconds", incident.began, incident=name)
        samples.add("incident_acknowledged", until is not None and now < until, incident=name)
        samples.add("incident_last_update_timestamp_seconds", updated.when if updated else None, incident=name)
        if incident.deadline:
            left = (incident.deadline - now).total_seconds()
            samples.add("incident_remaining_seconds", left, incident=name)


def _backups(samples: Samples, contents: Contents) -> None:
    catalog, chains = contents.catalog, contents.chains
    counts: Counter[tuple[str, str]] = Counter()
    for kind in BACKUP_TYPES:
        counts[kind, "whole"] = 0
    counts.update((b.type, "whole" if b.label in chains.whole else "broken") for b in catalog.backups)
    counts.update((type_of(label), "unfinished") for label in catalog.unfinished)
    counts.update((type_of(d.label), "damaged") for d in catalog.damaged)
    for (kind, state), number in counts.items():
        samples.add("backups", number, type=kind, state=state)
    samples.add("repository_set_apart_objects", len(contents.aside))
    for kind in BACKUP_TYPES:
        whole: List[BackupManifest] = sorted(
            (b for b in catalog.backups if b.type == kind and b.label in chains.whole), key=lambda b: b.finished_at
        )
        for last in whole[-1:]:
            samples.add("backup_last_success_timestamp_seconds", last.finished_at, type=kind)
            samples.add("backup_last_duration_seconds", (last.finished_at - last.started_at).total_seconds(), type=kind)
            samples.add("backup_last_stored_bytes", last.stored_size, type=kind)
            samples.add("backup_last_restored_bytes", last.final_size, type=kind)
        for previous in whole[-2:-1]:
            samples.add("backup_previous_stored_bytes", previous.stored_size, type=kind)


def _wal(samples: Samples, stored: Stored) -> None:
    contents = stored.contents
    way = contents.to_latest()
    severed = way.run.missing_count if way else 0
    every = sum(run.missing_count for _label, run in contents.gaps())
    samples.add("wal_missing_segments", severed, severs="latest")
    samples.add("wal_missing_segments", max(0, every - severed), severs="history")
    if contents.windows:
        last = contents.windows[-1]
        samples.add("window_start_timestamp_seconds", last.start)
        samples.add("window_end_timestamp_seconds", last.end)
        samples.add("stream_newest_piece_timestamp_seconds", last.pieces.stored_at)
    if way:
        samples.add("wal_newest_object_timestamp_seconds", way.run.archived_at)
        seconds, _basis = estimate_seconds(contents.chains.whole[way.backup.label], len(way.run.segments), stored.pace)
        samples.add("restore_estimated_seconds", seconds)


def objective_samples(config: Config) -> Samples:
    """The configured objectives in seconds, so that rules need no thresholds of their own. Pure."""
    samples, promised = Samples(cluster=config.cluster), config.objectives
    day = 86400.0
    for name, value in (
        ("rpo", promised.rpo),
        ("rto", promised.rto),
        ("window", None if promised.window is None else promised.window * day),
        ("backup_age", promised.max_backup_age),
        ("drill_age", None if promised.max_drill_age is None else promised.max_drill_age * day),
        ("verify_age", None if promised.max_verify_age is None else promised.max_verify_age * day),
    ):
        samples.add("objective_seconds", value, objective=name)
    return samples
