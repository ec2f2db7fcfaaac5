# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: named lists of paths, each stored as one ``data.tar.zst`` (sealed: ``.age``) and its record, written last.

GNU tar reads and writes the files, with owner, mode, ACL, extended attributes and sparse files kept. A restore first
compares (``tar --compare``): where nothing differs nothing is written; a file that differs is kept under another name.
"""

from __future__ import annotations

import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import clock
from .audit.scope import audited
from .codec.zstd import decompress_stream
from .config import Config, FileSetConfig
from .errors import BackupMissing, ConfigError, ObjectCorrupt, ObjectMissing, ProcessFailed
from .file_index import Indexer, as_lines, digest_of
from .model import FORMAT, ArchiveFile, format_time, open_record, parse_time, seal_record
from .pipeline import ahead
from .process import Drain, Feed
from .progress import Progress, Silent
from .repository.layout import FILE_SET_DATA, FILE_SET_INDEX, MANIFEST, make_label
from .repository.repository import Repositories, Repository
from .stored_stream import store_stream

_ATTEMPTS = 3
_CHANGED = ("file changed as we read it", "File removed before we read it", "File shrank by")
_TAR = ["tar", "--acls", "--xattrs", "--directory=/", "--file=-"]


@dataclass(frozen=True)
class FileSetBackup:
    """One stored copy of a file set. ``data_size`` is that of the tar archive, in bytes.

    ``index`` names each of its ``members`` with owner, mode, ACL and the digest of its content; ``content_sha256`` is
    the digest of all that. ``unsettled`` are tar's words about files that changed while they were read, three times.
    """

    label: str
    file_set: str
    cluster: str
    host: str
    created_at: datetime
    paths: Tuple[str, ...]
    excludes: Tuple[str, ...]
    data_size: int
    file: ArchiveFile
    recipients: Tuple[str, ...] = ()
    index: Optional[ArchiveFile] = None
    content_sha256: str = ""
    members: int = 0
    unsettled: Tuple[str, ...] = ()

    @property
    def files(self) -> Tuple[ArchiveFile, ...]:
        """What is stored beside the record."""
        return (self.file, self.index) if self.index else (self.file,)

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it."""
        return {
            "format": FORMAT,
            **asdict(self),
            "created_at": format_time(self.created_at),
            "paths": list(self.paths),
            "excludes": list(self.excludes),
            "recipients": list(self.recipients),
            "unsettled": list(self.unsettled),
        }


@dataclass(frozen=True)
class FilesRestored:
    """What a restore of a file set did. ``differences`` are ``tar --compare``'s words, at most 1000 of them."""

    label: str
    repository: str
    changed: bool
    differences: Tuple[str, ...]


def set_named(config: Config, name: str) -> FileSetConfig:
    """The configured file set of that name."""
    for candidate in config.file_sets:
        if candidate.name == name:
            return candidate
    known = ", ".join(s.name for s in config.file_sets) or "none"
    raise ConfigError(
        f"There is no file set {name!r}; configured are: {known}.", "Add it to file_sets, or correct the name."
    )


def _possible(config: Config, name: str) -> FileSetConfig:
    """The set, whose paths are there."""
    chosen = set_named(config, name)
    for path in chosen.paths:
        if not os.path.isabs(path):
            raise ConfigError(f"File set {name}: the path {path!r} is not absolute.", "Give the whole path.")
        if not os.path.lexists(path):
            raise ConfigError(f"File set {name}: {path} does not exist.", "Correct the path, or drop it from the set.")
    return chosen


def backup_files(config: Config, name: str, progress: Optional[Progress] = None) -> FileSetBackup:
    """Store a file set in every required repository. Memory: the stores' bounds and about 1 MiB."""
    progress = progress or Silent()
    chosen = _possible(config, name)
    created = clock.now()
    label = make_label(created, "files")
    progress.phase(f"file set {name}")
    with audited(config, "files-backup", [f"{name}/{label}"]) as note:
        repositories = Repositories.open(config)
        try:
            repositories.seal.require()
            made = _settled(config, chosen, label, created, repositories, progress)
        finally:
            repositories.close()
        note.details.update(members=made.members)
        return made


def backup_if_changed(config: Config, name: str, progress: Optional[Progress] = None) -> Tuple[FileSetBackup, bool]:
    """The copy that has what is there now, and whether it was made for that."""
    known = unchanged_copy(config, name, progress)
    return (known, False) if known else (backup_files(config, name, progress), True)


def unchanged_copy(config: Config, name: str, progress: Optional[Progress] = None) -> Optional[FileSetBackup]:
    """The newest copy, when it has what is there now: by content, whatever the times say. Reads every file once."""
    chosen = _possible(config, name)
    known = _newest_everywhere(config, chosen)
    if known is None:
        return None
    (progress or Silent()).phase(f"file set {name}: compare")
    with Indexer() as indexer:
        for chunk in _read_files(chosen, []):
            indexer.write(chunk)
        members = indexer.finish()
    return known if digest_of(members) == known.content_sha256 else None


