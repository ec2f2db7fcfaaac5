# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verification of one repository: records, chains, SHA-256, and every WAL segment of the window, without a gap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..errors import BackupMissing, LifeboatError, WalGap
from ..info import Contents
from ..model import ArchiveFile, BackupManifest
from ..postgres.wal_names import Segment, segments_between
from ..progress import Progress
from ..repository.catalog import missing_files
from ..repository.chain import Chains
from ..repository.layout import is_sealed, server_manifest
from ..repository.repository import Repository, histories
from ..repository.verifications import note_verified
from ..store.protocol import ObjectInfo
from ..wal.fetch import open_wal
from ..wal.inventory import Archived, archived
from ..wal.window import parallel
from .copies import Copy, list_copies, load_record, wrong_sizes
from .report import Finding, Verification


class OneRepository:
    """``labels`` (of backups, and names of copies) and ``wal`` are what was verified lately.

    After :meth:`run` ``copies`` and ``have`` (by system identifier) tell what is there.
    """

    def __init__(
        self,
        repository: Repository,
        contents: Contents,
        out: Verification,
        progress: Progress,
        labels: Set[str],
        wal: Mapping[str, Set[Segment]],
    ) -> None:
        self.repository, self.contents = repository, contents
        self.copies: List[Copy] = []
        self.have: Dict[str, Archived] = {}
        self._out, self._progress = out, progress
        self._lately, self._lately_wal = labels, wal
        self._found: List[Finding] = []
        self._read: List[str] = []
        self._wal: Dict[str, List[Segment]] = {}

    def run(self, label: Optional[str], record: bool) -> None:
        """Read, and record what was read even where that was interrupted."""
        chains, catalog = self.contents.chains, self.contents.catalog
        chosen = list(chains.whole.get(label, (catalog.find(label),))) if label else list(catalog.backups)
        try:
            for damaged in () if label else catalog.damaged:
                self._wrong(damaged.label, damaged.error, self.repository.layout.manifest(damaged.label))
            for backup in chosen:
                self._backup(backup, chains)
            for system in sorted({b.system_identifier for b in chosen}):
                self._system([b for b in chosen if b.system_identifier == system], whole=not label)
            if not label:
                self._copies()
        finally:
            self._out.findings += self._found
            if record:
                self._record(whole=not label)

    def _wrong(self, label: str, error: LifeboatError, key: str = "", segment: Optional[Segment] = None) -> None:
        system = self.contents.chains.known[label].system_identifier if label in self.contents.chains.known else ""
        self._found.append(Finding(self.repository.name, label, error, key, system, segment))

    def _backup(self, backup: BackupManifest, chains: Chains) -> None:
        repository, label = self.repository, backup.label
        if label in chains.broken:
            hint = "Make a full backup, or bring the link from another repository."
            self._wrong(label, chains.broken[label].error(repository.location, hint))
        if label in self._lately and not missing_files(repository, (backup,)):
            self._out.skipped.add(label)
            return
        manifest = server_manifest(backup.files)
        self._files(label, {repository.layout.backup(label, f.name): f for f in backup.files}, backup.stored_size)
        key = repository.layout.backup(label, manifest.name)
        if is_sealed(key) and repository.seal.has_identity and not any(f.key == key for f in self._found):
            try:
                repository.seal.open_bytes(repository.store.get(key), key)
            except LifeboatError as exc:
                self._wrong(label, exc, key)
        self._out.labels.add(label)

    def _files(self, label: str, files: Mapping[str, ArchiveFile], total: int) -> None:
        """Read these whole, against size and SHA-256."""
        self._progress.phase(f"{self.repository.name}: {label}")
        done = 0
        for key, file in files.items():
            try:
                for chunk in self.repository.store.read(key, sha256=file.sha256, size=file.size):
                    done += len(chunk)
                    self._progress.advance(done, total)
            except LifeboatError as exc:
                self._wrong(label, exc, key)
        self._out.bytes_read += done
        self._read.append(label)

    def _copies(self) -> None:
        cluster = self.repository.layout.cluster
        self.copies = list_copies(self.repository)
        finished = {copy.name for copy in self.copies if copy.finished}
        for copy in self.copies:
            if not copy.finished:
                continue
            try:
                files, parents = load_record(self.repository, copy)
            except LifeboatError as exc:
                self._wrong(copy.name, exc, copy.record(cluster))
                continue
            lacking = [name for name in parents if name not in finished]
            if lacking:
                self._wrong(copy.name, self._rests_on(copy.name, lacking))
            wrong = wrong_sizes(self.repository, copy, files)
            if wrong is None and copy.name in self._lately:
                self._out.copies_skipped.add(copy.name)
                continue
            self._files(copy.name, {f"{cluster}/{copy.name}/{f.name}": f for f in files}, sum(f.size for f in files))
            self._out.copies.add(copy.name)

    def _rests_on(self, name: str, lacking: Sequence[str]) -> LifeboatError:
        return BackupMissing(
            f"{name} is based on {', '.join(lacking)}, which repository {self.repository.location} does not have.",
            "Bring it from another repository (lifeboat sync); without it that part of the set is not there.",
            missing=list(lacking),
        )

    def _system(self, backups: Sequence[BackupManifest], whole: bool) -> None:
        """The WAL of one cluster identity: all from the oldest backup on, or only what these backups need."""
        repository, system, size = self.repository, backups[0].system_identifier, backups[0].segment_size
        timelines = sorted({*(t for t, _text in histories(repository, system)), *(b.timeline for b in backups)})
        have = archived(repository, system, timelines, min(b.start_lsn for b in backups), size)
        self.have[system] = have
        needed: Dict[Segment, str] = {}
        for backup in backups:
            for segment in segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, size):
                needed.setdefault(segment, backup.label)
        for segment, label in needed.items():
            if segment not in have or not have[segment].size:
                self._wrong(label, self._absent(label, segment), repository.layout.wal(system, segment.name), segment)
        if whole:
            self._gaps(set(needed))
        wanted = [s for s in sorted(have if whole else needed) if s in have and have[s].size]
        lately = self._lately_wal.get(system, set())
        self._out.segments_skipped += sum(s in lately for s in wanted)
        self._segments(system, [(s, have[s]) for s in wanted if s not in lately], needed)

    def _absent(self, label: str, segment: Segment) -> LifeboatError:
        return WalGap(
            f"Backup {label} needs WAL segment {segment.name},"
            f" which is not in repository {self.repository.location}.",
            "Bring it from another repository; without it the backup cannot be made consistent.",
            missing=[segment.name],
        )

    def _gaps(self, told: Set[Segment]) -> None:
        """Every gap that ends a window, once, by the name of its first backup."""
        for label, run in sorted(self.contents.runs.items()):
            system = self.contents.chains.known[label].system_identifier
            for segment in run.gap:
                if segment in told:
                    continue
                told.add(segment)
                gap = WalGap(
                    f"WAL segment {segment.name}, behind backup {label}, is not in repository"
                    f" {self.repository.location}, later ones are.",
                    "Bring it from another repository; without it no restore goes beyond it.",
                    missing=[segment.name],
                    missing_count=run.missing_count,
                )
                key = self.repository.layout.wal(system, segment.name)
                self._found.append(Finding(self.repository.name, "", gap, key, system, segment))

    def _segments(
        self, system: str, objects: Sequence[Tuple[Segment, ObjectInfo]], needed: Mapping[Segment, str]
    ) -> None:
        repository, out = self.repository, self._out
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

    def _record(self, whole: bool) -> None:
        """Of a whole run always: that nothing had to be read again is known by a look, too."""
        bad = {f.label for f in self._found if f.label}
        spoiled: Dict[str, List[Segment]] = {}
        for finding in self._found:
            if finding.segment:
                spoiled.setdefault(finding.system, []).append(finding.segment)
        good = [label for label in self._read if label not in bad]
        wal = {system: segments for system, segments in self._wal.items() if segments}
        if not (good or wal or bad or spoiled or whole):
            return
        try:
            note_verified(self.repository, good, wal, sorted(bad), spoiled)
        except LifeboatError:
            self._out.unrecorded.append(self.repository.name)
