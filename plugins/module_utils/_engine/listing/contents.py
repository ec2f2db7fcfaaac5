# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of a repository: backups, windows, gaps, and the duration of a restore. Read-only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import StoreError
from ..base.wal_names import Segment, format_lsn
from ..config.load import Config
from ..config.retention import RetentionConfig
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import BackupManifest, format_time
from ..repository.catalog import Catalog, load_catalog
from ..repository.chain import Chains, progress_of
from ..repository.histories import Histories, read_histories
from ..repository.holds import look_at_holds
from ..repository.plausible import implausible
from ..repository.records import Aside, foreign
from ..repository.repository import Repositories, Repository
from ..repository.restore_tests import look_at_tests
from ..repository.signatures import told
from ..repository.verifications import read_known
from ..restore import Pace, estimate_seconds, last_pace, latest_timeline, on_path
from ..store.protocol import ObjectInfo
from ..wal.inventory import Archived, Run, archived, find_runs
from ..wal.pieces import NO_TAIL, Tail, follow

# Maximum number of set-apart objects to name.
_TOLD = 1000
# Maximum number of lost segments to name for each window.
_NAMED_LOST = 50


@dataclass(frozen=True)
class Window:
    """A span of time on one timeline that a point-in-time restore can reach.

    It begins when the backup ``label`` was consistent, and ends when the last contiguous segment reached the store;
    the last reachable commit is not later than that. ``missing``: the segments of a gap that ends it. ``pieces``:
    the streamed pieces of unfinished segments after it, for a restore to the latest moment. ``lost``: segments after
    the end that are recorded as archived, but missing.
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
    lost: Tuple[str, ...] = ()
    lost_count: int = 0

    def as_dict(self) -> Dict[str, Any]:
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
            "lost": list(self.lost),
            "lost_count": self.lost_count,
            "pieces_end_lsn": format_lsn(self.pieces.end) if self.pieces.end is not None else None,
            "pieces_end": format_time(self.pieces.stored_at) if self.pieces.stored_at else None,
        }


@dataclass(frozen=True)
class Reach:
    """How far the WAL after a backup goes along one timeline path."""

    backup: BackupManifest
    path: TimelinePath
    run: Run


@dataclass(frozen=True)
class Contents:
    """A repository's backups, the WAL after each of them, and the objects that were set ``aside``.

    ``runs`` follow each backup's own timeline; ``way`` has those that a restore to the latest moment may take, and
    ``latest`` is its timeline. ``ahead``: backups that are dated in the future by the store's clock.
    """

    repository: Repository
    catalog: Catalog
    runs: Dict[str, Run]
    windows: Tuple[Window, ...]
    chains: Chains
    aside: Tuple[Aside, ...] = ()
    ahead: Tuple[BackupManifest, ...] = ()
    way: Mapping[str, Reach] = field(default_factory=dict)
    latest: Optional[int] = None

    def to_latest(self) -> Optional[Reach]:
        """The way from the newest restorable backup that leads to the latest timeline."""
        usable = (reach for label, reach in self.way.items() if label in self.chains.whole)
        return max(usable, key=lambda reach: progress_of(reach.backup), default=None)

    def every_run(self) -> List[Tuple[str, Run]]:
        """All runs with the labels of their backups, in the order of the backups."""
        onward = ((label, reach.run) for label, reach in self.way.items() if reach.run is not self.runs[label])
        return sorted((*self.runs.items(), *onward), key=lambda found: found[0])

    def gaps(self) -> List[Tuple[str, Run]]:
        """The runs that end at a gap; only one for each backup and gap."""
        found = {(label, run.missing): run for label, run in self.every_run() if run.missing}
        return [(label, run) for (label, _missing), run in found.items()]


def store_time(repository: Repository) -> datetime:
    """The store's time; this host's, if the store does not report it."""
    try:
        return repository.store.clock()
    except StoreError:
        return clock.now()


def words_of(backup: BackupManifest) -> str:
    """The message about a backup that is ahead of the store's clock."""
    return (
        f"Backup {backup.label} is dated {format_time(backup.finished_at)}, in the future by the store's clock: a clock"
        " was wrong when it was made. It does not count as a recent backup."
    )


