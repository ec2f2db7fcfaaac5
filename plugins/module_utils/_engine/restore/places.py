# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a restore: whether they may be used, have enough space, and how existing content is kept."""

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
from .marker import MARKER, hold_existing, release, unfinished_places
from .request import Place, RestoreRequest

_SPARE = 64 * 1024 * 1024


def survey(request: RestoreRequest, chain: Chain, data_dir: str, config: Config) -> Tuple[Place, ...]:
    """Check every directory that the restore fills; raises DataDirectoryRefused or ConfigError, touches nothing."""
    backup, bin_dir = chain[-1], config.bin_dir
    spaces = [t for t in backup.tablespaces if not t.in_place]
    paths = [data_dir, *(request.tablespaces.get(t.location, t.location) for t in spaces)]
    wal = [request.wal_dir] if request.wal_dir else []
    refuse_running([*paths, *wal], bin_dir, request.assume_stopped)
    release(hold_existing(data_dir))
    unknown = set(request.tablespaces) - {t.location for t in spaces}
    if unknown:
        known = ", ".join(t.location for t in spaces) or "none"
        raise ConfigError(
            f"Backup {backup.label} has no tablespace at {', '.join(sorted(unknown))} that could be put elsewhere.",
            f"Its tablespaces lie at: {known}.",
        )
    inside = backup.final_size - sum(t.final_size for t in spaces)
    ours = unfinished_places(bin_dir, data_dir)
    places = [_place(data_dir, inside, None, ours)]
    places += [_place(path, t.final_size, t.oid, ours) for path, t in zip(paths[1:], spaces)]
    if len(chain) > 1:
        places = [replace(p, staged=_staged_size(chain, p.tablespace)) for p in places]
    places += [replace(_place(path, 0, None, ours), wal=True) for path in wal]
    paths = [os.path.realpath(p.path) for p in places]
    for path in paths:
        if sum(within(other, path) for other in paths) > 1:
            raise ConfigError(
                f"Directories of the restore are nested: {', '.join(paths)}.",
                "Give each tablespace, and the WAL, a directory of its own.",
            )
    if request.delta:
        places = [replace(p, state="kept") if p.state == "occupied" else p for p in places]
    _refuse_configured(places, config.data_dir)
    for place in places:
        _may_fill(place, request, backup, data_dir)
        _may_write(place)
    return tuple(places)


def _staged_size(chain: Chain, tablespace: Optional[str]) -> int:
    """Bytes that the extracted backups of the chain take in one place until they are combined."""
    spaces = [t for link in chain for t in link.tablespaces if not t.in_place]
    if tablespace:
        return sum(t.size for t in spaces if t.oid == tablespace)
    return sum(link.data_size for link in chain) - sum(t.size for t in spaces)


def refuse_running(paths: Sequence[str], bin_dir: Optional[str], assume_stopped: bool = False) -> None:
    """DataDirectoryRefused while a server runs in the first of these paths, or uses what one is, holds or lies in.

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
                    f"{path} is, holds or lies in {found}, which the server that runs in {server.data_dir}"
                    f" (process {server.pid}) uses.",
                    "Choose another directory (data_dir, tablespaces, wal_dir), or stop that server first.",
                    data_dir=path,
                )


def _refuse_configured(places: Sequence[Place], configured: Optional[str]) -> None:
    """DataDirectoryRefused where a restore into another data directory would move the configured cluster's away."""
    if not configured or os.path.realpath(configured) == os.path.realpath(places[0].path):
        return
    theirs = directories_of(configured)
    for place in places:
        found = touches(place.path, theirs)
        if found and place.state == "occupied":
            raise DataDirectoryRefused(
                f"{place.path} is, holds or lies in {found}, which belongs to the cluster in {configured}.",
                f"Choose another directory ({_option(place)}).",
                data_dir=place.path,
            )


def _place(path: str, size: int, tablespace: Optional[str], ours: Sequence[str]) -> Place:
    if not os.path.isabs(path):
        raise ConfigError(f"The directory {path!r} is not absolute.", "Use an absolute path.")
    try:
        entries = os.listdir(path)
    except FileNotFoundError:
        return Place(path, "missing", size, tablespace)
    except OSError as exc:
        raise DataDirectoryRefused(
            f"Cannot look into {path}: {exc.strerror}.", "Run as the owner of the cluster's directories.", data_dir=path
        ) from exc
    state = "empty" if not entries else "unfinished" if path in ours else "occupied"
    return Place(path, state, size, tablespace)


