# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify one repository: records, chains, SHA-256 of all files, and every WAL segment of the window, without gaps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from ..base import clock
from ..base.errors import BackupMissing, LifeboatError, ObjectCorrupt, ObjectMissing, RecordForeign, WalGap
from ..base.progress import Progress
from ..base.wal_names import Segment, history_name, segments_between
from ..listing import Contents, look_apart, words_of
from ..records.model import ArchiveFile, BackupManifest
from ..repository.chain import Chains
from ..repository.histories import histories, read_histories
from ..repository.holds import read_holds
from ..repository.kinds import kind_of
from ..repository.layout import MANIFEST, is_sealed, server_manifest
from ..repository.records import look_at_all
from ..repository.repository import Repository
from ..repository.verifications import Known, note_verified
from ..store.protocol import ObjectInfo
from ..wal.fetch import open_wal
from ..wal.inventory import Run, archived
from ..wal.window import parallel
from .copies import Copy, list_copies, load_record, wrong_sizes
from .extras import check_digest, check_extras, missing_digests
from .histories import check_histories
from .records import read_lasting, required
from .report import COPY_HINT, Finding, Verification
from .survey import Survey, survey

# Maximum number of missing segments to name for a gap, and for a backup.
_TOLD = 1000


class OneRepository:
    """Objects ``known`` to have been verified at or after ``since`` are not read again, unless they were put later.

    After :meth:`run`, the contents are in ``copies``, ``have`` (by system identifier), ``survey``, ``texts`` (sound
    histories, by key) and ``held`` (labels). Files without a record may still be being written during the ``grace``.
    """

    def __init__(
        self,
        repository: Repository,
        contents: Contents,
        out: Verification,
        progress: Progress,
        known: Known,
        since: datetime,
        grace: timedelta,
    ) -> None:
        self.repository, self.contents = repository, contents
        self.copies: List[Copy] = []
        self.have: Dict[str, Dict[Segment, ObjectInfo]] = {}
        self.survey = Survey()
        self.texts: Dict[str, str] = {}
        self.held: FrozenSet[str] = frozenset()
        self._out, self._progress = out, progress
        self._known, self._since, self._grace = known, since, grace
        self._began = clock.now()
        self._found: List[Finding] = []
        self._read: List[str] = []
        self._wal: Dict[str, List[Segment]] = {}

    def run(self, label: Optional[str]) -> None:
        """Read everything; findings are kept even if this is interrupted."""
        chains, catalog = self.contents.chains, self.contents.catalog
        chosen = list(chains.whole.get(label, (catalog.find(label),))) if label else list(catalog.backups)
        try:
            if not label:
                self.survey = survey(self.repository)
                self._lasting()
            for damaged in () if label else catalog.damaged:
                self._wrong(damaged.label, damaged.error, self.repository.layout.manifest(damaged.label))
            for backup in chosen:
                self._backup(backup, chains)
            for system in sorted({b.system_identifier for b in chosen} | self.survey.systems):
                self._system(system, [b for b in chosen if b.system_identifier == system], whole=not label)
            if not label:
                self._copies()
                self._out.ahead += ((self.repository.name, words_of(b)) for b in self.contents.ahead)
                self._unfinished()
                self._apart()
        finally:
            self._out.findings += self._found

    def _wrong(self, label: str, error: LifeboatError, key: str = "", segment: Optional[Segment] = None) -> None:
        system = self.contents.chains.known[label].system_identifier if label in self.contents.chains.known else ""
        self._found.append(Finding(self.repository.name, label, error, key, system, segment))

    def _backup(self, backup: BackupManifest, chains: Chains) -> None:
        repository, label = self.repository, backup.label
        # Damage to its own files is reported below.
        if label in chains.broken and not (
            chains.broken[label].link == label and label in self.contents.catalog.lacking
        ):
            hint = f"Make a full backup, or copy the missing objects: lifeboat sync --to {repository.name}."
            self._wrong(label, chains.broken[label].error(repository.location, hint))
        if self._is_known(backup):
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

    def _is_known(self, backup: BackupManifest) -> bool:
        """Whether it was verified recently and has not changed since: one head request for each file."""
        if not self._known.covers(backup.label, self._since, ()):
            return False
        store, stored = self.repository.store, []
        for file in backup.files:
            info = store.head(self.repository.layout.backup(backup.label, file.name))
            if info is None or info.size != file.size:
                return False
            stored.append(info.modified)
        return self._known.covers(backup.label, self._since, stored)

    def _lasting(self) -> None:
        """Check the records that are never removed, foreign objects, and the files beside the segments."""
        repository, out, found = self.repository, self._out, self.survey
        systems = {b.system_identifier for b in self.contents.catalog.backups}
        self._found += required(repository, found.records, systems, found.systems)
        self._found += read_lasting(repository, found.records)
        extras, closed = check_extras(repository, found.extras)
        self._found += extras
        out.unopened += closed
        out.foreign[repository.name] = found.foreign

    def _histories(self, system: str, backups: Sequence[BackupManifest], have: Mapping[Segment, ObjectInfo]) -> None:
        layout, known = self.repository.layout, read_histories(self.repository, system)
        self._found += check_histories(self.repository, system, known, have, backups)
        self._out.unchecked += [layout.wal(system, history_name(t)) for t in sorted(known.unchecked)]
        for timeline, text in known.texts.items():
            self.texts[layout.wal(system, history_name(timeline))] = text

    def _unfinished(self) -> None:
        """Report files without a record that are not being written: never finished, or their record was deleted."""
        cluster, old = self.repository.layout.cluster, clock.now() - self._grace
        left = {copy.name: copy.stored for copy in self.copies if not copy.finished}
        for label in self.contents.catalog.unfinished:
            stored = [info.modified for info in self.repository.store.list(self.repository.layout.backup(label, ""))]
            if stored:
                left[f"backups/{label}"] = max(stored)
        for name, stored_at in sorted(left.items()):
            if stored_at < old:
                self._wrong(*self._without_record(name), f"{cluster}/{name}/{MANIFEST}")

    def _without_record(self, name: str) -> Tuple[str, LifeboatError]:
        return name.rsplit("/", 1)[-1] if name.startswith("backups/") else name, ObjectMissing(
            f"{name} has had files in repository {self.repository.location} but no record for longer than"
            " retention.grace_hours: it was never finished, or its record was deleted.",
            "If another repository has the record, copy it: lifeboat verify --repair. Remove unfinished objects with"
            " lifeboat prune.",
            repository=self.repository.name,
        )

    def _files(self, label: str, files: Mapping[str, ArchiveFile], total: int) -> None:
        """Read these files completely, and check size and SHA-256."""
        self._progress.phase(f"{self.repository.name}: {label}")
        done = 0
        for key, file in files.items():
            try:
                for chunk in self.repository.store.read(key, sha256=file.sha256, size=file.size):
                    done += len(chunk)
                    self._progress.advance(done, total)
            except LifeboatError as exc:
                if isinstance(exc, ObjectMissing):
                    exc.hint = COPY_HINT
                self._wrong(label, exc, key)
        self._out.bytes_read += done
        self._read.append(label)

    def _apart(self) -> None:
        """Collect the records that do not count: findings if a required signature is missing, otherwise set apart."""
        repository, cluster = self.repository, self.repository.layout.cluster
        look_at_all(repository)
        self.held = frozenset(read_holds(repository))
        told = {finding.key for finding in self._found}
        for key, error in repository.signatures.foreign.items():
            if key not in told:
                self._wrong("", error, key)
        self._out.set_apart += (
            (repository.name, item)
            for item in (*self.contents.aside, *look_apart(repository))
            if not isinstance(item.error, RecordForeign) and kind_of(cluster, item.key).name != "foreign"
        )

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
            if wrong is None and self._known.covers(copy.name, self._since, (copy.stored,)):
                self._out.copies_skipped.add(copy.name)
                continue
            self._files(copy.name, {f"{cluster}/{copy.name}/{f.name}": f for f in files}, sum(f.size for f in files))
            self._out.copies.add(copy.name)

    def _rests_on(self, name: str, lacking: Sequence[str]) -> LifeboatError:
        return BackupMissing(
            f"{name} is based on {', '.join(lacking)}, missing in repository {self.repository.location}.",
            f"Copy it from another repository: lifeboat sync --to {self.repository.name} (with --file-sets, as root,"
            " if file sets have their own credentials). Without it, that part of the set cannot be restored.",
            missing=list(lacking),
        )

    def _system(self, system: str, backups: Sequence[BackupManifest], whole: bool) -> None:
        """Verify the WAL of one cluster identity. Only pg_resetwal changes the size of its segments."""
        for size in sorted({b.segment_size for b in backups}):
            self._segments_of(system, size, [b for b in backups if b.segment_size == size], whole)
        if whole:
            have = self.have.get(system, {})
            self._histories(system, backups, have)
            if have:
                sealed = [have[segment].key for segment in sorted(have)] + [info.key for info in self.survey.extras]
                self._found += missing_digests(self.repository, system, sealed, self.survey.digests)

    def _segments_of(self, system: str, size: int, backups: Sequence[BackupManifest], whole: bool) -> None:
        """Verify segments of one size: all from the oldest backup on, or only those that these backups need."""
        repository = self.repository
        timelines = sorted({*(t for t, _text in histories(repository, system)), *(b.timeline for b in backups)})
        have = archived(repository, system, timelines, min(b.start_lsn for b in backups), size)
        self.have[system] = {**self.have.get(system, {}), **have}
        needed: Dict[Segment, str] = {}
        for backup in backups:
            lacking = 0
            for segment in segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, size):
                needed.setdefault(segment, backup.label)
                # A record may claim more WAL than there is memory for the names.
                lacking += segment not in have
                if lacking > _TOLD:
                    break
        for segment, label in needed.items():
            if segment not in have or not have[segment].size:
                self._wrong(label, self._absent(label, segment), repository.layout.wal(system, segment.name), segment)
        if whole:
            self._gaps(set(needed))
        ahead = {segment for _label, run in self.contents.every_run() for segment in run.ahead}
        wanted = [s for s in sorted(have if whole else needed) if s in have and have[s].size and s not in ahead]
        known = {s for s in wanted if self._known.covers_segment(system, s, self._since, have[s].modified)}
        self._out.segments_skipped += len(known)
        self._segments(system, [(s, have[s]) for s in wanted if s not in known], needed)

    def _absent(self, label: str, segment: Segment) -> LifeboatError:
        return WalGap(
            f"Backup {label} needs WAL segment {segment.name}, missing in repository {self.repository.location}.",
            f"Copy it from another repository: lifeboat sync --to {self.repository.name}. If none has it, make a full"
            " backup now: this one cannot become consistent.",
            missing=[segment.name],
        )

    def _gaps(self, told: Set[Segment]) -> None:
        """Report every gap that ends a window once, for its first backup."""
        for label, run in self.contents.every_run():
            system = self.contents.chains.known[label].system_identifier
            for segment in islice(run.gap, _TOLD):
                if segment in told:
                    continue
                told.add(segment)
                gap = WalGap(
                    f"WAL segment {segment.name}, after backup {label}, is missing in repository"
                    f" {self.repository.location}, which has later ones.",
                    f"Copy it from another repository: lifeboat sync --to {self.repository.name}. If none has it, make"
                    " a full backup now: no restore crosses the gap.",
                    missing=[segment.name],
                    missing_count=run.missing_count,
                )
                key = self.repository.layout.wal(system, segment.name)
                self._found.append(Finding(self.repository.name, "", gap, key, system, segment))
            for segment in islice(run.lost, _TOLD):
                if segment not in told:
                    told.add(segment)
                    key, lost = self.repository.layout.wal(system, segment.name), self._lost(run, segment)
                    self._found.append(Finding(self.repository.name, "", lost, key, system, segment))

    def _lost(self, run: Run, segment: Segment) -> WalGap:
        return WalGap(
            f"WAL segment {segment.name} is missing in repository {self.repository.location}, although all WAL up to"
            f" {run.lost[-1].name} is recorded there as archived.",
            f"Copy it from another repository: lifeboat sync --to {self.repository.name}. If none has it, make a full"
            " backup now: the commits in it are lost.",
            missing=[segment.name],
            missing_count=len(run.lost),
        )

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
                # Compression and sealing add hardly any bytes, so do not fetch anything larger.
                if info.size > 2 * segment.size:
                    words = f"{info.key} has {info.size} bytes, too many for a segment."
                    raise ObjectCorrupt(words, "Find out who stored it.", key=info.key)
                content = open_wal(repository, system, segment.name, info.key, repository.store.get(info.key))
            except LifeboatError as exc:
                return exc
            wrong = check_digest(repository, system, info.key, content) if is_sealed(info.key) else None
            if wrong is not None:
                digests.append(wrong)
            return None

        digests: List[Finding] = []
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
                told = {finding.key for finding in self._found}
                self._found += [finding for finding in digests if finding.key not in told]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def record(self, whole: bool, audit_faults: Optional[int] = None) -> None:
        """Record the results; always after a full run, even if nothing had to be read again.

        ``audit_faults``: the number of faults of its audit trail, if that was read too.
        """
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
            note_verified(self.repository, good, wal, sorted(bad), spoiled, self._began, audit_faults)
        except LifeboatError:
            self._out.unrecorded.append(self.repository.name)