def read_contents(repository: Repository, retention: RetentionConfig) -> Contents:
    """Read the catalog, and list the WAL of every cluster identity in it.

    WAL that is only missing before the window of ``retention`` is not a gap: that backup can be restored to its
    own end, but does not begin a window.
    """
    catalog = load_catalog(repository)
    reaches: Dict[str, Reach] = {}
    onward: List[Reach] = []
    ends: Dict[str, TimelinePath] = {}
    aside = [foreign(key) for key in catalog.foreign]
    told: Dict[str, Histories] = {}
    for system in sorted({b.system_identifier for b in catalog.backups}):
        found = read_histories(repository, system)
        told[system] = found
        aside += (Aside(key, error) for key, error in found.aside(repository, system).items())
    ahead: Dict[str, Aside] = {}
    # Only pg_resetwal changes the segment size; a record that claims another one must not hide the WAL.
    for system, size in sorted({(b.system_identifier, b.segment_size) for b in catalog.backups}):
        backups = [b for b in catalog.of_system(system) if b.segment_size == size]
        known, backed_up = told[system].texts, sorted({b.timeline for b in backups})
        have = _wal_behind(repository, backups, told[system])
        own = [
            reach
            for timeline in backed_up
            for reach in reaches_on(
                path_to(timeline, known), [b for b in backups if b.timeline == timeline], size, have
            )
        ]
        last = last_segments(have)
        ends[system] = path_to(latest_timeline(backed_up, known, last), known)
        paths = {path.timeline: path for path in (*new_timelines(known, backed_up, last), ends[system])}
        beyond = [
            reach
            for path in paths.values()
            for reach in reaches_on(path, [b for b in backups if b.timeline != path.timeline], size, have)
        ]
        for segment in {segment for reach in (*own, *beyond) for segment in reach.run.ahead}:
            key = have[segment].key
            ahead[key] = Aside(key, implausible(key, "it is far ahead of all other WAL"))
        reaches.update((reach.backup.label, reach) for reach in own)
        onward += beyond
    chains = catalog.chains()
    whole, window_start = chains.restorable, retention.window_start(clock.now())
    alone = {b.label for b in catalog.backups if stands_alone(reaches[b.label], whole, window_start)}
    runs = {label: replace(r.run, gap=()) if label in alone else r.run for label, r in reaches.items()}
    onward = [r for r in onward if not stands_alone(r, whole, window_start)]
    usable = {b.label for b in whole} - alone
    windows = tuple(
        replace(window_of(r), pieces=follow(repository, r.backup.system_identifier, r.path, r.run))
        for r in first_reaches(r for r in (*reaches.values(), *arriving(onward)) if r.backup.label in usable)
    )
    newest = chains.newest
    end = ends[newest.system_identifier] if newest else None
    leading = (r for r in (*reaches.values(), *onward) if r.path == end and r.backup.label not in alone)
    way = {r.backup.label: r for r in leading}
    limit = store_time(repository) + timedelta(seconds=retention.max_clock_skew)
    early = tuple(b for b in catalog.backups if b.finished_at > limit)
    return Contents(
        repository, catalog, runs, windows, chains, (*aside, *ahead.values()), early, way, end.timeline if end else None
    )


def _wal_behind(repository: Repository, backups: Sequence[BackupManifest], histories: Histories) -> Archived:
    """The archived WAL from the first of these backups on; of a timeline that started earlier, all of it."""
    system, size, start = backups[0].system_identifier, backups[0].segment_size, min(b.start_lsn for b in backups)
    backed_up = {b.timeline for b in backups}
    # A restore to latest goes to such a timeline even if it has no backup.
    onward = histories.stored & histories.texts.keys() - backed_up
    forks = {timeline: began(path_to(timeline, histories.texts)) for timeline in onward}
    sooner = {timeline: begin for timeline, begin in forks.items() if begin < start}
    have = archived(repository, system, sorted({*onward, *backed_up} - sooner.keys()), start, size)
    for timeline, begin in sorted(sooner.items()):
        have.merge(archived(repository, system, [timeline], begin, size))
    return have


def look_apart(repository: Repository) -> Tuple[Aside, ...]:
    """The objects that are set apart among holds, verifications and reports of restore tests."""
    return (*look_at_holds(repository).aside, *read_known(repository).aside, *look_at_tests(repository)[1])


def stands_alone(reach: Reach, whole: Sequence[BackupManifest], window_start: datetime) -> bool:
    """Whether all WAL that is missing after a backup is older than the backup that begins the window. Pure."""
    last = reach.run.gap[-1] if reach.run.gap else None
    return (
        last is not None
        and reach.run.end >= reach.backup.stop_lsn
        and any(
            b.system_identifier == reach.backup.system_identifier
            and b.finished_at <= window_start
            and b.start_lsn >= last.end
            and reach.path.contains(b.timeline, b.stop_lsn)
            for b in whole
        )
    )


def reaches_on(
    path: TimelinePath, backups: Sequence[BackupManifest], size: int, have: Mapping[Segment, ObjectInfo]
) -> List[Reach]:
    """How far the WAL goes from each of these backups that is on ``path``. Pure."""
    passed = on_path(backups, path)
    runs = find_runs(path, (b.start_lsn for b in passed), size, have)
    return [Reach(b, path, runs[b.start_lsn]) for b in passed]


def began(path: TimelinePath) -> int:
    """The LSN at which the last timeline of the path begins. Pure."""
    return max((step.switch for step in path.steps if step.switch is not None), default=0)


