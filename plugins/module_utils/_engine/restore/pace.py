# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast restores are, from the last one here or the last restore test."""

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

# What is known before anything was measured.
_BYTES_PER_SECOND, _SEGMENT_SECONDS, _START_SECONDS = 100e6, 0.2, 3.0
# Fewer segments than that say more of starting a server than of replaying WAL.
_ENOUGH_SEGMENTS = 10
# Bytes a second: no disk or line is beyond, and whoever may store can store any number.
_SLOWEST, _FASTEST = 1e3, 1e12
# Seconds: some thirty years, which a timedelta holds.
_LONGEST = 1e9
# Of the reports: a test that failed says nothing.
_LOOKED_AT = 3


@dataclass(frozen=True)
class Pace:
    """Bytes of data a second, and seconds for a segment (None where too few were replayed); ``source`` says when."""

    bytes_per_second: float
    segment_seconds: Optional[float]
    source: str


def pace_of(restored: Fields, source: str) -> Optional[Pace]:
    """From a result of a restore as it is stored; None where it says nothing of a whole one. Pure. ObjectCorrupt."""
    timings = restored.inner("timings")
    size, segments = restored.integer("bytes_restored"), restored.integer("segments")
    # Each link is verified while it is combined.
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
    """From the mark of a restore; None where it says nothing, or is not for this user to read."""
    with suppress(ObjectCorrupt, UntrustedPath, OSError, ValueError), open_to_read(path) as stream:
        at = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, timezone.utc)
        marker = Fields(parse_object(stream.read(MOST_SMALL)), path)
        return pace_of(marker.inner("result"), f"as in the restore of {format_time(at)}")
    return None


def pace_in_report(report: Fields) -> Optional[Pace]:
    """From the report of a restore test; None where it did not succeed. Pure. ObjectCorrupt."""
    if not report.has("restored"):
        return None
    when = format_time(report.moment("ended_at"))
    return pace_of(report.inner("restored"), f"as in the restore test of {when}")


def estimate_seconds(chain: Chain, segments: int, measured: Optional[Pace] = None) -> Tuple[float, str]:
    """A rough forecast and what it rests on: what was measured, else the rate at which the full backup was made. Pure.

    A chain is written twice: its links, then what they are put together to.
    """
    full = chain[0]
    streamed = float(full.timings.get("stream", 0.0))
    each, source = _SEGMENT_SECONDS, "as at the backup" if streamed > 0 else "by default"
    rate = max(full.data_size / streamed, _SLOWEST) if streamed > 0 else _BYTES_PER_SECOND
    if measured:
        rate, source, each = measured.bytes_per_second, measured.source, measured.segment_seconds or each
    written = sum(b.data_size for b in chain) + (chain[-1].final_size if len(chain) > 1 else 0)
    seconds = written / rate + each * segments + _START_SECONDS
    return min(seconds, _LONGEST), f"{rate / 1e6:.0f} MB/s {source}, {each:.2g} s a segment"
