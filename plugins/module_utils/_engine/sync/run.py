# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy missing objects from one repository to others: idempotent, by names and checksums, replacing nothing.

A record is a claim: nothing of a backup, copy or dump with a damaged or implausible record is copied, and a record only
after all its files. So foreign objects in one repository are not spread to others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError, ForeignRepository, LifeboatError, ObjectExists
from ..base.progress import Progress, Silent
from ..config.load import Config
from ..incident.record import load_event
from ..leadership.record import load_epoch
from ..records.model import ArchiveFile, open_record
from ..repository.histories import sound_history
from ..repository.holds import read_holds
from ..repository.kinds import kind_of
from ..repository.lag import Lacking, Lag, Owner, by_owner, find_lag
from ..repository.layout import is_sealed
from ..repository.leases import writing
from ..repository.repository import Repositories, Repository
from ..store.protocol import ObjectInfo
from ..wal.fetch import open_wal
from ..wal.same import differing
from .promises import Promise, read_promises, set_apart

_PARALLEL = 4
# Small records of one object each.
_RECORDS = ("core", "hold", "report", "erasure", "epoch", "incident")


@dataclass(frozen=True)
class Failed:
    """An object that could not be copied, and why."""

    key: str
    error: LifeboatError


@dataclass
class Synced:
    """One repository: what it lacked, how much of that was copied, conflicts, and objects that could not be read.

    ``skipped``: why a backup, copy, dump or single object is not copied, by name. ``error``: why the repository could
    not be read at all.
    """

    repository: str
    location: str
    lag: Lag = field(default_factory=lambda: Lag((), ()))
    copied: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed: List[Failed] = field(default_factory=list)
    skipped: Dict[str, str] = field(default_factory=dict)
    error: Optional[LifeboatError] = None

    @property
    def whole(self) -> bool:
        """Whether there were no problems."""
        return not (self.lag.conflicts or self.failed or self.skipped or self.error)

    def as_dict(self) -> Dict[str, Any]:
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
            "skipped": dict(sorted(self.skipped.items())),
            "failed": [{"key": f.key, **f.error.as_dict()} for f in self.failed],
            "error": self.error.as_dict() if self.error else None,
        }


def plan(
    config: Config, source: Optional[str] = None, targets: Sequence[str] = (), file_sets: bool = False
) -> Tuple[str, Tuple[Synced, ...]]:
    """What each target lacks of ``source``, as for :func:`apply`; nothing is copied."""
    with _opened(config, source, targets, file_sets) as (origin, objects, chosen):
        return origin.name, tuple(_compared(origin, objects, target)[0] for target in chosen)


def apply(
    config: Config,
    source: Optional[str] = None,
    targets: Sequence[str] = (),
    file_sets: bool = False,
    progress: Optional[Progress] = None,
) -> Tuple[str, Tuple[Synced, ...]]:
    """Copy what each target lacks of ``source``; returns the source's name, and the results.

    By default, the source is the first repository that responds and is not a target.

    With ``file_sets``, only file sets are copied; otherwise they are skipped if this configuration lacks their
    credentials. Memory: as for a read of the store, plus four segments.
    """
    with audited(config, "sync") as note:
        with _opened(config, source, targets, file_sets) as (origin, objects, chosen):
            done = tuple(_brought(origin, objects, target, progress or Silent()) for target in chosen)
        note.skip = not any(t.lag.lacking or not t.whole for t in done)
        note.objects += [t.repository for t in done]
        note.details.update(source=origin.name, copied={t.repository: t.copied for t in done})
        note.failed = None if all(t.whole for t in done) else "sync_incomplete"
        return origin.name, done


@contextmanager
def _opened(
    config: Config, source: Optional[str], targets: Sequence[str], file_sets: bool
) -> Iterator[Tuple[Repository, Sequence[ObjectInfo], Sequence[Repository]]]:
    """The source, its objects, and the targets."""
    repositories = Repositories.open(config)
    try:
        for name in filter(None, (source, *targets)):
            if repositories.named(name) is None:
                known = ", ".join(r.name for r in repositories.items)
                raise ConfigError(f"Unknown repository {name!r}.", f"Choose from: {known}.")
        origin = (source and repositories.named(source)) or repositories.readable(targets)
        wanted = set(targets) or {r.name for r in config.repositories if r.writable}
        chosen = [r for r in repositories.items if r is not origin and r.name in wanted]
        objects = list(origin.store.list(origin.layout.files if file_sets else f"{config.cluster}/"))
        if config.files_apart:
            objects = [info for info in objects if not info.key.startswith(origin.layout.files)]
        yield origin, _held_only(origin, objects), chosen
    finally:
        repositories.close()