def last_segments(have: Archived) -> Dict[int, int]:
    """The start LSN of the last segment of each timeline that is stored or recorded as archived. Pure."""
    last: Dict[int, int] = {}
    for segment in (*have, *have.marks):
        last[segment.timeline] = max(segment.start, last.get(segment.timeline, 0))
    return last


def new_timelines(
    histories: Mapping[int, str], backed_up: Collection[int], last: Mapping[int, int]
) -> List[TimelinePath]:
    """The paths to the timelines with WAL but no backup, without those that such a timeline continues. Pure.

    ``last``: from :func:`last_segments`. A timeline with WAL after the fork is independent, as beside a clone that was
    restored from it. A history alone, which anyone with write access can create, hides none.
    """
    paths = [path_to(timeline, histories) for timeline in sorted(set(histories) & set(last))]
    left = {
        step.timeline
        for path in paths
        for step in path.steps[:-1]
        if step.switch is not None and last.get(step.timeline, 0) < step.switch
    }
    return [path for path in paths if path.timeline not in left and path.timeline not in backed_up]


def arriving(reaches: Iterable[Reach]) -> List[Reach]:
    """The reaches up to their path's last timeline: otherwise, the window of the older timeline shows them. Pure."""
    return [r for r in reaches if r.run.segments and r.run.segments[-1].timeline == r.path.timeline]


def first_reaches(reaches: Iterable[Reach]) -> List[Reach]:
    """The oldest backup's of those with the same end on the same timeline, without those that lack their own WAL. Pure.

    Ordered by cluster (by its newest backup) and timeline: the last one is the target of a restore to latest.
    """
    found: Dict[Tuple[str, int, int], Reach] = {}
    newest: Dict[str, datetime] = {}
    for reach in sorted(reaches, key=lambda r: r.backup.finished_at):
        system = reach.backup.system_identifier
        newest[system] = reach.backup.finished_at
        if reach.run.archived_at is not None and reach.run.end >= reach.backup.stop_lsn:
            found.setdefault((system, reach.path.timeline, reach.run.end), reach)
    return sorted(
        found.values(), key=lambda r: (newest[r.backup.system_identifier], r.path.timeline, r.backup.finished_at)
    )


def window_of(reach: Reach) -> Window:
    """The window from this backup on, without pieces. Pure."""
    backup, run = reach.backup, reach.run
    return Window(
        backup.system_identifier,
        reach.path.timeline,
        backup.label,
        backup.finished_at,
        max(run.archived_at or backup.finished_at, backup.finished_at),
        run.end,
        run.missing,
        run.missing_count,
        lost=tuple(s.name for s in run.lost[:_NAMED_LOST]),
        lost_count=len(run.lost),
    )


def describe(config: Config) -> Dict[str, Any]:
    """Everything that a person or playbook needs before a restore, from the first repository that responds.

    Keys: ``cluster``, ``repository``, ``passed_over``, ``backups`` (manifests with ``chain``, ``broken``,
    ``restorable``, ``estimated_seconds``, ``verified_at``, ``tested``, ``held``), ``windows``, ``gaps``,
    ``unfinished``, ``ahead`` (backups that are dated in the future), ``damaged``, ``foreign`` (records, of those that
    were read, without a valid signature), ``set_apart`` (at most 1000 objects that are foreign, or whose record is
    damaged or implausible) and ``set_apart_count``.
    """
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        contents = read_contents(repository, config.retention)
        known, holds, (tested, doubted) = read_known(repository), look_at_holds(repository), look_at_tests(repository)
        held = {label: event.reason for label, event in holds.held.items()}
        pace = last_pace(repository, config.data_dir)
        verified, aside = known.labels, (*contents.aside, *holds.aside, *known.aside, *doubted)
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
                **_backup(b, contents, pace),
                "verified_at": format_time(verified[b.label]) if b.label in verified else None,
                "tested": tested[b.label].as_dict() if b.label in tested else None,
                "held": held.get(b.label),
            }
            for b in catalog.backups
        ],
        "windows": [w.as_dict() for w in contents.windows],
        "gaps": [
            {"label": label, "missing": list(run.missing), "missing_count": run.missing_count}
            for label, run in contents.gaps()
        ],
        "unfinished": list(catalog.unfinished),
        "damaged": [{"label": d.label, **d.error.as_dict()} for d in catalog.damaged if not d.foreign],
        "foreign": list(told(repository.signatures)),
        "ahead": [{"label": b.label, "message": words_of(b)} for b in contents.ahead],
        "set_apart": [item.as_dict() for item in aside[:_TOLD]],
        "set_apart_count": len(aside),
    }


def _backup(backup: BackupManifest, contents: Contents, pace: Optional[Pace]) -> Dict[str, Any]:
    run, chain = contents.runs[backup.label], contents.chains.whole.get(backup.label)
    further = contents.way[backup.label].run if backup.label in contents.way else run
    seconds, basis = estimate_seconds(chain or (backup,), len(further.segments), pace)
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
