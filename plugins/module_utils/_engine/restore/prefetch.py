# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prefetcher of one restore: a child process that lives from the first byte extracted to the end of recovery.

It is an accelerator and nothing else: when it cannot be started, or dies, ``restore_command`` does without it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from typing import Any, Optional

from ..config import Config
from ..errors import LifeboatError
from ..model import format_time
from ..postgres.recovery import Ahead
from ..postgres.wal_names import history_name
from ..process import DEVNULL, PIPE, spawn
from ..wal.prefetch import Order, write_order
from ..wal.window import bound
from .request import RestorePlan

_PREFIX = ".lifeboat-wal-"
_LOCK = "lock"


class Prefetcher:
    """Started by :func:`start`; ``ahead`` is None while there is none."""

    def __init__(self) -> None:
        self._directory: Optional[str] = None
        self._lock: Optional[int] = None
        self._process: Any = None

    @property
    def ahead(self) -> Optional[Ahead]:
        """For ``restore_command``."""
        running = self._process is not None and self._process.poll() is None
        return Ahead(str(self._directory), self._process.pid) if running else None

    def start(self, config: Config, planned: RestorePlan) -> None:
        """Begin to fetch the WAL that the plan needs; does nothing where that is not wanted or not possible."""
        size = planned.backup.segment_size
        if self._process is not None or config.restore.prefetch <= 0 or not planned.segments_needed:
            return
        limit = bound(config.restore.prefetch, size)
        source = planned.source
        order = Order(
            planned.backup.system_identifier, size, _names(planned), limit, source.name, source.without, source.pieces
        )
        try:
            self._directory = _make(config, planned, limit * size)
            if self._directory is None:
                return
            self._lock = os.open(os.path.join(self._directory, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_order(self._directory, order)
            past = [f"--as-of={format_time(config.as_of)}"] if config.as_of else []
            words = [config.command, "--config", config.source or "", *past, "wal-prefetch", self._directory]
            self._process = spawn(words, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, cwd=self._directory)
        except (OSError, LifeboatError):
            self.stop()

    def stop(self) -> None:
        """End it and remove its directory; safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _names(planned: RestorePlan) -> tuple[str, ...]:
    """Every file that recovery asks for, in its order: the target timeline's history, then the segments."""
    timeline = planned.path.timeline
    history = (history_name(timeline),) if len(planned.path.steps) > 1 else ()
    segments = planned.run.segments[: planned.segments_needed]
    return (*history, *(s.name for s in (*segments, *planned.pieces.segments)))


def _make(config: Config, planned: RestorePlan, size: int) -> Optional[str]:
    """A private directory with room for ``size`` bytes besides what the restore writes; None where there is none."""
    beside = os.path.dirname(planned.data_dir.rstrip("/"))
    for place, reserved in (
        (config.restore.prefetch_dir, 0),
        (beside, planned.backup.data_size),
        (tempfile.gettempdir(), 0),
    ):
        if not place or not os.access(place, os.W_OK | os.X_OK):
            continue
        sweep(place)
        disk = os.statvfs(place)
        if disk.f_bavail * disk.f_frsize > reserved + 2 * size:
            return tempfile.mkdtemp(prefix=f"{_PREFIX}{planned.backup.system_identifier}-", dir=place)
    return None


def sweep(place: str) -> None:
    """Remove what prefetchers of ours left behind when machine and restore died together."""
    for entry in os.scandir(place):
        if not entry.name.startswith(_PREFIX) or entry.stat(follow_symlinks=False).st_uid != os.geteuid():
            continue
        try:
            held = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry.path, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(held)
