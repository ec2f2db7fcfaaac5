# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide a restore: which repository, backup, timeline and WAL, into which directories. Touches nothing."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from typing import Dict, List, Optional, Sequence, Tuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .. import clock
from ..codec import archive
from ..config import Config
from ..errors import ConfigError, ObjectCorrupt, RecoveryFailed, TargetUnreachable
from ..model import BackupManifest, Target
from ..postgres.controldata import program
from ..postgres.server import refuse_root
from ..postgres.timeline import TimelinePath, path_to
from ..postgres.wal_names import parse_lsn
from ..process import run
from ..repository.catalog import Catalog, load_catalog, missing_files
from ..repository.chain import Chain
from ..repository.layout import compression_of, is_sealed, server_manifest
from ..repository.repository import Repositories, Repository, histories
from ..wal import scan
from ..wal.fetch import Source, read_wal
from ..wal.inventory import Run, archived, find_run
from . import delta
from . import target as decide
from .combine import help_text
from .pieces import NO_PIECES, Pieces, look
from .places import is_satisfied, require_room, survey
from .request import RestorePlan, RestoreRequest


def plan(config: Config, request: RestoreRequest) -> RestorePlan:
    """Look at everything the restore needs; raise before anything is touched if it cannot succeed."""
    begin = clock.monotonic()
    refuse_root()
    data_dir = request.data_dir or config.data_dir
    if not data_dir:
        raise ConfigError(
            "No data directory is named.", "Set data_dir in the configuration, or name one for this restore."
        )
    if not config.source:
        raise ConfigError(
            "A restore needs a configuration file.",
            "PostgreSQL calls 'lifeboat --config FILE wal-fetch'; name the file.",
        )
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        route = _route(repository, config, request, data_dir)
        passed = tuple(f"{u.repository}: {u.error.message}" for u in repositories.passed_over)
    finally:
        repositories.close()
    backup = route.chain[-1]
    if len(route.chain) > 1:
        help_text(config.bin_dir)
    archive.require({compression_of(file.name) for link in route.chain for file in link.files})
    archiving = request.archiving == "on" or (request.archiving == "auto" and _same(data_dir, config.data_dir))
    places = () if route.satisfied else survey(request, route.chain, data_dir, config.bin_dir)
    if request.delta and places:
        places = delta.measured(places, route.chain)
    require_room(places)
    _require_config_file(config, backup)
    needed = decide.segments_needed(backup, route.target, route.position, route.run)
    seconds, basis = decide.estimate_seconds(route.chain, needed)
    return RestorePlan(
        request=request,
        target=route.target,
        repository=repository.location,
        source=Source(
            repository.name,
            tuple(u.repository for u in repositories.passed_over),
            pieces=_with_pieces(request, route.target),
        ),
        pieces=route.pieces,
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
        notes=(f"estimate: {basis}", *route.notes),
        seconds=clock.monotonic() - begin,
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


def _route(repository: Repository, config: Config, request: RestoreRequest, data_dir: str) -> _Route:
    catalog, bin_dir = load_catalog(repository), config.bin_dir
    backups = _candidates(catalog, request.label)
    system = backups[-1].system_identifier
    _require_version(bin_dir, backups[-1])
    known = dict(histories(repository, system))
    zone, zone_note = _zone(backups[-1], request.target)
    target = request.target.resolved(zone)
    path = decide.choose_timeline(target, [b.timeline for b in catalog.of_system(system)], known)
    located = (
        _locate(repository, bin_dir, system, backups, path, known, target) if target.kind in ("xid", "name") else None
    )
    position = decide.target_position(target, located)
    chain, broken = _choose(repository, catalog, backups, target, position, request.label, path)
    backup = chain[-1]
    path = path or path_to(backup.timeline, known)
    found = _run(repository, system, path, backup)
    decide.require_consistent(backup, found)
    _require_opened(repository, chain, found, decide.segments_needed(backup, target, position, found))
    pace = scan.last_commits(repository, bin_dir, system, found.segments) if target.kind in ("time", "latest") else None
    pieces = look(repository, bin_dir, system, path, found) if _with_pieces(request, target) else NO_PIECES
    latest = pieces.latest or (pace.last if pace else None)
    end = None
    if target.kind == "lsn" and found.segments and parse_lsn(target.value or "") >= found.segments[-1].start:
        end = scan.last_record(repository, bin_dir, system, found.segments[-1])
    satisfied = is_satisfied(request, target.describe(), data_dir, bin_dir, config.as_of)
    if not satisfied:
        # A restored server archives that it left this timeline just there: what is done was reachable.
        decide.require_reachable(target, position, found, latest, clock.now(), end)
    notes = list(zone_note) + [f"damaged, not considered: {d.label}" for d in catalog.damaged]
    notes += [*broken, *pieces.notes]
    rate = pace.rate if pace else None
    return _Route(target, chain, path, found, position, latest, rate, tuple(notes), pieces, satisfied)


def _with_pieces(request: RestoreRequest, target: Target) -> bool:
    return request.pieces and target.kind == "latest"


def _require_opened(repository: Repository, chain: Chain, found: Run, needed: int) -> None:
    """IdentityMissing or IdentityRefused unless what is sealed can be opened here, tried with the smallest files."""
    for link in chain:
        file = server_manifest(link.files)
        key = repository.layout.backup(link.label, file.name)
        # Damage is for the restore itself to tell.
        with contextlib.suppress(ObjectCorrupt):
            if is_sealed(key):
                repository.seal.open_bytes(repository.store.get(key), key)
    for segment in [s for s in found.sealed if s in found.segments[:needed]][:1]:
        read_wal(repository, chain[-1].system_identifier, segment.name)


def _candidates(catalog: Catalog, label: Optional[str]) -> Sequence[BackupManifest]:
    """The asked backup, or all of the newest one's cluster, oldest first."""
    if label:
        return [catalog.find(label)]
    return sorted(catalog.of_system(catalog.newest().system_identifier), key=lambda b: b.finished_at)


def _choose(
    repository: Repository,
    catalog: Catalog,
    backups: Sequence[BackupManifest],
    target: Target,
    position: Optional[int],
    label: Optional[str],
    path: Optional[TimelinePath],
) -> Tuple[Chain, List[str]]:
    """The chain to restore, all of whose files are there, and what was passed over because one is not."""
    everything = catalog.of_system(backups[-1].system_identifier)
    faults: Dict[str, str] = {}
    while True:
        chains = catalog.chains(faults)
        chosen = decide.choose_whole(
            backups, everything, chains.broken, repository.location, target, position, label, path
        )
        wrong = missing_files(repository, chains.whole[chosen.label])
        if not wrong:
            newer = [b for b in backups if b.finished_at > chosen.finished_at and b.label in chains.broken]
            return chains.whole[chosen.label], [f"not considered: {chains.broken[b.label]}" for b in newer]
        faults.update(wrong)


def _run(repository: Repository, system: str, path: TimelinePath, backup: BackupManifest) -> Run:
    timelines = [s.timeline for s in path.steps if s.timeline >= backup.timeline]
    have = archived(repository, system, timelines, backup.start_lsn, backup.segment_size)
    return find_run(path, backup.start_lsn, backup.segment_size, have)


def _locate(
    repository: Repository,
    bin_dir: Optional[str],
    system: str,
    backups: Sequence[BackupManifest],
    path: Optional[TimelinePath],
    known: Dict[int, str],
    target: Target,
) -> int:
    """Search the WAL behind the oldest backup for a restore point or a transaction."""
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
            "Check its spelling; or restore to a time.",
            missing=list(found.missing),
        )
    return position


