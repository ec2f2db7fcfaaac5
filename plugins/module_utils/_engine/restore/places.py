# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a restore: check that they may be used and have enough space, and keep existing content."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ConfigError, DataDirectoryRefused, DiskFull
from ..base.temporary import SUFFIX
from ..config.load import Config
from ..postgres.controldata import read_system_identifier
from ..postgres.running import directories_of, running_servers, touches, within
from ..postgres.server import is_running
from ..records.model import BackupManifest
from ..repository.chain import Chain
from . import combine
from .delta import own_directory
from .marker import MARKER, hold_existing, release, unfinished_places
from .request import Place, RestoreRequest

_SPARE = 64 * 1024 * 1024


def survey(request: RestoreRequest, chain: Chain, data_dir: str, config: Config) -> Tuple[Place, ...]:
    """Check every directory that the restore fills; DataDirectoryRefused or ConfigError. Changes nothing."""
    backup, bin_dir = chain[-1], config.bin_dir
    spaces = [t for t in backup.tablespaces if not t.in_place]
    paths = [data_dir, *(request.tablespaces.get(t.location, t.location) for t in spaces)]
    wal = [request.wal_dir] if request.wal_dir else []
    for path in (*paths, *wal):
        if not os.path.isabs(path):
            raise ConfigError(f"The directory {path!r} is not absolute.", "Use an absolute path.")
    refuse_running([*paths, *wal], bin_dir, request.assume_stopped)
    release(hold_existing(data_dir))
    unknown = set(request.tablespaces) - {t.location for t in spaces}
    if unknown:
        known = ", ".join(t.location for t in spaces) or "none"
        raise ConfigError(
            f"Backup {backup.label} has no tablespace at {', '.join(sorted(unknown))} to map to another directory.",
            f"Choose among its tablespaces: {known}.",
        )
    inside = backup.final_size - sum(t.final_size for t in spaces)
    ours = unfinished_places(bin_dir, data_dir)
    places = [_place(data_dir, inside, None, ours)]
    places += [_place(path, t.final_size, t.oid, ours) for path, t in zip(paths[1:], spaces)]
    if len(chain) > 1:
        parents = [_existing_parent(os.path.realpath(p.path)) for p in places]
        in_place = combine.chosen(bin_dir, config.restore.combine, parents) == combine.IN_PLACE
        places = [replace(p, staged=_staged_size(chain, p.tablespace, p.size if in_place else 0)) for p in places]
    places += [replace(_place(path, 0, None, ours), wal=True) for path in wal]
    paths = [os.path.realpath(p.path) for p in places]
    for path in paths:
        if sum(within(other, path) for other in paths) > 1:
            raise ConfigError(
                f"The directories of the restore are nested: {', '.join(paths)}.",
                "Give each tablespace, and the WAL, a directory of its own.",
            )
    if request.delta:
        places = [replace(p, state="kept") if p.state == "occupied" else p for p in places]
    _refuse_configured(places, config.data_dir)
    for place in places:
        _may_fill(place, request, backup, data_dir)
        _may_write(place)
    return tuple(places)


def _staged_size(chain: Chain, tablespace: Optional[str], becomes: int) -> int:
    """Bytes that the extracted backups of the chain use in one place until they are combined, besides the result.

    Of the first one ``becomes`` bytes turn into the result.
    """
    sizes = [_size_in(link, tablespace) for link in chain]
    return sum(sizes) - min(sizes[0], becomes)


def _size_in(link: BackupManifest, tablespace: Optional[str]) -> int:
    """The size of a backup's archive of a tablespace, or of the data directory (None)."""
    spaces = [t for t in link.tablespaces if not t.in_place]
    if tablespace:
        return sum(t.size for t in spaces if t.oid == tablespace)
    return link.data_size - sum(t.size for t in spaces)


