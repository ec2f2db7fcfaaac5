# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speed of restores, measured by the last one here or the last restore test."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional, Tuple

from ..base.errors import ObjectCorrupt, UntrustedPath
from ..base.files import open_to_read
from ..records.fields import MOST_SMALL, Fields, parse_object
from ..records.model import format_time
from ..repository.chain import Chain
from ..repository.repository import Repository
from ..repository.restore_tests import newest_reports
from .marker import MARKER

# Assumed without a measurement.
_BYTES_PER_SECOND, _SEGMENT_SECONDS, _START_SECONDS = 100e6, 0.2, 3.0
# With fewer segments, the time is mainly that of starting the server.
_ENOUGH_SEGMENTS = 10
# Bytes a second: plausible bounds, because anybody who can store a report can store any number.
_SLOWEST, _FASTEST = 1e3, 1e12
# Seconds: some thirty years, which fit into a timedelta.
_LONGEST = 1e9
# Reports to read: those of failed tests have no pace.
_LOOKED_AT = 3


@dataclass(frozen=True)
class Pace:
    """Bytes of data a second, and seconds for a segment (None if too few were replayed); ``source``: measured when."""

    bytes_per_second: float
    segment_seconds: Optional[float]
    source: str


def pace_of(restored: Fields, source: str) -> Optional[Pace]:
    """The pace in the stored result of a restore; None for a delta restore, or implausible values. Pure.

    :raises ObjectCorrupt: a field has another type
    """
    timings = restored.inner("timings")
    size, segments = restored.integer("bytes_restored"), restored.integer("segments")
    # The backups of a chain are verified while they are combined.
    seconds = timings.number("extract", 0.0) + timings.number("verify", 0.0)
    if timings.has("compare") or not seconds or not _SLOWEST <= size / seconds <= _FASTEST:
        return None
    replay = timings.number("recover", 0.0) / segments if segments >= _ENOUGH_SEGMENTS else None
    return Pace(size / seconds, replay, source)


def last_pace(repository: Repository, data_dir: Optional[str]) -> Optional[Pace]:
    """The pace of the last restore into ``data_dir``, else of the newest restore test: a listing and at most 3 gets."""
    here = _pace_here(os.path.join(data_dir, MARKER)) if data_dir else None
    if here:
        return here
    for report in newest_reports(repository, _LOOKED_AT):
        with suppress(ObjectCorrupt):
            pace = pace_in_report(report)
            if pace:
                return pace
    return None


def _pace_here(path: str) -> Optional[Pace]:
    """The pace in the mark of a restore; None without one, or if this user cannot read it."""
    with suppress(ObjectCorrupt, UntrustedPath, OSError, ValueError), open_to_read(path) as stream:
        at = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, timezone.utc)
        marker = Fields(parse_object(stream.read(MOST_SMALL)), path)
        return pace_of(marker.inner("result"), f"as in the restore of {format_time(at)}")
    return None


def pace_in_report(report: Fields) -> Optional[Pace]:
    """The pace in the report of a restore test; None if it did not succeed. Pure.

    :raises ObjectCorrupt: a field has another type
    """
    if not report.has("restored"):
        return None
    when = format_time(report.moment("ended_at"))
    return pace_of(report.inner("restored"), f"as in the restore test of {when}")


def estimate_seconds(chain: Chain, segments: int, measured: Optional[Pace] = None) -> Tuple[float, str]:
    """A rough forecast in seconds, and its basis: a measured pace, else the rate of the full backup. Pure.

    A chain's changes are written twice: as backups, then into the full one.
    """
    full = chain[0]
    streamed = float(full.timings.get("stream", 0.0))
    each, source = _SEGMENT_SECONDS, "as at the backup" if streamed > 0 else "by default"
    rate = max(full.data_size / streamed, _SLOWEST) if streamed > 0 else _BYTES_PER_SECOND
    if measured:
        rate, source, each = measured.bytes_per_second, measured.source, measured.segment_seconds or each
    written = sum(b.data_size for b in chain) + sum(b.data_size for b in chain[1:])
    seconds = written / rate + each * segments + _START_SECONDS
    return min(seconds, _LONGEST), f"{rate / 1e6:.0f} MB/s {source}, {each:.2g} s a segment"