def _zone(newest: BackupManifest, target: Target) -> Tuple[tzinfo, List[str]]:
    """The source server's TimeZone, as PostgreSQL itself would read a time without a zone."""
    if target.kind != "time" or target.moment(None).tzinfo:
        return timezone.utc, []
    name = str((newest.requirements.get("settings") or {}).get("TimeZone") or "UTC")
    try:
        zone: tzinfo = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        zone, name = timezone.utc, f"UTC ({name} is unknown on this host)"
    return zone, [f"the time has no zone: read as {name}, the server's TimeZone"]


def _require_version(bin_dir: Optional[str], backup: BackupManifest) -> None:
    words = run([program(bin_dir, "postgres"), "--version"]).stdout
    major = backup.server_version_num // 10000
    here = next((w for w in words.split() if w[:1].isdigit()), "")
    if here.split(".")[0] != str(major):
        raise RecoveryFailed(
            f"Backup {backup.label} is of PostgreSQL {backup.server_version};"
            f" here is {here or 'an unknown version'} ({bin_dir or 'on PATH'}).",
            f"Install PostgreSQL {major} and set bin_dir to its programs.",
            label=backup.label,
        )


def _require_config_file(config: Config, backup: BackupManifest) -> None:
    """A server whose configuration lay outside its data directory needs that configuration here too."""
    files = backup.requirements.get("config_files") or {}
    outside = files.get("config_file") and not str(files["config_file"]).startswith(
        str(files.get("data_directory", "")) + "/"
    )
    if outside and not config.config_file:
        raise ConfigError(
            f"The source's postgresql.conf lay outside its data directory, at {files['config_file']},"
            " so the backup does not hold it.",
            "Set config_file to the postgresql.conf that the restored server shall use.",
        )
    if config.config_file and not os.path.isfile(config.config_file):
        raise ConfigError(
            f"config_file {config.config_file} does not exist.", "Restore the server's configuration first."
        )


def _same(path: str, other: Optional[str]) -> bool:
    return bool(other) and os.path.realpath(path) == os.path.realpath(other or "")
