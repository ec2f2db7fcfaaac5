# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: named lists of paths, each stored as one ``data.tar.zst`` (sealed: ``.age``) and its record, written last.

GNU tar reads and writes the files, with owner, mode, ACL, extended attributes and sparse files.
For restoring see :mod:`.restore`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from datetime import datetime
from typing import IO, Iterator, List, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError, ProcessFailed, SecretsUnsealed
from ..base.files import located
from ..base.process import Drain
from ..base.progress import Progress, Silent
from ..config.file_sets import named_like_secrets
from ..config.load import Config, FileSetConfig
from ..repository.file_sets import FileSetBackup, list_files
from ..repository.free import free_second
from ..repository.labels import CHANGES, FILES, make_label
from ..repository.layout import FILE_SET_DATA, FILE_SET_INDEX, MANIFEST
from ..repository.leases import writing
from ..repository.presence import put_records
from ..repository.repository import Repositories, Repository
from ..repository.stored_stream import store_stream
from .changes import TAR, Selection, listed, merged, scan, select, tar_options
from .index import Indexer, as_lines, digest_of, path_of
from .parent import find_members, find_newest, is_due, keep_members
from .scope import setuid_files

_TAR = [*TAR, "--file=-"]
_ATTEMPTS = 3
_CHANGED = (
    "file changed as we read it", "File removed before we read it", "File shrank by",
    "Cannot stat: No such file or directory",
)  # fmt: skip


def set_named(config: Config, name: str) -> FileSetConfig:
    """The configured file set of that name; ConfigError if there is none."""
    for candidate in config.file_sets:
        if candidate.name == name:
            return candidate
    known = ", ".join(s.name for s in config.file_sets) or "none"
    raise ConfigError(
        f"File set {name!r} is not configured; configured are: {known}.", "Add it to file_sets, or correct the name."
    )


def _possible(config: Config, name: str) -> FileSetConfig:
    """The configured set; ConfigError unless all its paths are absolute and exist."""
    chosen = set_named(config, name)
    for path in chosen.paths:
        if not os.path.isabs(path):
            raise ConfigError(f"File set {name}: the path {path!r} is not absolute.", "Use an absolute path.")
        with contextlib.suppress(OSError), located(path, last=False):
            pass  # UntrustedPath if the owner of a directory above it could redirect root.
        if not os.path.lexists(path):
            raise ConfigError(f"File set {name}: {path} does not exist.", "Correct it, or remove it from the set.")
    return chosen


def backup_files(config: Config, name: str, progress: Optional[Progress] = None) -> FileSetBackup:
    """Store a file set in every required repository. Memory: the stores' bounds and about 1 MiB.

    Of an incremental set only the changes since its newest copy; that takes about 1 kB of memory for each member.
    """
    progress = progress or Silent()
    chosen = _possible(config, name)
    progress.phase(f"file set {name}")
    repositories = Repositories.open(config)
    try:
        created = free_second(repositories.required, clock.now, lambda layout: layout.file_set_prefix(name))
        selection = None
        if chosen.incremental:
            selection = _select(config, repositories, chosen, find_newest(repositories, chosen), created)
        label = make_label(created, CHANGES if selection and selection.parents else FILES)
        with audited(config, "files-backup", [f"{name}/{label}"]) as note:
            _require_sealed(chosen, repositories.seal.seals)
            repositories.seal.require()
            repositories.require_signing(f"files/{name}")
            record = repositories.items[0].layout.file_set(name, label, MANIFEST)
            with writing(repositories.required, [record]):
                made = _settled(config, chosen, label, created, repositories, selection, progress)
            note.details.update(members=made.members)
            return made
    finally:
        repositories.close()


def backup_if_changed(config: Config, name: str, progress: Optional[Progress] = None) -> Tuple[FileSetBackup, bool]:
    """The copy with the current content, and whether it was made just now."""
    known = unchanged_copy(config, name, progress)
    return (known, False) if known else (backup_files(config, name, progress), True)


