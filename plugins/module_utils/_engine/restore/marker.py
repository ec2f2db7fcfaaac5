# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of a restore in its data directory: the request, whether it is finished, and its result."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import suppress
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional

from ..base.errors import ConfigError, DataDirectoryRefused
from ..postgres.controldata import read_control
from ..postgres.recovery import STANDBY
from ..records.model import format_time
from .request import RestoreRequest

# Exists from before the first file is written or removed, until the next restore.
MARKER = "lifeboat_restore.json"
_CONTROL = os.path.join("global", "pg_control")
_SIGNALS = ("recovery.signal", STANDBY)
_RECOVERING = ("in archive recovery", "shut down in recovery")


def hold_existing(data_dir: str) -> List[int]:
    """Lock an existing data directory, and the mark of an unfinished restore in it; see :func:`hold`."""
    if not os.path.isdir(data_dir):
        return []
    held = [_lock(data_dir, data_dir)]
    try:
        marker = read_marker(data_dir)
        if marker is not None and not marker.get("finished", True):
            hold(data_dir, held)
    except BaseException:
        release(held)
        raise
    return held


def hold(data_dir: str, held: List[int]) -> None:
    """Lock a marked data directory until ``held`` is released; DataDirectoryRefused if another restore has the lock."""
    path = os.path.join(data_dir, MARKER)
    if not any(os.path.samestat(os.fstat(one), os.stat(path)) for one in held):
        held.append(_lock(path, data_dir))


def release(held: List[int]) -> None:
    """Release the locks of :func:`hold_existing` and :func:`hold`."""
    while held:
        os.close(held.pop())


def _lock(path: str, data_dir: str) -> int:
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise DataDirectoryRefused(
            f"Cannot read {path}: {exc.strerror}.", "Run as the owner of the cluster's directories.", data_dir=path
        ) from exc
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(held)
        raise DataDirectoryRefused(
            f"Another restore into {data_dir} is running.",
            "Wait for its end, or stop it; then restore again.",
            data_dir=data_dir,
        ) from exc
    except OSError:
        # A file system without locks must not prevent a restore.
        pass
    return held


def write_marker(path: str, content: Mapping[str, Any]) -> None:
    """Mark a directory as filled by a restore."""
    with open(os.path.join(path, MARKER), "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2, sort_keys=True)
        stream.write("\n")


def read_marker(path: str) -> Optional[Dict[str, Any]]:
    """The content of :func:`write_marker`, or None."""
    try:
        with open(os.path.join(path, MARKER), encoding="utf-8") as stream:
            content = json.load(stream)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def control_digest(data_dir: str) -> Optional[str]:
    """The digest of ``pg_control``, which changes whenever a server starts. None if there is no such file."""
    try:
        with open(os.path.join(data_dir, _CONTROL), "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def unfinished_places(bin_dir: Optional[str], data_dir: str) -> List[str]:
    """The directories that an unfinished restore into ``data_dir`` filled, if nobody used them since: they may be
    cleared. Empty for any other content.
    """
    marker = read_marker(data_dir)
    if marker is None or marker.get("finished", True) or not _may_clear(bin_dir, data_dir, marker):
        return []
    filled = marker.get("places")
    known = filled if isinstance(filled, dict) else {}
    return [data_dir, *(path for path, identity in identify(known).items() if identity == known[path])]


def identify(paths: Iterable[str]) -> Dict[str, List[int]]:
    """Device and inode of these directories: one that was moved away and created again is not the same."""
    found = {}
    for path in paths:
        with suppress(OSError):
            status = os.stat(path)
            found[path] = [status.st_dev, status.st_ino]
    return found


def _may_clear(bin_dir: Optional[str], data_dir: str, marker: Mapping[str, Any]) -> bool:
    """Whether the content can only come from a restore: a mark alone does not prove that.

    A base backup that no server has started yet has its ``backup_label`` and is as old as its source; one in recovery
    has a signal file, and no data that the archive lacks. Whatever was in production is user data, unless its
    ``pg_control`` is exactly as our own failure left it.
    """
    control, label = os.path.join(data_dir, _CONTROL), os.path.join(data_dir, "backup_label")
    if not os.path.lexists(control):
        return True
    if marker.get("left") is not None and marker["left"] == control_digest(data_dir):
        return True
    if os.path.exists(label):
        return os.stat(control).st_mtime <= os.stat(os.path.join(data_dir, MARKER)).st_mtime
    if not any(os.path.exists(os.path.join(data_dir, name)) for name in _SIGNALS):
        return False
    found = read_control(bin_dir, data_dir)
    return found.state in _RECOVERING and found.system_identifier == marker.get("system_identifier")


def is_satisfied(
    request: RestoreRequest, target: str, data_dir: str, bin_dir: Optional[str], as_of: Optional[datetime] = None
) -> bool:
    """Whether ``data_dir`` is the finished result of the request with this ID, still on the timeline it ended on.

    Without an ID every restore is a new one, because ``latest`` means another moment every time. The exception is a
    standby: it still follows, and may have followed to a later timeline.
    ConfigError if the ID is that of a finished restore whose request differs.
    """
    marker = read_marker(data_dir)
    if not marker or not marker.get("finished") or marker.get("request_id") != request.request_id:
        return False
    standby = request.action == "standby" and os.path.exists(os.path.join(data_dir, STANDBY))
    if request.request_id is None and not standby:
        return False
    control = read_control(bin_dir, data_dir)
    moved = control.timeline != marker.get("timeline") and not standby
    if control.system_identifier != marker.get("system_identifier") or moved:
        return False
    asked, done = fingerprint(request, target, data_dir, as_of), marker.get("request") or {}
    differing = sorted(name for name in {*asked, *done} if asked.get(name) != done.get(name))
    if differing and request.request_id is None:
        return False
    if differing:
        raise ConfigError(
            f"{data_dir} is the result of request {request.request_id!r}, which differs from this one in"
            f" {', '.join(differing)}.",
            "Give this restore an ID of its own (request_id).",
            request_id=request.request_id,
            differing=differing,
        )
    return True


def fingerprint(
    request: RestoreRequest, target: str, data_dir: str, as_of: Optional[datetime] = None
) -> Dict[str, Any]:
    """Everything that determines what a restore restores, and where."""
    return {
        "target": target,
        "target_timeline": request.target.timeline,
        "label": request.label,
        "action": request.action,
        "pieces": request.pieces,
        "erasures": request.erasures,
        "as_of": format_time(as_of) if as_of else None,
        "data_dir": os.path.realpath(data_dir),
        "tablespaces": dict(request.tablespaces),
        "settings": {name: str(value) for name, value in request.settings.items()},
        "archiving": request.archiving,
        "delta": request.delta,
        "wal_dir": os.path.realpath(request.wal_dir) if request.wal_dir else None,
    }
