# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring repositories to what another one holds: idempotent, by names and checksums, nothing replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from . import clock
from .audit.scope import audited
from .config import Config
from .dump.record import list_dumps
from .errors import ConfigError, ForeignRepository, LifeboatError, ObjectExists
from .file_record import list_files
from .model import ArchiveFile
from .progress import Progress, Silent
from .repository.catalog import load_catalog
from .repository.lag import Lacking, Lag, Owner, by_owner, find_lag
from .repository.layout import is_sealed
from .repository.repository import Repositories, Repository
from .store.protocol import ObjectInfo
from .wal.fetch import open_wal

_PARALLEL = 4


@dataclass(frozen=True)
class Failed:
    """An object that was not copied, and why."""

    key: str
    error: LifeboatError


@dataclass
class Synced:
    """One repository: what it lacked, how much of that it has now, what is in the way, and what could not be read.

    ``error`` is why it could not be looked at at all.
    """

    repository: str
    location: str
    lag: Lag = field(default_factory=lambda: Lag((), ()))
    copied: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: List[Failed] = field(default_factory=list)
    error: Optional[LifeboatError] = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong with it."""
        return not (self.lag.conflicts or self.failed or self.error)

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {
            "repository": self.repository,
            "location": self.location,
            "lacking": len(self.lag.lacking),
            "lacking_bytes": self.lag.bytes,
            "lacking_of": by_owner(self.lag.lacking),
            "copied": self.copied,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "conflicts": list(self.lag.conflicts),
            "failed": [{"key": f.key, **f.error.as_dict()} for f in self.failed],
            "error": self.error.as_dict() if self.error else None,
        }


def sync(
    config: Config,
    apply: bool = True,
    source: Optional[str] = None,
    targets: Sequence[str] = (),
    progress: Optional[Progress] = None,
) -> Tuple[str, Tuple[Synced, ...]]:
    """Copy what each target lacks of ``source`` (by default the first that answers); the source's name, and each.

    Memory: as for a read of the store, and four segments.
    """
    with audited(config, "sync", apply=apply) as note:
        origin, done = _sync(config, apply, source, targets, progress or Silent())
        note.skip = not apply or not any(t.lag.lacking or not t.whole for t in done)
        note.objects += [t.repository for t in done]
        note.details.update(source=origin, copied={t.repository: t.copied for t in done})
        note.failed = None if all(t.whole for t in done) else "sync_incomplete"
        return origin, done


def _sync(
    config: Config, apply: bool, source: Optional[str], targets: Sequence[str], progress: Progress
) -> Tuple[str, Tuple[Synced, ...]]:
    repositories = Repositories.open(config)
    try:
        for name in filter(None, (source, *targets)):
            if repositories.named(name) is None:
                known = ", ".join(r.name for r in repositories.items)
                raise ConfigError(f"There is no repository {name!r}.", f"The configuration has: {known}.")
        origin = (source and repositories.named(source)) or repositories.readable()
        chosen = [r for r in repositories.items if r is not origin and (not targets or r.name in targets)]
        objects = list(origin.store.list(f"{config.cluster}/"))
        done = [_one(origin, objects, target, apply, progress) for target in chosen]
    finally:
        repositories.close()
    return origin.name, tuple(done)


def _one(
    origin: Repository, objects: Sequence[ObjectInfo], target: Repository, apply: bool, progress: Progress
) -> Synced:
    out = Synced(target.name, target.location)
    begin = clock.monotonic()
    try:
        _same_cluster(origin, target)
        have = {info.key: info.size for info in target.store.list(f"{target.layout.cluster}/")}
        out.lag = find_lag(origin.layout.cluster, objects, have)
        if apply:
            progress.phase(f"{origin.name} to {target.name}")
            _copy(origin, target, out, progress)
    except LifeboatError as exc:
        out.error = exc
    out.seconds = clock.monotonic() - begin
    return out


def _same_cluster(origin: Repository, target: Repository) -> None:
    """ForeignRepository where the target is in use, and not for this cluster."""
    known, there = origin.systems(), target.systems()
    if there and not set(there) & set(known):
        raise ForeignRepository(
            f"Repository {target.location} keeps the system identifier {', '.join(there)}, {origin.location} keeps"
            f" {', '.join(known)}: they are not of one cluster.",
            "Check bucket, prefix and cluster name.",
            repository=target.name,
        )


def _copy(origin: Repository, target: Repository, out: Synced, progress: Progress) -> None:
    """WAL four at a time, all else one after the other. A backup of which anything is damaged gets no record."""
    spoiled: Set[Owner] = set()
    digests = _digests(origin, out.lag.lacking)

    def copy(item: Lacking) -> Tuple[Lacking, Optional[LifeboatError]]:
        try:
            _copy_object(origin, target, item, digests)
        except ObjectExists:
            pass  # Somebody else brought it meanwhile.
        except LifeboatError as exc:
            return item, exc
        return item, None

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-sync") as pool:
        for is_wal, group in groupby(out.lag.lacking, key=lambda item: item.kind.name == "wal"):
            sound = (item for item in group if item.owner not in spoiled)
            for item, error in (pool.map if is_wal else map)(copy, sound):
                if error is None:
                    out.copied, out.bytes = out.copied + 1, out.bytes + item.info.size
                    progress.advance(out.bytes, out.lag.bytes)
                    continue
                out.failed.append(Failed(item.info.key, error))
                if item.owner:
                    spoiled.add(item.owner)


def _copy_object(origin: Repository, target: Repository, item: Lacking, digests: Mapping[str, ArchiveFile]) -> None:
    key, known = item.info.key, digests.get(item.info.key)
    chunks = origin.store.read(key, known.sha256 if known else None, known.size if known else item.info.size)
    if item.kind.segment:
        # Checked as for a restore; the bytes themselves are copied, so that both hold the same.
        raw = b"".join(chunks)
        if not is_sealed(key) or origin.seal.has_identity:
            open_wal(origin, item.kind.owner, item.kind.part, key, raw)
        chunks = iter([raw])
    with target.store.writer(key, item.info.size) as writer:
        for chunk in chunks:
            writer.write(chunk)


def _digests(origin: Repository, lacking: Iterable[Lacking]) -> Dict[str, ArchiveFile]:
    """What the records say of the files of the backups and copies that are to be copied, by key."""
    wanted = {item.owner for item in lacking if item.owner}
    labels = {label for kind, _set, label in wanted if kind == "backup"}
    layout, found = origin.layout, {}
    for backup in load_catalog(origin).backups if labels else ():
        if backup.label in labels:
            found.update({layout.backup(backup.label, f.name): f for f in backup.files})
    for file_set in {name for kind, name, _label in wanted if kind == "files"}:
        for copy in list_files(origin, file_set):
            found.update({layout.file_set(file_set, copy.label, f.name): f for f in copy.files})
    for dump in list_dumps(origin) if any(kind == "dump" for kind, _database, _label in wanted) else ():
        found.update({layout.dump(dump.database, dump.label, f.name): f for f in (dump.data, dump.globals)})
    return found
