# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide a restore: which repository, backup, timeline and WAL, into which directories. Changes nothing."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Collection, Dict, Iterator, List, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ConfigError, LifeboatError, ObjectCorrupt, RecoveryFailed, TargetUnreachable, WalGap
from ..base.process import run
from ..base.wal_names import format_lsn, parse_lsn
from ..codec import archive
from ..config.load import Config
from ..erasure import read_register, require_confirmed
from ..postgres.controldata import program
from ..postgres.server import is_running, refuse_root
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import BackupManifest, Target
from ..repository.catalog import Catalog, load_catalog, missing_files
from ..repository.chain import Chain, progress_of
from ..repository.histories import Histories, read_histories
from ..repository.layout import compression_of, is_sealed, server_manifest
from ..repository.repository import Repositories, Repository
from ..wal import scan
from ..wal.fetch import Source, read_wal
from ..wal.inventory import Run, archived, find_run
from . import beforehand, delta, local_time
from . import target as decide
from .branches import branches_at
from .combine import IN_PLACE, help_text
from .marker import is_satisfied
from .pace import Pace, estimate_seconds, last_pace
from .pieces import NO_PIECES, Pieces, look
from .places import require_room, survey
from .request import RestorePlan, RestoreRequest, permanent_settings
from .standby import notes as standby_notes
from .standby import require_possible
from .ways_out import fork_named, mended_from


def plan(config: Config, request: RestoreRequest) -> RestorePlan:
    """Check everything that the restore needs, and raise if it cannot succeed, before anything is changed."""
    begin = clock.monotonic()
    refuse_root()
    data_dir = request.data_dir or config.data_dir
    if not data_dir:
        raise ConfigError(
            "The restore has no data directory.", "Set data_dir in the configuration, or give one for this restore."
        )
    if not config.source:
        raise ConfigError(
            "A restore needs a configuration file.",
            "Give the file (--config): PostgreSQL calls 'lifeboat --config FILE wal-fetch'.",
        )
    repositories = Repositories.open(config)
    # In parallel with the search, so that an unavailable repository does not delay the plan.
    with ThreadPoolExecutor(1, "lifeboat-register") as pool:
        reading = pool.submit(read_register, config) if request.erasures else None
        try:
            repository = repositories.readable()
            with mended_from(config, repository):
                route = _route(repository, config, request, data_dir)
            passed = tuple(f"{u.repository}: {u.error.message}" for u in repositories.passed_over)
        finally:
            repositories.close()
    register = reading.result() if reading and not route.satisfied else None
    backup = route.chain[-1]
    if len(route.chain) > 1 and config.restore.combine != IN_PLACE:
        help_text(config.bin_dir)
    archive.require({compression_of(file.name) for link in route.chain for file in link.files})
    archiving = request.archiving == "on" or (request.archiving == "auto" and _same(data_dir, config.data_dir))
    places = () if route.satisfied else survey(request, route.chain, data_dir, config)
    if request.delta and places:
        places = delta.measured(places, route.chain)
    require_room(places)
    _require_config_file(config, backup)
    if not route.satisfied:
        beforehand.require_settings(config.bin_dir, request.settings)
        beforehand.require_port(request, data_dir, config.connection.port)
        require_possible(config, request, permanent_settings(request, archiving))
    needed = decide.segments_needed(backup, route.target, route.position, route.run)
    seconds, basis = estimate_seconds(route.chain, needed, route.pace)
    planned = RestorePlan(
        request=request,
        target=route.target,
        repository=repository.location,
        source=Source(
            repository.name,
            tuple(u.repository for u in repositories.passed_over),
            pieces=_with_pieces(request, route.target),
        ),
        pieces=route.pieces,
        last_record=route.last_record,
        passed_over=passed,
        chain=route.chain,
        path=route.path,
        run=route.run,
        data_dir=data_dir,
        places=places,
        archiving=archiving,
        segments_needed=needed + len(route.pieces.segments),
        estimated_seconds=seconds,
        located=route.position,
        latest_commit=route.latest,
        commit_rate=route.commit_rate,
        satisfied=route.satisfied,
        notes=(
            f"estimate: {basis}",
            *route.notes,
            *standby_notes(request, route.run),
            *_by_hand(request, backup, data_dir, config.bin_dir),
        ),
        warnings=(*route.warnings, *_wal_elsewhere(request, data_dir)),
        register=register,
        seconds=clock.monotonic() - begin,
    )
    if register and request.action == "promote" and request.unconfirmed == "refuse":
        require_confirmed(planned.possible_erasures, register.late, request.confirm_erasures)
    return planned