def _may_fill(place: Place, request: RestoreRequest, backup: BackupManifest, data_dir: str) -> None:
    if place.state != "occupied" or request.existing == "move_aside":
        return
    # Whoever followed the hint to move it aside would be refused once more.
    _refuse_mount(place)
    what = "is not empty"
    if place.path == data_dir:
        try:
            system = read_system_identifier(data_dir)
            what = (
                "holds this cluster"
                if system == backup.system_identifier
                else f"holds another cluster (system identifier {system}, not {backup.system_identifier})"
            )
        except DataDirectoryRefused:
            what = "is not empty, and is no data directory"
    raise DataDirectoryRefused(
        f"{place.path} {what}.",
        "Set existing to move_aside (in roles: restore_existing): it is renamed, nothing is deleted. Or choose"
        f" another directory ({_option(place)}).",
        data_dir=place.path,
    )


def _refuse_mount(place: Place) -> None:
    real = os.path.realpath(place.path)
    if os.path.ismount(real):
        leads = f"leads to {real}, " if os.path.islink(place.path.rstrip("/")) else "is "
        raise DataDirectoryRefused(
            f"{place.path} {leads}a mount point, which cannot be moved aside, nor anything in it to beside it.",
            "Move all that is in it away by hand and restore without delta, or name a directory below it"
            f" ({_option(place)}).",
            data_dir=place.path,
        )


def _option(place: Place) -> str:
    """The option that names this directory, of the command and of the module."""
    if place.wal:
        return "--wal-dir, wal_dir"
    return "--tablespace OLD=NEW, tablespaces" if place.tablespace else "data_dir"


def _may_write(place: Place) -> None:
    """Whether this user can create the directory, move it aside or fill it: checked before anything is stopped."""
    real = os.path.realpath(place.path)
    # Of a data directory that a delta restore keeps pg_wal is moved aside, to beside it.
    moved = place.state == "occupied" or (place.state == "kept" and place.tablespace is None and not place.wal)
    needed = os.path.dirname(real) if moved else _existing_parent(real) if place.state == "missing" else real
    if moved:
        _refuse_mount(place)
    if not os.access(needed, os.W_OK | os.X_OK):
        raise DataDirectoryRefused(
            f"This user may not write into {needed}, which the restore into {place.path} needs.",
            f"Make the cluster's owner the owner of {needed}, or choose another directory.",
            data_dir=place.path,
        )


def require_room(places: Iterable[Place]) -> None:
    """DiskFull if a file system lacks space for what it would receive; what is moved aside still takes its space."""
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
                f" the restore needs {size} and some room for WAL.",
                "Free some space, or map data_dir and tablespaces elsewhere.",
                path=sample[device],
                free=free,
                needed=size,
            )


def _existing_parent(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def prepare(places: Sequence[Place]) -> List[str]:
    """Make every directory empty and private, but for those that are kept; returns where old content went.

    A path that is a link stays one: what it leads to is moved aside, and made anew on its file system. The data
    directory is the last one: until it is renamed, the old cluster is whole where it was, and its links lead to its own
    tablespaces and WAL.
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
            clear(place.path)
        # Even if there was nothing to move: the old cluster must not use the new one's directory.
        for link in (os.path.join(top.path, name) for name, path in links.items() if path == place.path):
            _relink(link, aside[place.path], os.path.join(top.path, f"link{SUFFIX}"))
        try:
            os.makedirs(real[place.path], mode=0o700, exist_ok=True)
            os.chmod(place.path, 0o700)
        except OSError as exc:
            raise DataDirectoryRefused(
                f"Cannot make {place.path}: {exc.strerror}.",
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
            "Move all that is in it away by hand, then restore again.",
            data_dir=path,
        ) from exc


def _links_into(places: Sequence[Place]) -> Dict[str, str]:
    """The links of the existing data directory to tablespaces and WAL, and their targets."""
    top, names = places[0].path, ["pg_wal"]
    real = {os.path.realpath(p.path): p.path for p in places[1:]}
    with contextlib.suppress(OSError):
        names += [os.path.join("pg_tblspc", name) for name in os.listdir(os.path.join(top, "pg_tblspc"))]
    paths = {name: real.get(os.path.realpath(os.path.join(top, name))) for name in names}
    return {name: path for name, path in paths.items() if path and os.path.islink(os.path.join(top, name))}


def _relink(link: str, target: str, temporary: str) -> None:
    """Let the old cluster keep its own tablespace or WAL: started again, it would write into the new one's files."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)


def clear(path: str) -> None:
    """Remove the content of a directory that an unfinished restore of ours filled."""
    # First the files that would, after an interruption, look like a cluster.
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(path, "global", "pg_control"))
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != MARKER:
            os.unlink(entry.path)
