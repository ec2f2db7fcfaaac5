# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a restore reads. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Collection, Iterable, List, Optional, Sequence, Tuple

from ..base.wal_names import Segment
from ..postgres.timeline import TimelinePath
from ..records.model import BackupManifest
from ..repository.chain import newest_of
from ..repository.kinds import kind_of
from ..restore import on_path
from ..store.s3.cold import ColdObject

#: The kinds whose objects are read only once a restore knows which backup it starts from, or never.
_DATA = ("backup", "files", "dump", "wal", "log", "damaged", "diverged", "drill")


def is_record(cluster: str, key: str) -> bool:
    """Whether this is one of the small objects without which no backup can be found."""
    kind = kind_of(cluster, key)
    return kind.name != "foreign" and (kind.name not in _DATA or (kind.name == "backup" and kind.record))


def choose(
    backups: Sequence[BackupManifest], path: TimelinePath, until: Optional[datetime]
) -> Optional[BackupManifest]:
    """The newest of these backups on the path that was finished by then; None if there is none."""
    return newest_of(b for b in on_path(backups, path) if until is None or b.finished_at <= until)


def files_of(cluster: str, labels: Collection[str], listed: Iterable[ColdObject]) -> List[ColdObject]:
    """All objects of these backups."""
    found = ((kind_of(cluster, item.key), item) for item in listed)
    return [item for kind, item in found if kind.name == "backup" and kind.owner in labels]


def wal_of(
    cluster: str, listed: Iterable[ColdObject], base: BackupManifest, path: TimelinePath, until: Optional[datetime]
) -> List[ColdObject]:
    """The WAL on the path from the start of ``base`` on, and pieces.

    With ``until`` up to the first segment that was stored after it: that one has the last commits before it.
    """
    size = base.segment_size
    first = base.start_lsn // size
    found: List[Tuple[int, ColdObject]] = []
    for item in listed:
        kind = kind_of(cluster, item.key)
        if kind.name != "wal" or kind.owner != base.system_identifier or not (kind.segment or kind.piece):
            continue
        try:
            segment = Segment.parse(kind.part, size)
        except ValueError:
            continue
        if segment.number >= first and path.at((segment.number + 1) * size - 1) == segment.timeline:
            found.append((segment.number, item))
    last = max((n for n, item in found), default=first)
    if until is not None:
        stop = base.stop_lsn // size
        last = min((n for n, item in found if item.modified > until and n >= stop), default=last)
    return [item for n, item in found if n <= last]
