# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was verified, when: an object for each verification, written once.

``labels`` are backups that were read and are intact; ``wal`` has, by system identifier, the spans of segments that
were; ``damaged`` names in the same way what was not. Every field but ``labels`` may be absent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Sequence, Set, Tuple

from .. import clock
from ..errors import ObjectCorrupt
from ..model import FORMAT, format_time, open_record, parse_time, seal_record
from ..postgres.wal_names import Segment
from ..wal.spans import Span, join
from .records import read_records
from .repository import Repository

Wal = Mapping[str, Iterable[Segment]]


@dataclass
class Known:
    """When each backup (by label) and each segment (by system identifier) was last found to be intact.

    ``newest`` is the time of the newest record of what was read.
    """

    labels: Dict[str, datetime] = field(default_factory=dict)
    wal: Dict[str, Dict[Segment, datetime]] = field(default_factory=dict)
    newest: Optional[datetime] = None

    def lately(self, since: datetime) -> Tuple[Set[str], Dict[str, Set[Segment]]]:
        """The labels and the segments that were verified at or after ``since``."""
        labels = {label for label, at in self.labels.items() if at >= since}
        return labels, {system: {s for s, at in known.items() if at >= since} for system, known in self.wal.items()}


def note_verified(
    repository: Repository,
    labels: Sequence[str],
    wal: Optional[Wal] = None,
    damaged: Sequence[str] = (),
    damaged_wal: Optional[Wal] = None,
) -> None:
    """Record that these backups and segments were read back from this repository and are intact, and those not."""
    record: Dict[str, Any] = {"labels": sorted(labels), "wal": _spans(wal or {})}
    if damaged or damaged_wal:
        record["damaged"] = {"labels": sorted(set(damaged)), "wal": _spans(damaged_wal or {})}
    _put(repository, record)


def _put(repository: Repository, record: Mapping[str, Any]) -> None:
    now = clock.now()
    body = seal_record({"format": FORMAT, "at": format_time(now), **record})
    repository.store.put(repository.layout.verification(now, secrets.token_hex(4)), body)


def _spans(wal: Wal) -> Dict[str, Any]:
    return {system: [span.as_dict() for span in join(segments)] for system, segments in wal.items()}


def read_known(repository: Repository) -> Known:
    """What the records say, the newer over the older. A damaged record proves nothing and is passed over."""
    known = Known()
    records = []
    for key, raw in read_records(repository, repository.layout.verifications):
        try:
            data = open_record(raw, key)
            records.append((parse_time(data["at"]), data))
        except (ObjectCorrupt, KeyError, TypeError, ValueError):
            continue
    for at, data in sorted(records, key=lambda r: r[0]):
        try:
            _learn(known, at, data)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return known


def _learn(known: Known, at: datetime, data: Mapping[str, Any]) -> None:
    labels, wal, damaged = data["labels"], list(_segments(data.get("wal", {}))), data.get("damaged", {})
    wrong = list(_segments(damaged.get("wal", {})))
    known.newest = at
    known.labels.update({str(label): at for label in labels})
    for system, segment in wal:
        known.wal.setdefault(system, {})[segment] = at
    for label in damaged.get("labels", ()):
        known.labels.pop(str(label), None)
    for system, segment in wrong:
        known.wal.get(system, {}).pop(segment, None)


def _segments(wal: Mapping[str, Any]) -> Iterator[Tuple[str, Segment]]:
    return ((system, segment) for system, spans in wal.items() for s in spans for segment in Span.parse(s).segments())


def last_verified(repository: Repository) -> Dict[str, datetime]:
    """When each backup was verified last, by label; one that was found damaged since then is not among them."""
    return read_known(repository).labels