def _newest_everywhere(config: Config, chosen: FileSetConfig) -> Optional[FileSetBackup]:
    """The newest copy of the set as it is configured now, where every required repository has the same."""
    repositories = Repositories.open(config)
    try:
        newest = [list_files(repository, chosen.name)[-1:] for repository in repositories.required]
        seal = repositories.seal
        wanted = (chosen.paths, chosen.excludes, tuple(seal.recipients))
    finally:
        repositories.close()
    found = [copy for copies in newest for copy in copies]
    same = len(found) == len(newest) and len({copy.content_sha256 for copy in found}) == 1
    copy = found[0] if same else None
    if copy is None or not copy.content_sha256 or copy.unsettled:
        return None
    return copy if (copy.paths, copy.excludes, copy.recipients) == wanted else None


class _Unsettled(Exception):
    """Files changed while they were read."""


def _settled(
    config: Config,
    chosen: FileSetConfig,
    label: str,
    created: datetime,
    repositories: Repositories,
    progress: Progress,
) -> FileSetBackup:
    """Read again what changed while it was read, three times at most; what was read for nothing was not stored."""
    for attempt in range(_ATTEMPTS):
        try:
            return _store(config, chosen, label, created, repositories, progress, last=attempt == _ATTEMPTS - 1)
        except _Unsettled as exc:
            progress.note(f"{exc}; read again")
            clock.sleep(attempt + 0.2)
    raise AssertionError("the last attempt takes what it gets")


def _store(
    config: Config,
    chosen: FileSetConfig,
    label: str,
    created: datetime,
    repositories: Repositories,
    progress: Progress,
    last: bool,
) -> FileSetBackup:
    size, said = 0, list[str]()
    required, seal = repositories.required, repositories.seal

    def key_of(repository: Repository, name: str) -> str:
        return repository.layout.file_set(chosen.name, label, name)

    with Indexer() as indexer:

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in _read_files(chosen, said):
                size += len(chunk)
                progress.advance(size)
                indexer.write(chunk)
                yield chunk
            if said and not last:
                raise _Unsettled(said[0])

        file = store_stream(required, seal, key_of, FILE_SET_DATA, counted())
        members = indexer.finish()
    index = store_stream(required, seal, key_of, FILE_SET_INDEX, as_lines(members))
    record = FileSetBackup(
        label, chosen.name, config.cluster, platform.node(), created, chosen.paths, chosen.excludes, size,
        file, seal.recipients, index, digest_of(members), len(members), tuple(said[:100]),
    )  # fmt: skip
    for repository in required:
        repository.store.put(key_of(repository, MANIFEST), seal_record(record.as_dict()))
    return record


def _read_files(chosen: FileSetConfig, said: List[str]) -> Iterator[bytes]:
    """The tar archive of the set. ``said`` gets what GNU tar tells of files that changed or went meanwhile."""
    argv = [*_TAR, "--create", "--sparse", "--anchored", *(f"--exclude={e.lstrip('/')}" for e in chosen.excludes)]
    with tempfile.TemporaryFile() as words:
        paths = [*argv, "--", *(p.strip("/") for p in chosen.paths)]
        yield from Drain(paths, words, accept=(0, 1), env={**os.environ, "LC_ALL": "C"}).chunks()
        words.seek(0)
        told = words.read().decode(errors="replace").splitlines()
        said += [line for line in told if any(word in line for word in _CHANGED)]


def list_files(repository: Repository, name: str) -> List[FileSetBackup]:
    """The finished copies of a file set, oldest first."""
    found = []
    for entry in repository.store.list_names(repository.layout.file_set_prefix(name)):
        key = repository.layout.file_set(name, entry.rstrip("/"), "manifest.json")
        try:
            found.append(load_copy(repository.store.get(key), key))
        except ObjectMissing:
            continue
    return sorted(found, key=lambda b: b.label)


def fresh_copy(config: Config, name: str, max_age: float) -> Optional[FileSetBackup]:
    """The newest copy, when every required repository has one that is at most ``max_age`` seconds old."""
    set_named(config, name)
    repositories = Repositories.open(config)
    try:
        copies = [list_files(repository, name)[-1:] for repository in repositories.required]
    finally:
        repositories.close()
    if not all(copies):
        return None
    oldest = min((found[0] for found in copies), key=lambda copy: copy.created_at)
    return oldest if (clock.now() - oldest.created_at).total_seconds() <= max_age else None


