# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of a scratch cluster: its own directory, and the leftovers of earlier ones whose process was killed.

A place has a lock file, locked (``flock``) while the process that made it is running. The file contains the path of the
place and the host. Only a place with such a file that is not locked is ever cleared.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

from ..base.errors import ConfigError, LifeboatError
from ..base.progress import Progress
from ..config.load import Config
from ..postgres import server

_PREFIX = "lifeboat-verify-"
_LOCK = "lifeboat.lock"


@contextmanager
def scratch_place(config: Config) -> Iterator[str]:
    """A directory for the data and tablespaces, always removed at the end.

    ConfigError if no place is configured, or it cannot be created.
    """
    parent = _parent(config)
    if not parent:
        raise ConfigError(
            "No directory is configured for the scratch cluster.", "Set verify.scratch_dir to one with enough space."
        )
    try:
        place = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    except OSError as exc:
        raise ConfigError(
            f"Cannot create a scratch cluster in {parent}: {exc.strerror}.",
            "Make the directory writable for the user who runs PostgreSQL, or set verify.scratch_dir to another one.",
            path=parent,
        ) from exc
    try:
        with _claimed(place):
            yield place
    finally:
        data = os.path.join(place, "data")
        with contextlib.suppress(LifeboatError):
            if server.is_running(config.bin_dir, data):
                server.stop(config.bin_dir, data, "immediate")
        _remove(place)


def clear_dead(config: Config, progress: Progress) -> None:
    """Remove what killed processes left beside the next scratch place: their servers, sockets, directories.

    Directories that do not provably belong to a killed process are reported and left alone.
    """
    for place in _others(_parent(config)):
        try:
            state = _clear(config, place)
        except (OSError, LifeboatError) as exc:
            state = f"cannot be cleared: {exc}"
        if state:
            progress.note(f"{place} {state}")


def _parent(config: Config) -> Optional[str]:
    return config.verify.scratch_dir or (os.path.dirname(config.data_dir) if config.data_dir else None)


def _others(parent: Optional[str]) -> List[str]:
    try:
        return [os.path.join(str(parent), n) for n in sorted(os.listdir(parent or "")) if n.startswith(_PREFIX)]
    except OSError:
        return []


@contextmanager
def _claimed(place: str) -> Iterator[None]:
    """Hold the place's lock. Wait for it, because another process that clears may lock the empty file for a moment."""
    with open(os.path.join(place, _LOCK), "w", encoding="utf-8") as stream:
        # On a file system without locks the file stays empty, so no other process ever clears the place.
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
            json.dump(_claim(place), stream)
            stream.flush()
        yield


def _claim(place: str) -> Dict[str, Any]:
    return {"place": os.path.realpath(place), "host": socket.gethostname()}


def _clear(config: Config, place: str) -> str:
    """Clear the place if its process is dead. Returns the outcome in words, empty if its process is running."""
    if os.path.islink(place) or os.lstat(place).st_uid != os.geteuid():
        return "belongs to another user and is left alone"
    try:
        lock = os.open(os.path.join(place, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return "has no lock of a scratch cluster; remove it if nothing uses it"
    with open(lock, encoding="utf-8") as stream:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return ""
        if os.fstat(lock).st_nlink == 0:
            # Another process has just cleared it.
            return ""
        if _read(stream.read()) != _claim(place):
            return "was not created on this host or at this path; remove it if nothing uses it"
        data = os.path.join(place, "data")
        if server.serves(data):
            server.stop(config.bin_dir, data, "immediate")
        server.drop_private(data)
        _remove(place)
    return "was left by a killed process and has been cleared"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _remove(place: str) -> None:
    """Remove the place, its lock file last, so that after an interruption it is still recognized."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(place)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                os.unlink(entry.path)
        if os.listdir(place) in ([_LOCK], []):
            shutil.rmtree(place)