def unchanged_copy(config: Config, name: str, progress: Optional[Progress] = None) -> Optional[FileSetBackup]:
    """The newest copy, if it has the current content; times are ignored. Reads every file once.

    For an incremental set, only the files that appear to have changed.
    """
    chosen = _possible(config, name)
    repositories = Repositories.open(config)
    try:
        known = find_newest(repositories, chosen)
        if known is None or known.unsettled:
            return None
        selection = _select(config, repositories, chosen, known, clock.now()) if chosen.incremental else None
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


def _select(
    config: Config, repositories: Repositories, chosen: FileSetConfig, newest: Optional[FileSetBackup], now: datetime
) -> Selection:
    """The files to read of an incremental set: all of them without a copy to build on, or if that is too old."""
    seen = scan(chosen, TAR, path_of)
    members = find_members(repositories, newest, config.spool_dir) if newest else None
    if newest is None or members is None or is_due(chosen, newest, now):
        return select(seen, (), "", 0)
    return select(seen, members, newest.label, int(newest.created_at.timestamp() * 1e9))


def _require_sealed(chosen: FileSetConfig, sealed: bool) -> None:
    """SecretsUnsealed if configuration files whose names suggest secrets would be stored unsealed."""
    if sealed or chosen.kind != "config" or chosen.allow_unsealed_secrets:
        return
    found = named_like_secrets(seen.path for seen in scan(chosen, TAR, path_of) if not os.path.isdir(seen.path))
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise SecretsUnsealed(
            f"File set {chosen.name} has {', '.join(found[:5])}{more}, whose names suggest secrets, but the copy would"
            " not be sealed. No copy was made.",
            "Seal copies (seal.recipients), exclude these files by their whole paths (excludes), or set"
            " allow_unsealed_secrets: true in this set.",
            file_set=chosen.name,
            paths=found[:100],
        )


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
    """Store the set; start over if files changed while they were read, up to three times. Only the last is stored."""
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            return _store(config, chosen, label, created, repositories, selection, progress, last)
        except _Unsettled as exc:
            progress.note(f"{exc}; reading again")
            clock.sleep(attempt + 0.2)
            if selection is not None:
                selection = _select(config, repositories, chosen, find_newest(repositories, chosen), created)
    raise AssertionError("unreachable: the last attempt is stored whatever changed")


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
    told = [] if chosen.allow_setuid else setuid_files(members)
    if told:
        progress.note(f"{told[0]} and others are setuid" if told[1:] else f"{told[0]} is setuid")
        progress.note("a restore refuses setuid files without allow_setuid: true in the set")
    index = store_stream(required, seal, key_of, FILE_SET_INDEX, as_lines(members))
    record = FileSetBackup(
        label, chosen.name, config.cluster, platform.node(), created, chosen.paths, chosen.excludes, size,
        file, seal.recipients, index, digest_of(members), len(members), tuple(said[:100]),
        selection.parents if selection else (),
    )  # fmt: skip
    put_records(required, key_of(required[0], MANIFEST), record.as_dict(), (file, index))
    if selection is not None:
        keep_members(config.spool_dir, record, members)
    return record


def _read_files(chosen: FileSetConfig, said: List[str], selection: Optional[Selection] = None) -> Iterator[bytes]:
    """The tar archive of the set, or of its selected members.

    ``said`` receives GNU tar's messages about files that changed or vanished meanwhile.
    """
    argv = [*_TAR, "--create", "--sparse"]
    with tempfile.TemporaryFile() as words, listed(selection.names if selection else ()) as named:
        what = [*tar_options(chosen), "--", *(p.strip("/") for p in chosen.paths)] if selection is None else named
        try:
            yield from Drain([*argv, *what], words, accept=(0, 1)).chunks()
        except ProcessFailed:
            # tar fails if a named member has vanished; all others are in the archive.
            if selection is None or not _only_went(_words_of(words)):
                raise
        said += [line for line in _words_of(words) if any(word in line for word in _CHANGED)]


def _words_of(words: IO[bytes]) -> List[str]:
    words.seek(0)
    return words.read().decode(errors="replace").splitlines()


def _only_went(told: Sequence[str]) -> bool:
    return all("Exiting with failure" in line or any(word in line for word in _CHANGED) for line in told)


def fresh_copy(config: Config, name: str, max_age: float) -> Optional[FileSetBackup]:
    """The newest copy, if every required repository has one that is at most ``max_age`` seconds old."""
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
