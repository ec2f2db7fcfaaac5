# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find abandoned timelines: after a fork, the same moment is on both timelines, with different transactions. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, List, Mapping

from ..base.wal_names import Segment
from ..postgres.timeline import TimelinePath
from ..store.protocol import ObjectInfo


def branches_at(path: TimelinePath, moment: datetime, have: Mapping[Segment, ObjectInfo]) -> List[int]:
    """The timelines other than ``path`` that have WAL of this moment, judging by when it was archived.

    ``have`` are the complete segments of every timeline.
    """
    before: Dict[int, datetime] = {}
    after: Dict[int, datetime] = {}
    for segment, info in have.items():
        timeline = segment.timeline
        if timeline == path.timeline:
            continue
        left_at = path.fork_of(timeline)
        times = before if left_at is not None and segment.end <= left_at else after
        times[timeline] = max(info.modified, times.get(timeline, info.modified))
    return sorted(t for t, last in after.items() if before.get(t, moment) <= moment <= last)
