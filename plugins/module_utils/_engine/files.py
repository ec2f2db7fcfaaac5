# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: named lists of paths, each stored as one ``data.tar.zst`` (sealed: ``.age``) and its record, written last.

GNU tar reads and writes the files, with owner, mode, ACL, extended attributes and sparse files kept. A restore first
compares (``tar --compare``): where nothing differs nothing is written; a file that differs is kept under another name.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Iterator, List, Optional, Sequence, Tuple

from . import clock
from .audit.scope import audited
from .codec.zstd import decompress_stream
from .config import Config, FileSetConfig
from .errors import BackupMissing, ConfigError, ObjectCorrupt, ProcessFailed
from .file_changes import Selection, below, by_copy, merged, scan, select, tar_name, tar_options
from .file_extract import compare, extract
from .file_index import Indexer, as_lines, digest_of, path_of
from .file_parent import find_members, find_newest, is_due, keep_members, read_members
from .file_record import FileSetBackup, choose_copy, list_files
from .file_room import make_room
from .model import seal_record
from .pipeline import ahead
from .process import Drain
from .progress import Progress, Silent
from .repository.layout import CHANGES, FILE_SET_DATA, FILE_SET_INDEX, FILES, MANIFEST, make_label
from .repository.repository import Repositories, Repository
from .stored_stream import store_stream

_ATTEMPTS = 3
_CHANGED = (
    "file changed as we read it", "File removed before we read it", "File shrank by",
    "Cannot stat: No such file or directory",
)  # fmt: skip
_TAR = ["tar", "--acls", "--xattrs", "--directory=/", "--file=-"]


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
    """Store a file set in every required repository. Memory: the stores' bounds and about 1 MiB.

    Of an incremental one what changed since its newest copy, and about 1 kB of memory for each member.
    """
    progress = progress or Silent()
    chosen = _possible(config, name)
    created = clock.now()
    progress.phase(f"file set {name}")
    repositories = Repositories.open(config)
    try:
        selection = _select(config, repositories, chosen, created) if chosen.incremental else None
        label = make_label(created, CHANGES if selection and selection.parents else FILES)
        with audited(config, "files-backup", [f"{name}/{label}"]) as note:
            repositories.seal.require()
            made = _settled(config, chosen, label, created, repositories, selection, progress)
            note.details.update(members=made.members)
            return made
    finally:
        repositories.close()


def backup_if_changed(config: Config, name: str, progress: Optional[Progress] = None) -> Tuple[FileSetBackup, bool]:
    """The copy that has what is there now, and whether it was made for that."""
    known = unchanged_copy(config, name, progress)
    return (known, False) if known else (backup_files(config, name, progress), True)


def unchanged_copy(config: Config, name: str, progress: Optional[Progress] = None) -> Optional[FileSetBackup]:
    """The newest copy, when it has what is there now: by content, whatever the times say. Reads every file once.

    Of an incremental set those alone that look as if they had changed.
    """
    chosen = _possible(config, name)
    repositories = Repositories.open(config)
    try:
        known = find_newest(repositories, chosen)
        if known is None or known.unsettled:
            return None
        selection = _select(config, repositories, chosen, clock.now()) if chosen.incremental else None
    finally:
        repositories.close()
    (progress or Silent()).phase(f"file set {name}: compare")
    with Indexer() as indexer:
        for chunk in _read_files(chosen, [], selection):
            indexer.write(chunk)
        members = indexer.finish()
    if selection is not None:
        members = merged(members, selection)
    return known if digest_of(members) == known.content_sha256 else None


def _select(config: Config, repositories: Repositories, chosen: FileSetConfig, now: datetime) -> Selection:
    """What of an incremental set is read: all of it where there is no copy to be based on, or none that is young."""
    seen = scan(chosen, _TAR[:-1], path_of)
    newest = find_newest(repositories, chosen)
    members = find_members(repositories, newest, config.spool_dir) if newest else None
    if newest is None or members is None or is_due(chosen, newest, now):
        return select(seen, (), "", 0)
    return select(seen, members, newest.label, int(newest.created_at.timestamp() * 1e9))


class _Unsettled(Exception):
    """Files changed while they were read."""


def _settled(
    config: Config,
    chosen: FileSetConfig,
    label: str,
    created: datetime,
    repositories: Repositories,
    selection: Optional[Selection],
    progress: Progress,
) -> FileSetBackup:
    """Read again what changed while it was read, three times at most; what was read for nothing was not stored."""
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            return _store(config, chosen, label, created, repositories, selection, progress, last)
        except _Unsettled as exc:
            progress.note(f"{exc}; read again")
            clock.sleep(attempt + 0.2)
            if selection is not None:
                selection = _select(config, repositories, chosen, created)
    raise AssertionError("the last attempt takes what it gets")


