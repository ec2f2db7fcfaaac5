# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private directories, removed with their process; a new process sweeps those that killed processes left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from functools import cache
from typing import Iterator, Optional

from . import clock
from .files import require_place

# Before it is locked, a new directory looks like that of a dead process.
_SETTLED_SECONDS = 5.0
# Every name ends in this, which nobody else would use with our prefix.
SUFFIX = ".lifeboat-tmp"


@contextlib.contextmanager
def temporary_directory(prefix: str, where: Optional[str] = None) -> Iterator[str]:
    """A private directory, removed at the end. Root creates it only where nobody else can move it, as in /tmp."""
    place = where or tempfile.gettempdir()
    require_place(place)
    _sweep_once(place, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, suffix=SUFFIX, dir=place) as made:
        lock = lock_directory(made)
        try:
            yield made
        finally:
            os.close(lock)


def lock_directory(path: str) -> int:
    """Lock it (``flock``) until the descriptor is closed, at the latest by the end of this process; not inherited."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # Without locks on the file system nobody else can lock it either, so it is never swept.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


@cache
def _sweep_once(place: str, prefix: str) -> None:
    """Sweep once per process: a directory is created for each segment searched and for each signature."""
    sweep(place, prefix)


def sweep(place: str, prefix: str) -> None:
    """Remove directories of this prefix that :func:`lock_directory` locked and whose process no longer exists."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(place)):
            if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX):
                _remove_dead(entry.path)


def _remove_dead(path: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            ours = found.st_uid == os.geteuid() and found.st_mode & 0o777 == stat.S_IRWXU
            if ours and clock.now().timestamp() - found.st_mtime > _SETTLED_SECONDS:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
