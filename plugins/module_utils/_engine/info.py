# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository holds: backups, windows, gaps, and how long a restore would take. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, List, Sequence, Tuple

from . import clock
from .config import Config
from .errors import ObjectCorrupt
from .model import BackupManifest, format_time
from .postgres.timeline import TimelinePath, path_to
from .postgres.wal_names import format_lsn
from .repository.catalog import Catalog, load_catalog
from .repository.chain import Chains
from .repository.holds import read_holds
from .repository.repository import Repositories, Repository, histories
from .repository.verifications import last_verified
from .restore.target import estimate_seconds
from .restore_test.records import last_tested
from .retention.policy import RetentionConfig
from .wal.inventory import Run, archived, find_run
from .wal.pieces import NO_TAIL, Tail, follow


@dataclass(frozen=True)
class Window:
    """A span of time to which a point-in-time restore can go, on one timeline.

    From the moment the ``label`` backup was consistent to the time the last uninterrupted segment reached the store;
    the last reachable commit is not later than that. ``missing`` names the segments of a gap that ends it.
    ``pieces`` is what a restore to the latest moment finds behind that, of segments that are not complete yet.
    """

    system_identifier: str
    timeline: int
    label: str
    start: datetime
    end: datetime
    end_lsn: int
    missing: Tuple[str, ...] = ()
    missing_count: int = 0
    pieces: Tail = NO_TAIL

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {
            "system_identifier": self.system_identifier,
            "timeline": self.timeline,
            "label": self.label,
            "start": format_time(self.start),
            "end": format_time(self.end),
            "end_lsn": format_lsn(self.end_lsn),
            "seconds": (self.end - self.start).total_seconds(),
            "missing": list(self.missing),
            "missing_count": self.missing_count,
            "pieces_end_lsn": format_lsn(self.pieces.end) if self.pieces.end is not None else None,
            "pieces_end": format_time(self.pieces.stored_at) if self.pieces.stored_at else None,
        }


@dataclass(frozen=True)
class Contents:
    """A repository's backups with what the WAL behind each of them allows."""

    repository: Repository
    catalog: Catalog
    runs: Dict[str, Run]
    windows: Tuple[Window, ...]
    chains: Chains


def read_contents(repository: Repository, retention: RetentionConfig) -> Contents:
    """Read the catalog and list the WAL of every cluster identity in it.

    Where WAL is missing only before the window that ``retention`` keeps, that is no gap: the backup is restored to its
    own end, and begins no window.
    """
    catalog = load_catalog(repository)
    runs: Dict[str, Run] = {}
    paths: Dict[str, TimelinePath] = {}
    for system in {b.system_identifier for b in catalog.backups}:
        backups = catalog.of_system(system)
        known = dict(histories(repository, system))
        size = backups[0].segment_size
        timelines = sorted({*known, *(b.timeline for b in backups)})
        have = archived(repository, system, timelines, min(b.start_lsn for b in backups), size)
        for backup in backups:
            paths[backup.label] = path_to(backup.timeline, known)
            runs[backup.label] = find_run(paths[backup.label], backup.start_lsn, size, have)
    chains = catalog.chains()
    whole, window_start = chains.restorable, retention.window_start(clock.now())
    alone = {b.label for b in catalog.backups if stands_alone(b, runs[b.label], paths[b.label], whole, window_start)}
    runs.update({label: replace(runs[label], gap=()) for label in alone})
    windows = tuple(
        replace(w, pieces=follow(repository, w.system_identifier, paths[w.label], runs[w.label]))
        for w in find_windows([b for b in whole if b.label not in alone], runs)
    )
    return Contents(repository, catalog, runs, windows, chains)


def stands_alone(
    backup: BackupManifest, run: Run, path: TimelinePath, whole: Sequence[BackupManifest], window_start: datetime
) -> bool:
    """Whether all WAL that is missing behind a backup is older than what recovery into the window begins with. Pure."""
    last = run.gap[-1] if run.gap else None
    return (
        last is not None
        and run.end >= backup.stop_lsn
        and any(
            b.system_identifier == backup.system_identifier
            and b.finished_at <= window_start
            and b.start_lsn >= last.end
            and path.contains(b.timeline, b.stop_lsn)
            for b in whole
        )
    )


def find_windows(backups: Sequence[BackupManifest], runs: Dict[str, Run]) -> List[Window]:
    """Join the runs of backups that reach the same end on the same timeline into windows, oldest first. Pure."""
    windows: Dict[Tuple[str, int, int], Window] = {}
    for backup in sorted(backups, key=lambda b: b.finished_at):
        run = runs[backup.label]
        if run.archived_at is None or run.end < backup.stop_lsn:
            continue
        key = (backup.system_identifier, backup.timeline, run.end)
        windows.setdefault(
            key,
            Window(
                backup.system_identifier,
                backup.timeline,
                backup.label,
                backup.finished_at,
                max(run.archived_at, backup.finished_at),
                run.end,
                run.missing,
                run.missing_count,
            ),
        )
    return list(windows.values())


def describe(config: Config) -> Dict[str, Any]:
    """Everything a person or a playbook asks before a restore, from the first repository that answers.

    Keys: ``cluster``, ``repository``, ``passed_over``, ``backups`` (manifests with ``chain``, ``broken``,
    ``restorable``, ``estimated_seconds``, ``verified_at``, ``tested``, ``held``), ``windows``, ``gaps``,
    ``unfinished``, ``damaged``.
    """
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        contents = read_contents(repository, config.retention)
        verified, held, tested = last_verified(repository), _held(repository), last_tested(repository)
        passed = [{"repository": u.repository, **u.error.as_dict()} for u in repositories.passed_over]
    finally:
        repositories.close()
    catalog = contents.catalog
    return {
        "cluster": config.cluster,
        "repository": repository.location,
        "passed_over": passed,
        "backups": [
            {
                **_backup(b, contents),
                "verified_at": format_time(verified[b.label]) if b.label in verified else None,
                "tested": tested[b.label].as_dict() if b.label in tested else None,
                "held": held.get(b.label),
            }
            for b in catalog.backups
        ],
        "windows": [w.as_dict() for w in contents.windows],
        "gaps": [
            {"label": label, "missing": list(run.missing), "missing_count": run.missing_count}
            for label, run in sorted(contents.runs.items())
            if run.missing
        ],
        "unfinished": list(catalog.unfinished),
        "damaged": [{"label": d.label, **d.error.as_dict()} for d in catalog.damaged],
    }


def _held(repository: Repository) -> Dict[str, str]:
    """The reasons of holds by label; none where a record of them is damaged, which is retention's to tell."""
    try:
        return {label: event.reason for label, event in read_holds(repository).items()}
    except ObjectCorrupt:
        return {}


def _backup(backup: BackupManifest, contents: Contents) -> Dict[str, Any]:
    run, chain = contents.runs[backup.label], contents.chains.whole.get(backup.label)
    seconds, basis = estimate_seconds(chain or (backup,), len(run.segments))
    return {
        **backup.as_dict(),
        "stored_size": backup.stored_size,
        "final_size": backup.final_size,
        "chain": [b.label for b in chain or ()],
        "chain_stored_size": sum(b.stored_size for b in chain or ()),
        "broken": None if chain else str(contents.chains.broken[backup.label]),
        "restorable": chain is not None and run.end >= backup.stop_lsn,
        "estimated_seconds": round(seconds, 1),
        "estimate_basis": basis,
    }
