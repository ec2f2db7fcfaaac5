# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a restore: whether they may be used, have room, and how what is there is kept."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .. import clock
from ..errors import ConfigError, DataDirectoryRefused, DiskFull
from ..model import BackupManifest, format_time
from ..postgres.controldata import read_control, read_system_identifier
from ..postgres.server import is_running
from ..repository.chain import Chain
from .request import Place, RestoreRequest

# In the data directory, from before the first byte is extracted: whose work this is, and at the end, that it is done.
MARKER = "lifeboat_restore.json"
LOG = "lifeboat_restore.log"
_SPARE = 64 * 1024 * 1024


def survey(request: RestoreRequest, chain: Chain, data_dir: str, bin_dir: Optional[str]) -> Tuple[Place, ...]:
    """Look at every directory that the restore fills; raises DataDirectoryRefused or ConfigError, touches nothing."""
    backup = chain[-1]
    if not request.assume_stopped:
        refuse_running(data_dir, bin_dir)
    other = hold_unfinished(data_dir)
    if other is not None:
        os.close(other)
    unknown = set(request.tablespaces) - {t.location for t in backup.tablespaces}
    if unknown:
        known = ", ".join(t.location for t in backup.tablespaces) or "none"
        raise ConfigError(
            f"Backup {backup.label} has no tablespace at {', '.join(sorted(unknown))}.",
            f"Its tablespaces lie at: {known}.",
        )
    inside = backup.final_size - sum(t.final_size for t in backup.tablespaces)
    marker = read_marker(data_dir) or {}
    ours = () if marker.get("finished", True) else (data_dir, *marker.get("tablespaces", ()))
    places = [_place(data_dir, inside, None, ours)]
    places += [
        _place(request.tablespaces.get(t.location, t.location), t.final_size, t.oid, ours) for t in backup.tablespaces
    ]
    if len(chain) > 1:
        places = [replace(p, staged=_staged_size(chain, p.tablespace)) for p in places]
    paths = [os.path.realpath(p.path) for p in places]
    for path in paths:
        if not os.path.isabs(path) or sum(other == path or other.startswith(path + os.sep) for other in paths) > 1:
            raise ConfigError(
                f"The directories of the restore lie in one another: {', '.join(paths)}.",
                "Map each tablespace to a directory of its own.",
            )
    if request.delta:
        places = [replace(p, state="kept") if p.state == "occupied" else p for p in places]
    for place in places:
        _may_fill(place, request, backup, data_dir)
        _may_write(place)
    return tuple(places)


def _staged_size(chain: Chain, tablespace: Optional[str]) -> int:
    """Bytes that the extracted links take in one place until they are put together."""
    spaces = [t for link in chain for t in link.tablespaces]
    if tablespace:
        return sum(t.size for t in spaces if t.oid == tablespace)
    return sum(link.data_size for link in chain) - sum(t.size for t in spaces)


def refuse_running(data_dir: str, bin_dir: Optional[str]) -> None:
    """DataDirectoryRefused while a server runs there."""
    if is_running(bin_dir, data_dir):
        raise DataDirectoryRefused(
            f"A server is running in {data_dir}.", "Stop it first, or restore into another data_dir.", data_dir=data_dir
        )


def hold_unfinished(data_dir: str) -> Optional[int]:
    """:func:`hold`, where a restore left or leaves a directory unfinished; None elsewhere."""
    marker = read_marker(data_dir)
    return None if marker is None or marker.get("finished", True) else hold(data_dir)


def hold(data_dir: str) -> int:
    """Lock a marked data directory until this descriptor is closed; refuse it while another restore fills it."""
    held = os.open(os.path.join(data_dir, MARKER), os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(held)
        raise DataDirectoryRefused(
            f"Another restore into {data_dir} is running.",
            "Wait until it has ended, or end it; then restore again.",
            data_dir=data_dir,
        ) from exc
    except OSError:
        # A file system without locks is no reason not to restore.
        pass
    return held


def _place(path: str, size: int, tablespace: Optional[str], ours: Sequence[str]) -> Place:
    if not os.path.isabs(path):
        raise ConfigError(f"The directory {path!r} is not absolute.", "Give the whole path.")
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
        "Set existing to move_aside (it is renamed, nothing is deleted), or choose another directory.",
        data_dir=place.path,
    )


