# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a file set back: compare with what is there, make room, extract; what differs is kept under another name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Collection, Iterator, List, Optional, Sequence, Tuple

from . import clock
from .audit.scope import audited
from .codec.zstd import decompress_stream
from .config import Config
from .errors import BackupMissing, ConfigError, ObjectCorrupt
from .file_attributes import attribute_differences, link_groups
from .file_changes import TAR, Member, below, by_copy, listed, tar_name
from .file_diff import text_changes
from .file_extract import Compared, compare, extract, to_write
from .file_parent import read_members
from .file_record import FileSetBackup, choose_copy, list_files
from .file_room import make_room
from .pipeline import ahead
from .progress import Progress, Silent
from .repository.repository import Repositories, Repository

_Part = Tuple[FileSetBackup, Sequence[str]]
_Held = Tuple[FileSetBackup, List[bytes]]


@dataclass(frozen=True)
class FilesRestored:
    """What a restore of a file set did. ``differences`` are ``tar --compare``'s words, at most 1000 of them."""

    label: str
    repository: str
    changed: bool
    differences: Tuple[str, ...]


def restore_files(
    config: Config,
    name: str,
    label: Optional[str] = None,
    target: str = "/",
    apply: bool = True,
    progress: Optional[Progress] = None,
    only: Sequence[str] = (),
    at: Optional[datetime] = None,
    show: Optional[Callable[[str], object]] = None,
) -> FilesRestored:
    """Bring a file set back below ``target``: the newest copy, ``label``'s, or the one of the time ``at`` (aware).

    With ``apply`` off it only compares. ``only`` are absolute paths: what lies elsewhere is left out.
    ``show`` gets the lines of what changes in text files (:mod:`.file_diff`).
    """
    with audited(config, "files-restore", [name], apply) as note:
        done = _restore(config, name, label, target, apply, progress or Silent(), only, at, show)
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
    show: Optional[Callable[[str], object]],
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
        # An older copy may have fewer paths than are asked for; but none of them is a mistake.
        if only and not _members(chosen.paths, only):
            raise ConfigError(
                f"Copy {chosen.label} of file set {name!r} has nothing of {', '.join(only)}.",
                f"It has what lies below {', '.join(chosen.paths)}.",
            )
        progress.phase(f"file set {name}: {chosen.label}")
        if apply:
            _have(target)
        members = below(read_members(repository, chosen), only)
        held = _held(repository, chosen, copies, members)
        attributes = attribute_differences(members, target)
        compared = [
            (part, compare(_tar_at(target), what, _chunks(repository, part)))
            for part, what in _parts(chosen, held, only)
        ]
        differences = [words for _part, found in compared for words in found.words]
        differences += [f"{name.decode(errors='replace')}: ACL or attributes differ" for name in attributes]
        if differences and show:
            for part, names in held:
                for line in text_changes(_chunks(repository, part), names, target):
                    show(line)
        if differences and apply:
            keep = f".before-{clock.now():%Y%m%dT%H%M%SZ}"
            make_room(target, [name for _part, found in compared for name in found.names], chosen.paths, keep)
            written = _differing(compared, attributes, members)
            parts = _parts(chosen, held, only) if written is None else _named(written)
            for part, what in parts:
                extract(_tar_at(target), what, _chunks(repository, part), target, keep)
        return FilesRestored(chosen.label, repository.location, bool(differences), tuple(differences[:1000]))
    finally:
        repositories.close()


def _differing(
    compared: Sequence[Tuple[FileSetBackup, Compared]], attributes: Collection[bytes], members: Sequence[Member]
) -> Optional[List[_Held]]:
    """The members that are written, by the copy that holds them; None where it is in doubt which differ: all are."""
    if not members or any(found.differing is None for _part, found in compared):
        return None
    differing = {name for _part, found in compared for name in found.differing or ()} | set(attributes)
    groups = link_groups(members)
    return [(part, to_write(found.names, differing, groups)) for part, found in compared]


def _named(written: Sequence[_Held]) -> Iterator[_Part]:
    """Each copy with tar's words for these members."""
    for part, names in written:
        if names:
            with listed(names) as named:
                yield part, named


def _have(target: str) -> None:
    try:
        os.makedirs(target, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"The target {target} cannot be made: {exc.strerror}.", "Name a directory that may be written into."
        ) from exc


def _parts(chosen: FileSetBackup, held: Sequence[_Held], only: Sequence[str]) -> Iterator[_Part]:
    """The copies that hold what is asked for, each with tar's words for its members; ``chosen`` itself comes last."""
    if chosen.parents:
        yield from _named(held)
        return
    members = _members(chosen.paths, only)
    if members:
        yield chosen, ["--", *members]


def _held(
    repository: Repository, chosen: FileSetBackup, copies: Sequence[FileSetBackup], members: Sequence[Member]
) -> List[_Held]:
    """The names of these members, by the copy that holds them."""
    known = {copy.label: copy for copy in copies}
    gone = sorted(set(chosen.parents) - set(known))
    if gone:
        raise BackupMissing(
            f"Copy {chosen.label} of file set {chosen.file_set!r} needs {', '.join(gone)}, which repository"
            f" {repository.location} does not have.",
            "Bring it from another repository (lifeboat sync), or restore another copy: --label.",
            missing=gone,
        )
    found = by_copy(members, chosen.label)
    if not set(found) <= {chosen.label, *chosen.parents}:
        raise ObjectCorrupt(
            f"The index of copy {chosen.label} of file set {chosen.file_set!r} names copies that its record does not.",
            "Restore another copy: --label, or bring this one from another repository (lifeboat sync).",
            label=chosen.label,
        )
    return [(known[label], [tar_name(member) for member in its]) for label, its in found.items()]


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


def _tar_at(target: str) -> List[str]:
    return [*TAR[:-1], f"--directory={target}", "--file=-"]