def _by_hand(request: RestoreRequest, backup: BackupManifest, data_dir: str, bin_dir: Optional[str]) -> Iterator[str]:
    """Notes on what is left to do by hand."""
    if request.assume_stopped and os.path.isdir(data_dir) and is_running(bin_dir, data_dir):
        yield f"a server is running in {data_dir}: stop it before the restore"
    slots = backup.requirements.get("replication_slots") or {}
    if slots:
        told = ", ".join(f"{name} ({what})" for name, what in sorted(slots.items()))
        yield f"backups do not include replication slots: create those again that are needed: {told}"


def _wal_elsewhere(request: RestoreRequest, data_dir: str) -> Iterator[str]:
    """The warning that ``pg_wal`` is a link now, but will not be one."""
    link = os.path.join(data_dir, "pg_wal")
    if os.path.islink(link) and not request.wal_dir and not request.delta:
        yield (
            f"{link} is a link to {os.path.realpath(link)}, but the restored cluster will have its WAL in {data_dir}:"
            " choose a directory for it (--wal-dir, wal_dir)"
        )


@dataclass(frozen=True)
class _Route:
    target: Target
    chain: Chain
    path: TimelinePath
    run: Run
    position: Optional[int]
    latest: Optional[datetime]
    commit_rate: Optional[float]
    notes: Tuple[str, ...]
    pieces: Pieces
    satisfied: bool
    warnings: Tuple[str, ...]
    pace: Optional[Pace]
    last_record: Optional[int]


def _route(repository: Repository, config: Config, request: RestoreRequest, data_dir: str) -> _Route:
    catalog, bin_dir = load_catalog(repository), config.bin_dir
    backups = _candidates(catalog, request.label)
    system = backups[-1].system_identifier
    _require_version(bin_dir, backups[-1])
    told = read_histories(repository, system)
    known = told.texts
    zone = str((backups[-1].requirements.get("settings") or {}).get("TimeZone") or "UTC")
    target, zone_note = local_time.resolve(config, zone, request.target)
    own = {b.timeline for b in catalog.of_system(system)}
    path = decide.choose_timeline(target, own, known, told.stored)
    with fork_named(repository, system, target, path, own):
        located = (
            _locate(repository, bin_dir, system, backups, path, known, target)
            if target.kind in ("xid", "name")
            else None
        )
        position = decide.target_position(target, located)
        chain, broken = _choose(repository, catalog, backups, target, position, request.label, path)
    backup = chain[-1]
    path = path or path_to(backup.timeline, known)
    _require_history(told, target, path)
    found = _run(repository, system, path, backup)
    decide.require_consistent(backup, found)
    _require_opened(repository, chain, found, decide.segments_needed(backup, target, position, found))
    pace = scan.last_commits(repository, bin_dir, system, found.segments) if target.kind in ("time", "latest") else None
    pieces = look(repository, bin_dir, system, path, found) if _with_pieces(request, target) else NO_PIECES
    latest = pieces.latest or (pace.last if pace else None)
    end = None
    last_segment = target.kind == "lsn" and found.segments and parse_lsn(target.value or "") >= found.segments[-1].start
    if last_segment or (request.action == "standby" and found.segments):
        end = scan.last_record(repository, bin_dir, system, found.segments[-1])
    satisfied = is_satisfied(request, target.describe(), data_dir, bin_dir, config.as_of)
    if not satisfied:
        # The restored server archives a history that forks exactly there: a finished restore was reachable.
        try:
            decide.require_reachable(target, position, found, latest, clock.now(), end)
        except (TargetUnreachable, WalGap):
            # Look up the last record and commit only for a refusal, because that downloads segments.
            end = scan.last_record(repository, bin_dir, system, found.segments[-1]) if found.segments else None
            pace = pace or scan.last_commits(repository, bin_dir, system, found.segments)
            latest = latest or (pace.last if pace else None)
            decide.require_reachable(target, position, found, latest, clock.now(), end)
            raise
        if target.kind == "name" and position is not None:
            between = [s for s in found.segments if s.start <= position]
            places = scan.positions(repository, bin_dir, system, between, target)
            beforehand.require_single(target, backup, [p for p in places if backup.start_lsn <= p <= position])
    notes = list(zone_note) + [f"damaged, not considered: {d.label}" for d in catalog.damaged]
    notes += [*broken, *pieces.notes]
    rate = pace.rate if pace else None
    # If pieces fill the hole, the segments stored ahead are used.
    filled = bool(found.unused) and (pieces.end or 0) >= found.next_needed.end
    warnings = tuple(decide.warnings_of(found)) if target.kind == "latest" and not filled else ()
    if target.kind == "time" and target.timeline == "latest" and known:
        warnings += tuple(_elsewhere(repository, system, target, path, backup, told.stored & {*own, *known}))
    measured = None
    # A failed forecast must not prevent a restore.
    with contextlib.suppress(LifeboatError):
        measured = None if satisfied else last_pace(repository, data_dir)
    return _Route(
        target, chain, path, found, position, latest, rate, tuple(notes), pieces, satisfied, warnings, measured, end
    )


