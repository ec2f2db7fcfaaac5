# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a file set: compare with the files on disk, rename what is in the way, extract. Replaced files are kept."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Collection, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupMissing, ConfigError, ObjectCorrupt
from ..base.files import make_directory
from ..base.pipeline import ahead
from ..base.progress import Progress, Silent
from ..codec.zstd import decompress_stream
from ..config.load import Config
from ..repository.file_sets import FileSetBackup, choose_copy, list_files
from ..repository.repository import Repositories, Repository
from .attributes import attribute_differences, link_groups
from .changes import TAR, Member, below, by_copy, listed, tar_name
from .diff import text_changes
from .extract import Compared, compare, extract, to_write
from .parent import read_members
from .room import make_room
from .scope import planned_writes, scope_of

_Part = Tuple[FileSetBackup, Sequence[str]]
_Held = Tuple[FileSetBackup, List[bytes]]


@dataclass(frozen=True)
class FilesRestored:
    """The result of a restore of a file set.

    ``differences`` are messages of ``tar --compare``, ``writes`` the created or changed members with kind, mode and
    owner; at most 1000 of each.
    """

    label: str
    repository: str
    changed: bool
    differences: Tuple[str, ...]
    writes: Tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class FilesRequest:
    """What to restore: the newest copy, ``label``, or the newest at the time ``at`` (aware), below ``target``.

    ``only`` are absolute paths: members elsewhere are left out. ``paths`` are the paths that it may write to, instead
    of the configured ones; a set that is not configured needs either of them.
    """

    name: str
    label: Optional[str] = None
    target: str = "/"
    only: Tuple[str, ...] = ()
    at: Optional[datetime] = None
    paths: Tuple[str, ...] = ()


def plan(
    config: Config,
    request: FilesRequest,
    progress: Optional[Progress] = None,
    show: Optional[Callable[[str], object]] = None,
) -> FilesRestored:
    """Compare with the files on disk. ``show`` gets the lines of changes in text files (:mod:`.diff`)."""
    with _compared(config, request, progress or Silent(), show) as (found, _bring):
        return found


def apply(
    config: Config,
    request: FilesRequest,
    progress: Optional[Progress] = None,
    show: Optional[Callable[[str], object]] = None,
) -> FilesRestored:
    """Restore a file set, see :class:`FilesRequest`; FileSetOutside, with nothing written, if its copy has other paths.

    ``show`` as for :func:`plan`.
    """
    with audited(config, "files-restore", [request.name]) as note:
        with _compared(config, request, progress or Silent(), show, made=True) as (found, bring):
            bring()
        note.objects[:] = [f"{request.name}/{found.label}"]
        note.details.update(repository=found.repository, written=found.changed)
        return found


@contextmanager
def _compared(
    config: Config,
    request: FilesRequest,
    progress: Progress,
    show: Optional[Callable[[str], object]],
    made: bool = False,
) -> Iterator[Tuple[FilesRestored, Callable[[], None]]]:
    """The differences, and a function that writes them. ``made``: create the target if it is missing."""
    name, target, only = request.name, request.target, request.only
    scope = scope_of(config, name, request.paths, only)
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        copies = list_files(repository, name)
        chosen = _chosen(repository, copies, request)
        progress.phase(f"file set {name}: {chosen.label}")
        scope.require_paths(chosen.label, _members(chosen.paths, only))
        members = scope.covered(chosen.label, below(read_members(repository, chosen), only), only)
        held = _held(repository, chosen, copies, members)
        if made:
            _have(target)
        compared = [
            # Of a full copy every member is listed, also those that its record does not mention.
            (part, compare(_tar_at(target), what, _chunks(repository, part), what if only or chosen.parents else ()))
            for part, what in _parts(chosen, held, only)
        ]
        listed = [member for _part, found in compared for member in found.members]
        scope.require(chosen.label, listed)
        attributes = attribute_differences(members, target)
        differences = [words for _part, found in compared for words in found.words]
        differences += [f"{name.decode(errors='replace')}: ACL or attributes differ" for name in attributes]
        if differences and show:
            for part, names in held:
                for line in text_changes(_chunks(repository, part), names, target):
                    show(line)
        written = _written(compared, attributes, members) if differences else []
        writes = planned_writes(listed, {name for _part, names in written for name in names}, target)

        def bring() -> None:
            keep = f".before-{clock.now():%Y%m%dT%H%M%SZ}"
            if written:
                linked = [member.target for member in listed if member.kind == "hardlink"]
                make_room(target, [member.name for member in listed], scope.paths, keep, linked)
            # By name, each of which was checked: no other member of the archive is written.
            for part, what in _named(written):
                extract(_tar_at(target), what, _chunks(repository, part), target, keep)

        found = FilesRestored(
            chosen.label, repository.location, bool(differences), tuple(differences[:1000]), tuple(writes[:1000])
        )
        yield found, bring
    finally:
        repositories.close()