def _may_write(place: Place) -> None:
    """Whether this user can make the directory, move it aside or fill it: known before anything is stopped for it."""
    parent = os.path.dirname(place.path.rstrip("/"))
    needed = {"missing": _existing_parent(place.path), "occupied": parent}.get(place.state, place.path)
    if place.state == "occupied" and os.path.ismount(place.path):
        raise DataDirectoryRefused(
            f"{place.path} is a mount point, which cannot be moved aside.",
            "Move its content away by hand.",
            data_dir=place.path,
        )
    if not os.access(needed, os.W_OK | os.X_OK):
        raise DataDirectoryRefused(
            f"This user may not write into {needed}, which the restore into {place.path} needs.",
            f"Make the cluster's owner the owner of {needed}, or choose another directory.",
            data_dir=place.path,
        )


def require_room(places: Iterable[Place]) -> None:
    """DiskFull when a file system has not the room for what it would receive; what is moved aside keeps its room."""
    needed: Dict[int, int] = {}
    sample: Dict[int, str] = {}
    for place in places:
        parent = _existing_parent(place.path)
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


def prepare(places: Sequence[Place], marker: Mapping[str, Any]) -> List[str]:
    """Make every directory empty and private, mark the data directory (the first); returns where old content went."""
    aside: List[str] = []
    for place in places:
        if place.state == "occupied":
            target = f"{place.path.rstrip('/')}.before-{clock.now():%Y%m%dT%H%M%SZ}"
            try:
                os.rename(place.path, target)
            except OSError as exc:
                raise DataDirectoryRefused(
                    f"{place.path} cannot be moved aside to {target}: {exc.strerror}.",
                    "A mount point cannot be renamed: move its content away by hand.",
                    data_dir=place.path,
                ) from exc
            aside.append(target)
        elif place.state == "unfinished":
            clear(place.path)
        try:
            os.makedirs(place.path, mode=0o700, exist_ok=True)
            os.chmod(place.path, 0o700)
        except OSError as exc:
            raise DataDirectoryRefused(
                f"Cannot make {place.path}: {exc.strerror}.",
                "Run as the owner of the cluster's directories.",
                data_dir=place.path,
            ) from exc
    write_marker(places[0].path, {**marker, "finished": False, "tablespaces": [p.path for p in places if p.tablespace]})
    return aside


def clear(path: str) -> None:
    """Remove the content of a directory that an unfinished restore of ours filled."""
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.name != MARKER:
            os.unlink(entry.path)


def write_marker(path: str, content: Mapping[str, Any]) -> None:
    """Say whose work a directory is."""
    with open(os.path.join(path, MARKER), "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2, sort_keys=True)
        stream.write("\n")


def read_marker(path: str) -> Optional[Dict[str, Any]]:
    """What :func:`write_marker` left, or None."""
    try:
        with open(os.path.join(path, MARKER), encoding="utf-8") as stream:
            content = json.load(stream)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def is_satisfied(
    request: RestoreRequest, target: str, data_dir: str, bin_dir: Optional[str], as_of: Optional[datetime] = None
) -> bool:
    """Whether ``data_dir`` is the finished result of the same request, and still on the timeline it ended on."""
    marker = read_marker(data_dir)
    if not marker or not marker.get("finished") or marker.get("request") != fingerprint(request, target, as_of):
        return False
    control = read_control(bin_dir, data_dir)
    return control.system_identifier == marker.get("system_identifier") and control.timeline == marker.get("timeline")


def fingerprint(request: RestoreRequest, target: str, as_of: Optional[datetime] = None) -> Dict[str, Any]:
    """What makes two requests the same."""
    return {
        "target": target,
        "target_timeline": request.target.timeline,
        "label": request.label,
        "action": request.action,
        # Only where it is left out: the marks of former restores have no such word.
        **({} if request.pieces else {"pieces": False}),
        **({} if request.erasures else {"erasures": False}),
        **({"as_of": format_time(as_of)} if as_of else {}),
    }