def _with_pieces(request: RestoreRequest, target: Target) -> bool:
    return request.pieces and target.kind == "latest"


def _require_opened(repository: Repository, chain: Chain, found: Run, needed: int) -> None:
    """IdentityMissing or IdentityRefused unless sealed objects can be opened here, tried with the smallest files."""
    for link in chain:
        file = server_manifest(link.files)
        key = repository.layout.backup(link.label, file.name)
        # The restore itself reports damage.
        with contextlib.suppress(ObjectCorrupt):
            if is_sealed(key):
                repository.seal.open_bytes(repository.store.get(key), key)
    for segment in [s for s in found.sealed if s in found.segments[:needed]][:1]:
        read_wal(repository, chain[-1].system_identifier, segment.name)


def _candidates(catalog: Catalog, label: Optional[str]) -> Sequence[BackupManifest]:
    """The requested backup, or all backups of the newest one's cluster, oldest first."""
    if label:
        return [catalog.find(label)]
    return sorted(catalog.of_system(catalog.newest().system_identifier), key=progress_of)


def _choose(
    repository: Repository,
    catalog: Catalog,
    backups: Sequence[BackupManifest],
    target: Target,
    position: Optional[int],
    label: Optional[str],
    path: Optional[TimelinePath],
) -> Tuple[Chain, List[str]]:
    """The chain to restore, with all files present, and notes on newer backups whose chain is broken."""
    everything = catalog.of_system(backups[-1].system_identifier)
    faults: Dict[str, str] = {}
    while True:
        chains = catalog.chains(faults)
        chosen = decide.choose_whole(
            backups, everything, chains.broken, repository.location, target, position, label, path
        )
        wrong = missing_files(repository, chains.whole[chosen.label])
        if not wrong:
            newer = [b for b in backups if progress_of(b) > progress_of(chosen) and b.label in chains.broken]
            return chains.whole[chosen.label], [f"not considered: {chains.broken[b.label]}" for b in newer]
        faults.update(wrong)


def _run(repository: Repository, system: str, path: TimelinePath, backup: BackupManifest) -> Run:
    timelines = [s.timeline for s in path.steps if s.timeline >= backup.timeline]
    have = archived(repository, system, timelines, backup.start_lsn, backup.segment_size)
    return find_run(path, backup.start_lsn, backup.segment_size, have)