def _chosen(repository: Repository, copies: Sequence[FileSetBackup], request: FilesRequest) -> FileSetBackup:
    name, label, only = request.name, request.label, request.only
    chosen = choose_copy(copies, label, request.at)
    if chosen is None:
        known = ", ".join(c.label for c in copies[-5:]) or "none"
        raise BackupMissing(
            f"Repository {repository.location} has no copy {f'{label} ' if label else ''}of file set {name!r};"
            f" newest: {known}.",
            f"Choose one from lifeboat files list {name}." if label else f"Make one: lifeboat files backup {name}.",
            file_set=name,
            label=label,
        )
    # An older copy may lack some of the requested paths, but not all of them.
    if only and not _members(chosen.paths, only):
        raise ConfigError(
            f"Copy {chosen.label} of file set {name!r} has nothing in {', '.join(only)}.",
            f"Choose paths below {', '.join(chosen.paths)}.",
        )
    return chosen


def _written(
    compared: Sequence[Tuple[FileSetBackup, Compared]], attributes: Collection[bytes], members: Sequence[Member]
) -> List[_Held]:
    """The members to write, by the copy that has them: all of them if it is unknown which differ."""
    if not members or any(found.differing is None for _part, found in compared):
        return [(part, [name.rstrip(b"/") for name in found.names]) for part, found in compared]
    differing = {name for _part, found in compared for name in found.differing or ()} | set(attributes)
    groups = link_groups(members)
    return [(part, to_write(found.names, differing, groups)) for part, found in compared]


def _named(written: Sequence[_Held]) -> Iterator[_Part]:
    """Each copy with tar's arguments for these members."""
    for part, names in written:
        if names:
            with listed(names) as named:
                yield part, named


def _have(target: str) -> None:
    try:
        make_directory(target, 0o755)
    except OSError as exc:
        raise ConfigError(
            f"The target {target} cannot be created: {exc.strerror}.", "Choose a writable directory."
        ) from exc


def _parts(chosen: FileSetBackup, held: Sequence[_Held], only: Sequence[str]) -> Iterator[_Part]:
    """The copies with requested members, each with tar's arguments for these; ``chosen`` itself comes last."""
    if chosen.parents:
        yield from _named(held)
        return
    members = _members(chosen.paths, only)
    if members:
        yield chosen, ["--", *members]


def _held(
    repository: Repository, chosen: FileSetBackup, copies: Sequence[FileSetBackup], members: Sequence[Member]
) -> List[_Held]:
    """The names of these members, by the copy that has them; BackupMissing if one of the copies is gone."""
    known = {copy.label: copy for copy in copies}
    gone = sorted(set(chosen.parents) - set(known))
    if gone:
        raise BackupMissing(
            f"Copy {chosen.label} of file set {chosen.file_set!r} needs {', '.join(gone)}, which repository"
            f" {repository.location} does not have.",
            f"Copy it from another repository (lifeboat sync --to {repository.name}; as root with --file-sets if file"
            " sets have credentials of their own), or restore another copy: --label.",
            missing=gone,
        )
    found = by_copy(members, chosen.label)
    if not set(found) <= {chosen.label, *chosen.parents}:
        raise ObjectCorrupt(
            f"The index of copy {chosen.label} of file set {chosen.file_set!r} names copies missing in its record.",
            "Restore another copy: --label.",
            label=chosen.label,
        )
    return [(known[label], [tar_name(member) for member in its]) for label, its in found.items()]


def _chunks(repository: Repository, chosen: FileSetBackup) -> Iterator[bytes]:
    key = repository.layout.file_set(chosen.file_set, chosen.label, chosen.file.name)
    return ahead(decompress_stream(repository.read(key, chosen.file), key))


def _members(paths: Sequence[str], only: Sequence[str]) -> Tuple[str, ...]:
    """The parts of a set's paths that are below ``only``, as arguments for tar: all paths without ``only``. Pure."""
    stored = [path.strip("/") for path in paths]
    if not only:
        return tuple(stored)
    wanted = [path.strip("/") for path in only]
    inside = [s for s in stored if any(f"{s}/".startswith(f"{w}/") for w in wanted)]
    return (*inside, *(w for w in wanted if w not in inside and any(f"{w}/".startswith(f"{s}/") for s in stored)))


def _tar_at(target: str) -> List[str]:
    return [*TAR[:-1], f"--directory={target}", "--file=-"]
