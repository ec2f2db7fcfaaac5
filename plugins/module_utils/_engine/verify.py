# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read stored backups and WAL back: manifests, chains, SHA-256, and every WAL segment of the window, without a gap.

What was verified lately is not read again; that it is still there, in its size, is looked at every time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from . import clock
from .audit.scope import audited
from .config import Config
from .errors import LifeboatError, WalGap
from .info import Contents, read_contents
from .model import BackupManifest
from .postgres.wal_names import Segment, segments_between
from .progress import Progress, Silent
from .repository.catalog import missing_files
from .repository.chain import Chains
from .repository.layout import is_sealed, server_manifest
from .repository.repository import Repositories, Repository, histories
from .repository.verifications import Known, note_verified, read_known
from .store.protocol import ObjectInfo
from .wal.fetch import open_wal
from .wal.inventory import archived
from .wal.window import parallel


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``key`` is the object, ``segment`` a WAL segment of the cluster ``system``."""

    repository: str
    label: str
    error: LifeboatError
    key: str = ""
    system: str = ""
    segment: Optional[Segment] = None


@dataclass
class Verification:
    """What was read, and what was wrong with it.

    ``unrecorded`` are repositories that took no record of it. ``unopened`` sealed WAL segments were only found to be
    there: this host has no identity to open them. ``skipped`` were verified lately, and so not read.
    """

    labels: Set[str] = field(default_factory=set)
    skipped: Set[str] = field(default_factory=set)
    bytes_read: int = 0
    wal_bytes: int = 0
    segments_read: int = 0
    segments_skipped: int = 0
    unopened: int = 0
    seconds: float = 0.0
    findings: List[Finding] = field(default_factory=list)
    unrecorded: List[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing was wrong."""
        return not self.findings

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {
            "labels": sorted(self.labels),
            "skipped": sorted(self.skipped - self.labels),
            "bytes_read": self.bytes_read,
            "wal_bytes_read": self.wal_bytes,
            "segments_read": self.segments_read,
            "segments_skipped": self.segments_skipped,
            "segments_unopened": self.unopened,
            "unrecorded": list(self.unrecorded),
            "seconds": round(self.seconds, 3),
            "intact": self.intact,
            "findings": [
                {"repository": f.repository, "label": f.label, "key": f.key, **f.error.as_dict()}
                for f in self.findings
            ],
        }


def verify(
    config: Config,
    label: Optional[str] = None,
    progress: Optional[Progress] = None,
    max_age: Optional[float] = None,
    record: bool = True,
) -> Verification:
    """Verify one backup with all that its chain needs, or all backups and all WAL, in every repository.

    What a record of the last ``max_age`` days says to be intact is not read again (None: all is read); a named backup
    always is. Each repository gets a ``record`` of what was read, if it takes one. Memory: as for a read of the store,
    and four segments.
    """
    with audited(config, "verify", apply=record) as note:
        done = _verify(config, label, progress or Silent(), max_age, record)
        note.objects += sorted(done.labels)
        note.details.update(intact=done.intact, findings=len(done.findings))
        note.failed = None if done.intact else done.findings[0].error.error_code
        return done


def _verify(
    config: Config, label: Optional[str], progress: Progress, max_age: Optional[float], record: bool
) -> Verification:
    out, begin = Verification(), clock.monotonic()
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                contents = read_contents(repository, config.retention)
                if label:
                    contents.catalog.find(label)
                known = read_known(repository) if max_age is not None and not label else Known()
            except LifeboatError as exc:
                if len(repositories.items) == 1:
                    raise
                out.findings.append(Finding(repository.name, label or "", exc))
                continue
            since = clock.now() - timedelta(days=max_age or 0)
            _One(repository, contents, out, progress, *known.lately(since)).run(label, record)
    finally:
        repositories.close()
    out.seconds = clock.monotonic() - begin
    return out