def refuse_running(paths: Sequence[str], bin_dir: Optional[str], assume_stopped: bool = False) -> None:
    """DataDirectoryRefused if a server runs in the first path, or another one uses a directory that overlaps a path.

    With ``assume_stopped`` a server in the first one is ignored.
    """
    data_dir = os.path.realpath(paths[0])
    here = is_running(bin_dir, paths[0]) and not assume_stopped
    servers = running_servers(paths)
    if here or (not assume_stopped and any(server.data_dir == data_dir for server in servers)):
        raise DataDirectoryRefused(
            f"A server is running in {paths[0]}.", "Stop it first, or restore into another data_dir.", data_dir=paths[0]
        )
    for server in servers:
        for path in paths:
            found = touches(path, server.directories)
            if found and server.data_dir != data_dir:
                raise DataDirectoryRefused(
                    f"{path} is, contains or is inside {found}, which the server in {server.data_dir}"
                    f" (process {server.pid}) uses.",
                    "Choose another directory (data_dir, tablespaces, wal_dir), or stop that server first.",
                    data_dir=path,
                )


def _refuse_configured(places: Sequence[Place], configured: Optional[str]) -> None:
    """DataDirectoryRefused if a restore into another data directory would move the configured cluster away."""
    if not configured or os.path.realpath(configured) == os.path.realpath(places[0].path):
        return
    theirs = directories_of(configured)
    for place in places:
        found = touches(place.path, theirs)
        if found and place.state == "occupied":
            raise DataDirectoryRefused(
                f"{place.path} is, contains or is inside {found}, which belongs to the cluster in {configured}.",
                f"Choose another directory ({_option(place)}).",
                data_dir=place.path,
            )


def _place(path: str, size: int, tablespace: Optional[str], ours: Sequence[str]) -> Place:
    try:
        entries = os.listdir(path)
    except FileNotFoundError:
        return Place(path, "missing", size, tablespace)
    except OSError as exc:
        raise DataDirectoryRefused(
            f"Cannot read {path}: {exc.strerror}.", "Run as the owner of the cluster's directories.", data_dir=path
        ) from exc
    state = "empty" if not entries else "unfinished" if path in ours else "occupied"
    return Place(path, state, size, tablespace)


def _may_fill(place: Place, request: RestoreRequest, backup: BackupManifest, data_dir: str) -> None:
    if place.state != "occupied" or request.existing == "move_aside":
        return
    # First, because the hint to move it aside does not help with a mount point.
    _refuse_mount(place)
    what = "is not empty"
    if place.path == data_dir:
        try:
            system = read_system_identifier(data_dir)
            what = (
                "contains this cluster"
                if system == backup.system_identifier
                else f"contains another cluster (system identifier {system}, not {backup.system_identifier})"
            )
        except DataDirectoryRefused:
            what = "is not empty, and not a data directory"
    raise DataDirectoryRefused(
        f"{place.path} {what}.",
        "Set existing to move_aside (in roles: restore_existing), which renames it and deletes nothing, or choose"
        f" another directory ({_option(place)}).",
        data_dir=place.path,
    )


def _refuse_mount(place: Place) -> None:
    real = os.path.realpath(place.path)
    if os.path.ismount(real):
        leads = f"leads to {real}, " if os.path.islink(place.path.rstrip("/")) else "is "
        raise DataDirectoryRefused(
            f"{place.path} {leads}a mount point: neither it nor its content can be renamed into the parent directory.",
            "Move its content away by hand and restore without delta, or choose a directory below it"
            f" ({_option(place)}).",
            data_dir=place.path,
        )


def _option(place: Place) -> str:
    """The option for this directory, of the command and of the module."""
    if place.wal:
        return "--wal-dir, wal_dir"
    return "--tablespace OLD=NEW, tablespaces" if place.tablespace else "data_dir"


def _may_write(place: Place) -> None:
    """DataDirectoryRefused unless this user can create the directory, move it aside or fill it, as needed.

    Checked before anything is stopped.
    """
    real = os.path.realpath(place.path)
    # A delta restore moves pg_wal out of the data directory, to the directory around it.
    moved = place.state == "occupied" or (place.state == "kept" and place.tablespace is None and not place.wal)
    needed = os.path.dirname(real) if moved else _existing_parent(real) if place.state == "missing" else real
    if moved:
        _refuse_mount(place)
    if not os.access(needed, os.W_OK | os.X_OK):
        raise DataDirectoryRefused(
            f"This user cannot write into {needed}, as the restore into {place.path} requires.",
            f"Make the cluster's owner the owner of {needed}, or choose another directory.",
            data_dir=place.path,
        )