def load_copy(raw: bytes, key: str) -> FileSetBackup:
    """The record of these bytes; ObjectCorrupt (naming ``key``) when anything is off."""
    data = open_record(raw, key)
    fields = {k: v for k, v in data.items() if k not in ("sha256", "format")}
    try:
        return FileSetBackup(
            **{
                **fields,
                "created_at": parse_time(fields["created_at"]),
                "paths": tuple(fields["paths"]),
                "excludes": tuple(fields["excludes"]),
                "file": ArchiveFile(**fields["file"]),
                "recipients": tuple(fields.get("recipients", ())),
                "unsettled": tuple(fields.get("unsettled", ())),
                "index": ArchiveFile(**fields["index"]) if fields.get("index") else None,
            }
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ObjectCorrupt(
            f"{key} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=key
        ) from exc


def restore_files(
    config: Config,
    name: str,
    label: Optional[str] = None,
    target: str = "/",
    apply: bool = True,
    progress: Optional[Progress] = None,
    only: Sequence[str] = (),
    at: Optional[datetime] = None,
) -> FilesRestored:
    """Bring a file set back below ``target``: the newest copy, ``label``'s, or the one of the time ``at`` (aware).

    With ``apply`` off it only compares. ``only`` are absolute paths: what lies elsewhere is left out.
    """
    with audited(config, "files-restore", [name], apply) as note:
        done = _restore(config, name, label, target, apply, progress or Silent(), only, at)
        note.objects[:] = [f"{name}/{done.label}"]
        note.details.update(repository=done.repository, written=apply and done.changed)
        return done


def _restore(
    config: Config,
    name: str,
    label: Optional[str],
    target: str,
    apply: bool,
    progress: Progress,
    only: Sequence[str],
    at: Optional[datetime],
) -> FilesRestored:
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        copies = list_files(repository, name)
        chosen = choose_copy(copies, label, at)
        if chosen is None:
            known = ", ".join(c.label for c in copies[-5:]) or "none"
            raise BackupMissing(
                f"Repository {repository.location} has no copy {label or ''} of file set {name!r}; newest: {known}.",
                "Make one: lifeboat files backup SET.",
                file_set=name,
                label=label,
            )
        progress.phase(f"file set {name}: {chosen.label}")
        members = _members(chosen.paths, only)
        differences = _compare(repository, chosen, target, members) if members else ()
        if differences and apply:
            _extract(repository, chosen, target, members)
        return FilesRestored(chosen.label, repository.location, bool(differences), differences)
    finally:
        repositories.close()


def choose_copy(
    copies: Sequence[FileSetBackup], label: Optional[str] = None, at: Optional[datetime] = None
) -> Optional[FileSetBackup]:
    """Of copies from oldest to newest: ``label``'s, or the newest that existed at ``at``, or the newest. Pure.

    Before the first copy there is only the oldest to take: it is the nearest to what was there then.
    """
    if label is not None:
        return next((c for c in copies if c.label == label), None)
    earlier = [c for c in copies if at is None or c.created_at <= at]
    return [*copies[:1], *earlier][-1] if copies else None


def _chunks(repository: Repository, chosen: FileSetBackup) -> Iterator[bytes]:
    key = repository.layout.file_set(chosen.file_set, chosen.label, chosen.file.name)
    return ahead(decompress_stream(repository.read(key, chosen.file), key))


def _members(paths: Sequence[str], only: Sequence[str]) -> Tuple[str, ...]:
    """What of a set's paths lies below ``only``, in tar's words: all of it without ``only``. Pure."""
    stored = [path.strip("/") for path in paths]
    if not only:
        return tuple(stored)
    wanted = [path.strip("/") for path in only]
    inside = [s for s in stored if any(f"{s}/".startswith(f"{w}/") for w in wanted)]
    return (*inside, *(w for w in wanted if w not in inside and any(f"{w}/".startswith(f"{s}/") for s in stored)))


def _compare(repository: Repository, chosen: FileSetBackup, target: str, members: Sequence[str]) -> Tuple[str, ...]:
    with tempfile.TemporaryFile() as words:
        tar = Feed([*_at(target), "--compare", "--", *members], words, stdout=words)
        try:
            sum(tar.pour(_chunks(repository, chosen)))
            return ()
        except ProcessFailed as exc:
            if exc.details.get("status") not in (1, 2):
                raise
            return tuple(str(exc.details["output"]).splitlines()[:1000])
        finally:
            tar.kill()


def _extract(repository: Repository, chosen: FileSetBackup, target: str, members: Sequence[str]) -> None:
    keep = f"--suffix=.before-{clock.now():%Y%m%dT%H%M%SZ}"
    with tempfile.TemporaryFile() as words:
        how = ["--extract", "--same-owner", "--preserve-permissions", "--backup=simple", keep]
        tar = Feed([*_at(target), *how, "--", *members], words)
        try:
            sum(tar.pour(_chunks(repository, chosen)))
        finally:
            tar.kill()


def _at(target: str) -> List[str]:
    return [f"--directory={target}" if word.startswith("--directory") else word for word in _TAR]