class _One:
    """The verification of one repository; ``labels`` and ``wal`` are what was verified lately."""

    def __init__(
        self,
        repository: Repository,
        contents: Contents,
        out: Verification,
        progress: Progress,
        labels: Set[str],
        wal: Mapping[str, Set[Segment]],
    ) -> None:
        self._repository, self._contents, self._out, self._progress = repository, contents, out, progress
        self._lately, self._lately_wal = labels, wal
        self._found: List[Finding] = []
        self._read: List[str] = []
        self._wal: Dict[str, List[Segment]] = {}

    def run(self, label: Optional[str], record: bool) -> None:
        """Read, and record what was read even where that was interrupted."""
        chains, catalog = self._contents.chains, self._contents.catalog
        chosen = list(chains.whole.get(label, (catalog.find(label),))) if label else list(catalog.backups)
        try:
            for damaged in () if label else catalog.damaged:
                self._wrong(damaged.label, damaged.error, self._repository.layout.manifest(damaged.label))
            for backup in chosen:
                self._backup(backup, chains)
            for system in sorted({b.system_identifier for b in chosen}):
                self._system([b for b in chosen if b.system_identifier == system], whole=not label)
        finally:
            self._out.findings += self._found
            if record:
                self._record()

    def _wrong(self, label: str, error: LifeboatError, key: str = "", segment: Optional[Segment] = None) -> None:
        system = self._contents.chains.known[label].system_identifier if label in self._contents.chains.known else ""
        self._found.append(Finding(self._repository.name, label, error, key, system, segment))

    def _backup(self, backup: BackupManifest, chains: Chains) -> None:
        repository, label = self._repository, backup.label
        if label in chains.broken:
            hint = "Make a full backup, or bring the link from another repository."
            self._wrong(label, chains.broken[label].error(repository.location, hint))
        if label in self._lately and not missing_files(repository, (backup,)):
            self._out.skipped.add(label)
            return
        self._progress.phase(f"{repository.name}: {label}")
        done = 0
        for file in backup.files:
            key = repository.layout.backup(label, file.name)
            try:
                for chunk in repository.store.read(key, sha256=file.sha256, size=file.size):
                    done += len(chunk)
                    self._progress.advance(done, backup.stored_size)
                if file == server_manifest(backup.files) and is_sealed(key) and repository.seal.has_identity:
                    repository.seal.open_bytes(repository.store.get(key), key)
            except LifeboatError as exc:
                self._wrong(label, exc, key)
        self._out.bytes_read += done
        self._out.labels.add(label)
        self._read.append(label)

    def _system(self, backups: Sequence[BackupManifest], whole: bool) -> None:
        """The WAL of one cluster identity: all from the oldest backup on, or only what these backups need."""
        repository, system, size = self._repository, backups[0].system_identifier, backups[0].segment_size
        timelines = sorted({*(t for t, _text in histories(repository, system)), *(b.timeline for b in backups)})
        have = archived(repository, system, timelines, min(b.start_lsn for b in backups), size)
        needed: Dict[Segment, str] = {}
        for backup in backups:
            for segment in segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, size):
                needed.setdefault(segment, backup.label)
        for segment, label in needed.items():
            if segment not in have or not have[segment].size:
                self._wrong(label, self._absent(label, segment), repository.layout.wal(system, segment.name), segment)
        self._gaps({s.name for s in needed}) if whole else None
        wanted = [s for s in sorted(have if whole else needed) if s in have and have[s].size]
        lately = self._lately_wal.get(system, set())
        self._out.segments_skipped += sum(s in lately for s in wanted)
        self._segments(system, [(s, have[s]) for s in wanted if s not in lately], needed)

    def _absent(self, label: str, segment: Segment) -> LifeboatError:
        return WalGap(
            f"Backup {label} needs WAL segment {segment.name},"
            f" which is not in repository {self._repository.location}.",
            "Bring it from another repository; without it the backup cannot be made consistent.",
            missing=[segment.name],
        )

    def _gaps(self, told: Set[str]) -> None:
        """Every gap that ends a window, once, by the name of its first backup."""
        for label, run in sorted(self._contents.runs.items()):
            fresh = [name for name in run.missing if name not in told]
            told.update(fresh)
            size = self._contents.chains.known[label].segment_size
            for name in fresh:
                gap = WalGap(
                    f"WAL segment {name}, behind backup {label}, is not in repository {self._repository.location},"
                    " later ones are.",
                    "Bring it from another repository; without it no restore goes beyond it.",
                    missing=[name],
                    missing_count=run.missing_count,
                )
                segment = Segment.parse(name, size)
                system = self._contents.chains.known[label].system_identifier
                key = self._repository.layout.wal(system, name)
                self._found.append(Finding(self._repository.name, "", gap, key, system, segment))

    def _segments(
        self, system: str, objects: Sequence[Tuple[Segment, ObjectInfo]], needed: Mapping[Segment, str]
    ) -> None:
        repository, out = self._repository, self._out
        if not objects:
            return
        self._progress.phase(f"{repository.name}: {len(objects)} WAL segments")
        total = sum(info.size for _segment, info in objects)
        good = self._wal.setdefault(system, [])

        def read(item: Tuple[Segment, ObjectInfo]) -> Optional[LifeboatError]:
            segment, info = item
            try:
                open_wal(repository, system, segment.name, info.key, repository.store.get(info.key))
            except LifeboatError as exc:
                return exc
            return None

        closed = [not repository.seal.has_identity and is_sealed(info.key) for _segment, info in objects]
        out.unopened += sum(closed)
        objects = [item for item, shut in zip(objects, closed) if not shut]
        done = 0
        with ThreadPoolExecutor(parallel(objects[0][0].size if objects else 1), "lifeboat-verify") as pool:
            try:
                for (segment, info), error in zip(objects, pool.map(read, objects)):
                    done += info.size
                    self._progress.advance(done, total)
                    if error is None:
                        good.append(segment)
                        out.segments_read, out.wal_bytes = out.segments_read + 1, out.wal_bytes + info.size
                    else:
                        label = needed.get(segment, "")
                        self._found.append(Finding(repository.name, label, error, info.key, system, segment))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _record(self) -> None:
        bad = {f.label for f in self._found if f.label}
        spoiled: Dict[str, List[Segment]] = {}
        for finding in self._found:
            if finding.segment:
                spoiled.setdefault(finding.system, []).append(finding.segment)
        good = [label for label in self._read if label not in bad]
        wal = {system: segments for system, segments in self._wal.items() if segments}
        if not (good or wal or bad or spoiled):
            return
        try:
            note_verified(self._repository, good, wal, sorted(bad), spoiled)
        except LifeboatError:
            self._out.unrecorded.append(self._repository.name)
