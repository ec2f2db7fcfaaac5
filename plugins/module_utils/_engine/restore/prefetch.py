# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prefetcher of one restore: a child process that runs from the end of the extraction to that of the recovery.

It only speeds up the restore: if it cannot be started, or dies, ``restore_command`` works without it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, Optional

from ..base.errors import LifeboatError
from ..base.process import DEVNULL, PIPE, spawn
from ..base.temporary import SUFFIX, lock_directory, sweep
from ..base.wal_names import history_name
from ..config.load import Config
from ..postgres.recovery import Ahead
from ..records.model import format_time
from ..wal.prefetch import Order, write_order
from ..wal.window import bound
from .request import RestorePlan

_PREFIX = ".lifeboat-wal-"


class Prefetcher:
    """Started by :func:`start`; ``ahead`` is None while there is none."""

    def __init__(self) -> None:
        self._directory: Optional[str] = None
        self._lock: Optional[int] = None
        self._process: Any = None
        self._tried = False

    @property
    def ahead(self) -> Optional[Ahead]:
        """The running prefetcher, in the form for ``restore_command``."""
        running = self._process is not None and self._process.poll() is None
        return Ahead(str(self._directory), self._process.pid) if running else None

    def start(self, config: Config, planned: RestorePlan, reserved: int) -> None:
        """Start fetching the WAL that the plan needs, once; does nothing if that is disabled or impossible.

        ``reserved``: bytes that the restore is still to write beside the data directory.
        """
        size = planned.backup.segment_size
        if self._tried or config.restore.prefetch <= 0 or not planned.segments_needed:
            return
        self._tried = True
        limit = bound(config.restore.prefetch, size)
        source = planned.source
        # Segments that still grow are not fetched ahead: a standby asks the host command for them.
        pieces = source.pieces and planned.request.action != "standby"
        names, system = _names(planned, pieces), planned.backup.system_identifier
        order = Order(system, size, names, limit, source.name, source.without, pieces)
        try:
            self._directory = _make(config, planned, limit * size, reserved)
            if self._directory is None:
                return
            self._lock = lock_directory(self._directory)
            write_order(self._directory, order)
            past = [f"--as-of={format_time(config.as_of)}"] if config.as_of else []
            words = [config.command, "--config", config.source or "", *past, "wal-prefetch", self._directory]
            self._process = spawn(words, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, cwd=self._directory)
        except (OSError, LifeboatError):
            self.stop()

    def stop(self) -> None:
        """Kill the process and remove its directory; may be called twice."""
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


def _names(planned: RestorePlan, pieces: bool) -> tuple[str, ...]:
    """Every file that recovery requests, in order: the target timeline's history, then the segments."""
    timeline = planned.path.timeline
    history = (history_name(timeline),) if len(planned.path.steps) > 1 else ()
    segments = planned.run.segments[: planned.segments_needed]
    return (*history, *(s.name for s in (*segments, *(planned.pieces.segments if pieces else ()))))


def _make(config: Config, planned: RestorePlan, size: int, reserved: int) -> Optional[str]:
    """Create a private directory with space for ``size`` bytes besides the restore's; None if there is no space."""
    beside = os.path.dirname(planned.data_dir.rstrip("/"))
    for place, needed in (
        (config.restore.prefetch_dir, 0),
        (beside, reserved),
        (tempfile.gettempdir(), 0),
    ):
        if not place or not os.access(place, os.W_OK | os.X_OK):
            continue
        sweep(place, _PREFIX)
        disk = os.statvfs(place)
        if disk.f_bavail * disk.f_frsize > needed + 2 * size:
            return tempfile.mkdtemp(SUFFIX, f"{_PREFIX}{planned.backup.system_identifier}-", place)
    return None
