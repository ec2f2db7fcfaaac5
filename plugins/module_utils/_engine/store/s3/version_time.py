# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a version of an object was put, by evidence that nobody can change later. Pure.

With Amazon S3 and Ceph, ``LastModified`` is the time of the put, whatever happens to the lock. SeaweedFS updates it if
a lock is renewed or extended, a legal hold is set or a tag is changed; but its version ids begin with the time of the
put in nanoseconds (``weed/s3api/s3api_version_id.go``). The store creates the id, no client can choose it, and it never
changes. So if the ids of a bucket encode times, they count, and ``LastModified`` is only an upper bound.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Iterable, Optional, Tuple

#: 16 hexadecimal digits of time, 16 random ones.
_ID = re.compile(r"([0-9a-f]{16})[0-9a-f]{16}\Z")
_LARGEST = 2**63 - 1
# SeaweedFS counts down from the largest number, so that newer ids sort first; releases before 4 count up.
_COUNTS_DOWN = 2**62
_EARLIEST = datetime(2015, 1, 1, tzinfo=timezone.utc)
# LastModified is truncated to seconds.
_CUT = timedelta(seconds=1)


def put_at(version_id: str, modified: datetime) -> datetime:
    """When the version was put, if ids encode times; ``modified`` if this one does not."""
    told = _told(version_id)
    return told if told is not None and _EARLIEST <= told < modified + _CUT else modified


def tell_times(versions: Iterable[Tuple[str, datetime]]) -> bool:
    """Whether the ids of a bucket encode times, judged by a sample of its versions: id and ``LastModified``.

    One in eighty random ids of the same form would pass for a time, so more than half of the sample must.
    """
    sample = [put_at(version_id, modified) != modified for version_id, modified in versions if version_id != "null"]
    return 2 * sum(sample) > len(sample)


def _told(version_id: str) -> Optional[datetime]:
    found = _ID.match(version_id)
    if found is None:
        return None
    number = int(found.group(1), 16)
    if number > _COUNTS_DOWN:
        number = _LARGEST - number
    if number < 0:
        return None
    return datetime.fromtimestamp(number // 10**9, timezone.utc) + timedelta(microseconds=number // 1000 % 10**6)