def _elsewhere(
    repository: Repository, system: str, target: Target, path: TimelinePath, backup: BackupManifest,
    timelines: Collection[int],
) -> Iterator[str]:  # fmt: skip
    """Warnings that the moment is also on an abandoned timeline."""
    others = set(timelines) - {path.timeline}
    have = archived(repository, system, others, backup.start_lsn, backup.segment_size)
    for timeline in branches_at(path, target.moment(), have):
        left_at = path.fork_of(timeline)
        where = f" at {format_lsn(left_at)}" if left_at is not None else ""
        yield (
            f"timeline {timeline}, abandoned{where}, also has WAL of that moment, with other transactions:"
            f" --timeline {timeline} restores those"
        )


def _locate(
    repository: Repository,
    bin_dir: Optional[str],
    system: str,
    backups: Sequence[BackupManifest],
    path: Optional[TimelinePath],
    known: Dict[int, str],
    target: Target,
) -> int:
    """Search the WAL after the oldest backup for a restore point or a transaction; TargetUnreachable if not found."""
    usable = decide.on_path(backups, path) or list(backups)
    oldest = min(usable, key=lambda b: b.start_lsn)
    found = _run(repository, system, path or path_to(oldest.timeline, known), oldest)
    position = scan.locate(repository, bin_dir, system, found.segments, target)
    if position is None:
        what = "restore point" if target.kind == "name" else "end of the transaction"
        where = f"{found.segments[0].name} to {found.segments[-1].name}" if found.segments else "none"
        gap = f" The WAL is interrupted at {found.missing[0]}." if found.missing else ""
        raise TargetUnreachable(
            f"The archived WAL has no {what} {target.value!r} (searched: {where}).{gap}",
            "Check its spelling, or restore to a time.",
            missing=list(found.missing),
        )
    return position


def _require_version(bin_dir: Optional[str], backup: BackupManifest) -> None:
    words = run([program(bin_dir, "postgres"), "--version"]).stdout
    major = backup.server_version_num // 10000
    here = next((w for w in words.split() if w[:1].isdigit()), "")
    if here.split(".")[0] != str(major):
        raise RecoveryFailed(
            f"Backup {backup.label} needs PostgreSQL {backup.server_version}, but this host has"
            f" {here or 'an unknown version'} ({bin_dir or 'on PATH'}).",
            f"Install PostgreSQL {major} and set bin_dir to its programs.",
            label=backup.label,
        )


def _require_history(found: Histories, target: Target, path: TimelinePath) -> None:
    """Raise the error of a damaged history of the timeline of ``path``, or for ``latest`` also of a later one.

    A damaged history of a timeline without WAL is ignored: anybody who can store objects can create one.
    """
    later = [
        timeline
        for timeline in found.damaged
        if timeline == path.timeline
        or (target.timeline == "latest" and timeline > path.timeline and timeline in found.stored)
    ]
    if later:
        raise found.damaged[max(later)]


def _require_config_file(config: Config, backup: BackupManifest) -> None:
    """ConfigError if the server's configuration was outside its data directory and ``config_file`` is not set."""
    files = backup.requirements.get("config_files") or {}
    outside = files.get("config_file") and not str(files["config_file"]).startswith(
        str(files.get("data_directory", "")) + "/"
    )
    if outside and not config.config_file:
        raise ConfigError(
            f"The source's postgresql.conf was outside its data directory, at {files['config_file']},"
            " so the backup does not contain it.",
            "Set config_file to the postgresql.conf for the restored server.",
        )
    if config.config_file and not os.path.isfile(config.config_file):
        raise ConfigError(
            f"config_file {config.config_file} does not exist.", "Restore the server's configuration first."
        )


def _same(path: str, other: Optional[str]) -> bool:
    return bool(other) and os.path.realpath(path) == os.path.realpath(other or "")
