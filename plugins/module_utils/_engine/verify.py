# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read stored backups back and hold them against their manifests: sizes, SHA-256, WAL that makes them consistent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from . import clock
from .audit.scope import audited
from .config import Config
from .errors import LifeboatError, WalGap
from .model import BackupManifest
from .postgres.wal_names import segments_between
from .progress import Progress, Silent
from .repository.catalog import load_catalog
from .repository.chain import Chains
from .repository.layout import is_sealed, server_manifest
from .repository.repository import Repositories, Repository
from .repository.verifications import note_verified
from .wal.fetch import read_wal
from .wal.inventory import find_file


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    repository: str
    label: str
    error: LifeboatError


@dataclass(frozen=True)
class Verification:
    """What was read, and what was wrong with it.

    ``unrecorded`` are repositories that took no record of it. ``unopened`` sealed WAL segments were only found to be
    there: this host has no identity to open them.
    """

    labels: Tuple[str, ...]
    bytes_read: int
    segments_read: int
    seconds: float
    findings: Tuple[Finding, ...]
    unopened: int = 0
    unrecorded: Tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing was wrong."""
        return not self.findings

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {
            "labels": list(self.labels),
            "bytes_read": self.bytes_read,
            "segments_read": self.segments_read,
            "segments_unopened": self.unopened,
            "unrecorded": list(self.unrecorded),
            "seconds": round(self.seconds, 3),
            "intact": self.intact,
            "findings": [{"repository": f.repository, "label": f.label, **f.error.as_dict()} for f in self.findings],
        }


def verify(config: Config, label: Optional[str] = None, progress: Optional[Progress] = None) -> Verification:
    """Verify one backup with all that its chain needs, or all backups, in every repository.

    Each repository gets a record of what is intact in it, if it takes one. Memory as for a read of the store.
    """
    with audited(config, "verify") as note:
        done = _verify(config, label, progress or Silent())
        note.objects += done.labels
        note.details.update(intact=done.intact, findings=len(done.findings))
        note.failed = None if done.intact else done.findings[0].error.error_code
        return done


def _verify(config: Config, label: Optional[str], progress: Progress) -> Verification:
    begin = clock.monotonic()
    labels: List[str] = []
    findings: List[Finding] = []
    unrecorded: List[str] = []
    counts = [0, 0, 0]
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                catalog = load_catalog(repository)
                chains = catalog.chains()
                chosen = [catalog.find(label)] if label else list(catalog.backups)
                if label and label in chains.whole:
                    chosen = list(chains.whole[label])
            except LifeboatError as exc:
                if len(repositories.items) == 1:
                    raise
                findings.append(Finding(repository.name, label or "", exc))
                continue
            if not label:
                findings += [Finding(repository.name, d.label, d.error) for d in catalog.damaged]
            for backup in chosen:
                if backup.label in chains.broken:
                    findings.append(Finding(repository.name, backup.label, _broken(repository, chains, backup)))
                progress.phase(f"{repository.name}: {backup.label}")
                labels.append(backup.label)
                findings += _files(repository, backup, counts, progress) + _wal(repository, backup, counts)
            wrong = {f.label for f in findings if f.repository == repository.name}
            if not _recorded(repository, [b.label for b in chosen if b.label not in wrong]):
                unrecorded.append(repository.name)
    finally:
        repositories.close()
    seconds = clock.monotonic() - begin
    return Verification(
        tuple(sorted(set(labels))), counts[0], counts[1], seconds, tuple(findings), counts[2], tuple(unrecorded)
    )


def _recorded(repository: Repository, intact: List[str]) -> bool:
    try:
        if intact:
            note_verified(repository, intact)
    except LifeboatError:
        return False
    return True


def _broken(repository: Repository, chains: Chains, backup: BackupManifest) -> LifeboatError:
    return chains.broken[backup.label].error(
        repository.location, "Make a full backup, or bring the link from another repository."
    )


def _files(repository: Repository, backup: BackupManifest, counts: List[int], progress: Progress) -> List[Finding]:
    found: List[Finding] = []
    done = 0
    for file in backup.files:
        try:
            key = repository.layout.backup(backup.label, file.name)
            for chunk in repository.store.read(key, sha256=file.sha256, size=file.size):
                done += len(chunk)
                progress.advance(done, backup.stored_size)
            if file == server_manifest(backup.files) and is_sealed(key) and repository.seal.has_identity:
                repository.seal.open_bytes(repository.store.get(key), key)
        except LifeboatError as exc:
            found.append(Finding(repository.name, backup.label, exc))
    counts[0] += done
    return found


def _wal(repository: Repository, backup: BackupManifest, counts: List[int]) -> List[Finding]:
    found: List[Finding] = []
    for segment in segments_between(backup.timeline, backup.start_lsn, backup.stop_lsn, backup.segment_size):
        try:
            info = find_file(repository, backup.system_identifier, segment.name)
            if info is not None and info.size and is_sealed(info.key) and not repository.seal.has_identity:
                counts[2] += 1
                continue
            read_wal(repository, backup.system_identifier, segment.name)
            counts[1] += 1
        except LifeboatError as exc:
            if exc.error_code == "object_missing":
                exc = WalGap(
                    f"Backup {backup.label} needs WAL segment {segment.name},"
                    f" which is not in repository {repository.location}.",
                    "Bring it from another repository; without it the backup cannot be made consistent.",
                    missing=[segment.name],
                )
            found.append(Finding(repository.name, backup.label, exc))
    return found
