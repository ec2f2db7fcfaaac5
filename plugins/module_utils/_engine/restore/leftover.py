# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL of earlier timelines that a recovered server keeps, but cannot summarize.

A segment in which a timeline ends is replayed from the next timeline's copy. The WAL summarizer begins with the oldest
segment of the oldest timeline that it finds (``GetOldestUnsummarizedLSN`` in ``walsummarizer.c``), and needs that
segment under the old timeline's name. If it is missing, the summarizer waits forever, and no WAL is removed.
"""

from __future__ import annotations

import contextlib
import os
from typing import Collection, Tuple

from ..base.wal_names import Segment, is_segment
from ..postgres.timeline import TimelinePath


def cut_off(path: TimelinePath, present: Collection[str], size: int) -> Tuple[str, ...]:
    """The ``present`` segments from which the summarizer cannot get to the end of ``path``. Pure."""
    last = 0
    for step in path.steps:
        ends_in = Segment.at(step.timeline, step.switch or 0, size).name
        if step.switch is not None and step.switch % size and ends_in not in present:
            last = step.timeline
    return tuple(sorted(name for name in present if is_segment(name) and int(name[:8], 16) <= last))


def drop_cut_off(data_dir: str, path: TimelinePath, size: int) -> None:
    """Remove such segments from a stopped server that has left recovery: it needs no WAL of earlier timelines."""
    pg_wal = os.path.join(data_dir, "pg_wal")
    status = os.path.join(pg_wal, "archive_status")
    for name in cut_off(path, os.listdir(pg_wal), size):
        # They came from the archive. One that is yet to be archived stays.
        if not os.path.exists(os.path.join(status, f"{name}.ready")):
            os.unlink(os.path.join(pg_wal, name))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(status, f"{name}.done"))