def _compared(
    origin: Repository, objects: Sequence[ObjectInfo], target: Repository
) -> Tuple[Synced, Mapping[Owner, Promise]]:
    """What the target lacks, and the files in the records among that; an error is part of the result."""
    out, promises = Synced(target.name, target.location), {}
    try:
        _same_cluster(origin, target)
        have: Dict[str, int] = {}
        digests: Dict[str, str] = {}
        for info in target.store.list(f"{target.layout.cluster}/"):
            have[info.key] = info.size
            if info.md5:
                digests[info.key] = info.md5
        lag = find_lag(origin.layout.cluster, objects, have, digests)
        lag = replace(lag, conflicts=tuple(sorted((*lag.conflicts, *differing(origin, target, lag.doubtful)))))
        promises = read_promises(origin, lag.lacking, objects)
        out.skipped, lacking = set_apart(lag.lacking, promises)
        out.lag = replace(lag, lacking=lacking)
    except LifeboatError as exc:
        out.error = exc
    return out, promises


def _brought(origin: Repository, objects: Sequence[ObjectInfo], target: Repository, progress: Progress) -> Synced:
    begin = clock.monotonic()
    out, promises = _compared(origin, objects, target)
    if out.error is None:
        progress.phase(f"{origin.name} to {target.name}")
        owned = [item.info.key for item in out.lag.lacking if item.owner]
        try:
            # The files of all backups come first, so the last record may follow days later.
            with writing([target] if owned else (), owned):
                _copy(origin, target, out, promises, progress)
        except LifeboatError as exc:
            out.error = exc
    out.seconds = clock.monotonic() - begin
    return out


def _same_cluster(origin: Repository, target: Repository) -> None:
    """ForeignRepository if the target is in use for another cluster."""
    known, there = origin.systems(), target.systems()
    if there and not set(there) & set(known):
        raise ForeignRepository(
            f"Repository {target.location} is of the system identifier {', '.join(there)}, but {origin.location} is of"
            f" {', '.join(known)}: they belong to different clusters.",
            "Check the bucket, prefix and cluster name.",
            repository=target.name,
        )


def _held_only(origin: Repository, objects: Sequence[ObjectInfo]) -> List[ObjectInfo]:
    """The objects without released holds and older versions' releases: each repository is released separately."""
    kinds = [kind_of(origin.layout.cluster, info.key) for info in objects]
    held = read_holds(origin) if any(kind.name == "hold" for kind in kinds) else {}
    return [
        info
        for info, kind in zip(objects, kinds)
        if kind.name != "hold" or (kind.owner in held and "-released-" not in info.key.rsplit("/", 1)[1])
    ]


def _copy(
    origin: Repository,
    target: Repository,
    out: Synced,
    promises: Mapping[Owner, Promise],
    progress: Progress,
) -> None:
    """Copy WAL four at a time, everything else one by one. A backup that lacks a file does not get its record."""
    digests = {key: file for promise in promises.values() for key, file in promise.files.items()}

    def copy(item: Lacking) -> Tuple[Lacking, Optional[LifeboatError]]:
        try:
            if item.kind.record and item.owner:
                directory = item.info.key.rsplit("/", 1)[0]
                there = {info.key: info.size for info in target.store.list(f"{directory}/")}
                promises[item.owner].require(item.info.key, there)
                promises[item.owner].require_wal(target, item.info.key)
            _copy_object(origin, target, item, digests)
        except ObjectExists:
            pass  # Another process copied it meanwhile.
        except LifeboatError as exc:
            return item, exc
        return item, None

    spoiled: Set[Owner] = set()
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
    if item.kind.record or item.kind.name in _RECORDS:
        raw = origin.get_record(key)
        open_record(raw, key)
        if item.kind.name == "epoch":
            load_epoch(raw, key)
        if item.kind.name == "incident":
            load_event(raw, key)
        target.store.put(key, raw)
        return
    chunks = origin.store.read(key, known.sha256 if known else None, known.size if known else item.info.size)
    name = key.rsplit("/", 1)[-1]
    if item.kind.name == "history" and key == origin.layout.wal(item.kind.owner, name):
        chunks = iter([sound_history(origin, item.kind.owner, name, b"".join(chunks))])
    if item.kind.segment:
        # Checked as for a restore; the stored bytes are copied, so that both repositories have the same.
        raw = b"".join(chunks)
        if not is_sealed(key) or origin.seal.has_identity:
            open_wal(origin, item.kind.owner, item.kind.part, key, raw)
        chunks = iter([raw])
    with target.store.writer(key) as writer:
        for chunk in chunks:
            writer.write(chunk)