def require_room(places: Iterable[Place]) -> None:
    """DiskFull if a file system lacks space for the restore; content that is moved aside still uses its space."""
    needed: Dict[int, int] = {}
    sample: Dict[int, str] = {}
    for place in places:
        parent = _existing_parent(os.path.realpath(place.path))
        device = os.stat(parent).st_dev
        needed[device] = needed.get(device, 0) + max(0, place.size - place.present) + place.staged
        sample.setdefault(device, parent)
    for device, size in needed.items():
        disk = os.statvfs(sample[device])
        free = disk.f_bavail * disk.f_frsize
        if free < size + _SPARE:
            raise DiskFull(
                f"The file system of {sample[device]} has {free} bytes free;"
                f" the restore needs {size} and some space for WAL.",
                "Free some space, or choose other directories (data_dir, tablespaces).",
                path=sample[device],
                free=free,
                needed=size,
            )


def _existing_parent(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def prepare(places: Sequence[Place], major: int) -> List[str]:
    """Make every directory empty and private, except those that are kept; returns the paths of moved content.

    ``major``: the version of the restored cluster; see :func:`clear`.

    A path that is a link stays one: its target is moved aside, and created again on the same file system. The data
    directory is the last one: until it is renamed, the old cluster is complete in its place, and its links lead to its
    own tablespaces and WAL.
    """
    real = {p.path: os.path.realpath(p.path) for p in places}
    aside = {p.path: f"{real[p.path]}.before-{clock.now():%Y%m%dT%H%M%SZ}" for p in places}
    top = places[0]
    links = _links_into(places) if top.state == "occupied" else {}
    for place in (*places[1:], top):
        if place.state == "kept":
            continue
        if place.state == "occupied":
            _move_aside(real[place.path], aside[place.path])
        elif place.state == "unfinished":
            clear(place, major)
        # Even without content to move: the old cluster must not use the new one's directory.
        for link in (os.path.join(top.path, name) for name, path in links.items() if path == place.path):
            _relink(link, aside[place.path], os.path.join(top.path, f"link{SUFFIX}"))
        try:
            os.makedirs(real[place.path], mode=0o700, exist_ok=True)
            os.chmod(place.path, 0o700)
        except OSError as exc:
            raise DataDirectoryRefused(
                f"Cannot create {place.path}: {exc.strerror}.",
                "Run as the owner of the cluster's directories.",
                data_dir=place.path,
            ) from exc
    return [aside[p.path] for p in places if p.state == "occupied"]


def _move_aside(path: str, aside: str) -> None:
    try:
        os.rename(path, aside)
    except OSError as exc:
        raise DataDirectoryRefused(
            f"{path} cannot be moved aside to {aside}: {exc.strerror}.",
            "Move its content away by hand, then restore again.",
            data_dir=path,
        ) from exc


def _links_into(places: Sequence[Place]) -> Dict[str, str]:
    """The links of the existing data directory to those places that are its tablespaces and WAL, with the paths."""
    top, names = places[0].path, ["pg_wal"]
    real = {os.path.realpath(p.path): p.path for p in places[1:]}
    with contextlib.suppress(OSError):
        names += [os.path.join("pg_tblspc", name) for name in os.listdir(os.path.join(top, "pg_tblspc"))]
    paths = {name: real.get(os.path.realpath(os.path.join(top, name))) for name in names}
    return {name: path for name, path in paths.items() if path and os.path.islink(os.path.join(top, name))}


def _relink(link: str, target: str, temporary: str) -> None:
    """Point a link of the old cluster to its own tablespace or WAL: started again, it would use the new one's files."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)


def clear(place: Place, major: int) -> None:
    """Remove what an unfinished restore put into a directory, except its mark.

    In a tablespace that is the directory of this ``major`` version: another cluster may use the same location, and a
    delta restore has left it there.
    """
    # pg_control first: without it, an interruption leaves nothing that looks like a cluster.
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(place.path, "global", "pg_control"))
    for entry in os.scandir(place.path):
        if place.tablespace and not entry.name.startswith(own_directory(major)):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != MARKER:
            os.unlink(entry.path)