def _store(
    config: Config,
    chosen: FileSetConfig,
    label: str,
    created: datetime,
    repositories: Repositories,
    selection: Optional[Selection],
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
            for chunk in _read_files(chosen, said, selection):
                size += len(chunk)
                progress.advance(size)
                indexer.write(chunk)
                yield chunk
            if said and not last:
                raise _Unsettled(said[0])

        file = store_stream(required, seal, key_of, FILE_SET_DATA, counted())
        members = indexer.finish()
    if selection is not None:
        members = merged(members, selection)
    index = store_stream(required, seal, key_of, FILE_SET_INDEX, as_lines(members))
    record = FileSetBackup(
        label, chosen.name, config.cluster, platform.node(), created, chosen.paths, chosen.excludes, size,
        file, seal.recipients, index, digest_of(members), len(members), tuple(said[:100]),
        selection.parents if selection else (),
    )  # fmt: skip
    for repository in required:
        repository.store.put(key_of(repository, MANIFEST), seal_record(record.as_dict()))
    if selection is not None:
        keep_members(config.spool_dir, record, members)
    return record


def _read_files(chosen: FileSetConfig, said: List[str], selection: Optional[Selection] = None) -> Iterator[bytes]:
    """The tar archive of the set, or of the members that are selected of it.

    ``said`` gets what GNU tar tells of files that changed or went meanwhile.
    """
    argv = [*_TAR, "--create", "--sparse"]
    with tempfile.TemporaryFile() as words, _names(selection.names if selection else ()) as listed:
        what = [*tar_options(chosen), "--", *(p.strip("/") for p in chosen.paths)] if selection is None else listed
        try:
            yield from Drain([*argv, *what], words, accept=(0, 1), env={**os.environ, "LC_ALL": "C"}).chunks()
        except ProcessFailed:
            # A member that is named and went is an error for tar; all others are in the archive.
            if selection is None or not _only_went(_words_of(words)):
                raise
        said += [line for line in _words_of(words) if any(word in line for word in _CHANGED)]


@contextlib.contextmanager
def _names(names: Sequence[bytes]) -> Iterator[List[str]]:
    """How tar is told just these members."""
    with tempfile.NamedTemporaryFile(prefix="lifeboat-") as listing:
        listing.write(b"".join(name + b"\0" for name in names))
        listing.flush()
        yield ["--no-recursion", "--null", "--verbatim-files-from", f"--files-from={listing.name}"]


def _words_of(words: IO[bytes]) -> List[str]:
    words.seek(0)
    return words.read().decode(errors="replace").splitlines()


def _only_went(told: Sequence[str]) -> bool:
    return all("Exiting with failure" in line or any(word in line for word in _CHANGED) for line in told)


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
        differences: List[str] = []
        names: List[bytes] = []
        for part, what in _parts(repository, chosen, copies, only):
            told, held = compare(_at(target), what, _chunks(repository, part))
            differences += told
            names += held
        if differences and apply:
            keep = f".before-{clock.now():%Y%m%dT%H%M%SZ}"
            make_room(target, names, chosen.paths, keep)
            for part, what in _parts(repository, chosen, copies, only):
                extract(_at(target), what, _chunks(repository, part), target, keep)
        return FilesRestored(chosen.label, repository.location, bool(differences), tuple(differences[:1000]))
    finally:
        repositories.close()


_Part = Tuple[FileSetBackup, Sequence[str]]


def _parts(
    repository: Repository, chosen: FileSetBackup, copies: Sequence[FileSetBackup], only: Sequence[str]
) -> Iterator[_Part]:
    """The copies that hold what is asked for, each with tar's words for its members; ``chosen`` itself comes last."""
    if not chosen.parents:
        members = _members(chosen.paths, only)
        if members:
            yield chosen, ["--", *members]
        return
    known = {copy.label: copy for copy in copies}
    gone = sorted(set(chosen.parents) - set(known))
    if gone:
        raise BackupMissing(
            f"Copy {chosen.label} of file set {chosen.file_set!r} needs {', '.join(gone)}, which repository"
            f" {repository.location} does not have.",
            "Bring it from another repository (lifeboat sync), or restore another copy: --label.",
            missing=gone,
        )
    members_of = by_copy(below(read_members(repository, chosen), only), chosen.label)
    if not set(members_of) <= {chosen.label, *chosen.parents}:
        raise ObjectCorrupt(
            f"The index of copy {chosen.label} of file set {chosen.file_set!r} names copies that its record does not.",
            "Restore another copy: --label, or bring this one from another repository (lifeboat sync).",
            label=chosen.label,
        )
    for label, held in members_of.items():
        with _names([tar_name(member) for member in held]) as listed:
            yield known[label], listed


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


def _at(target: str) -> List[str]:
    return [f"--directory={target}" if word.startswith("--directory") else word for word in _TAR]
