# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was verified, and when: an object for each verification, written once.

A record counts if its time is plausible: it matches the key, and is neither later than the time of storing nor in the
future. A record never covers objects that were put after the reading, whatever it claims.

``labels`` are the backups that were read and found intact, ``wal`` the spans of segments, by system identifier, and
``damaged`` in the same form those that were not intact. ``audit_faults`` counts faults in the audit trail of this
repository. Every field except ``labels`` may be absent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ObjectCorrupt
from ..base.spans import Span, SpanSet, join
from ..base.wal_names import Segment
from ..records.fields import Fields
from ..records.model import FORMAT, format_time
from .layout import stamp_of
from .plausible import apart, implausible, late, settled
from .records import ENOUGH, Aside, StoredRecord, iterate_records
from .repository import Repository

Wal = Mapping[str, Iterable[Segment]]


@dataclass(frozen=True)
class _Said:
    """A record's claims about WAL, by system identifier, intact or not; ``read``: when the reading began."""

    read: datetime
    good: Mapping[str, SpanSet]
    bad: Mapping[str, SpanSet]


@dataclass
class Known:
    """When each backup (by label) was last read and found intact, and the same for WAL.

    ``newest`` is the time of the newest record, ``damaged`` how many backups and segments it found damaged; ``aside``:
    records that prove nothing. ``audit_faults`` is None if the trail was never verified.
    """

    labels: Dict[str, datetime] = field(default_factory=dict)
    newest: Optional[datetime] = None
    aside: Tuple[Aside, ...] = ()
    said: Tuple[_Said, ...] = ()
    damaged: int = 0
    audit_faults: Optional[int] = None

    def covers(self, label: str, since: datetime, stored: Iterable[datetime]) -> bool:
        """Whether all files of this label, put at these times, were verified at or after ``since``."""
        at = self.labels.get(label)
        return at is not None and at >= since and all(put <= at for put in stored)

    def covers_segment(self, system: str, segment: Segment, since: datetime, stored: datetime) -> bool:
        """Whether this segment, put at that time, was verified at or after ``since``."""
        for said in reversed(self.said):
            if segment in said.bad.get(system, ()):
                return False
            if segment in said.good.get(system, ()):
                return said.read >= since and stored <= said.read
        return False


def note_verified(
    repository: Repository,
    labels: Sequence[str],
    wal: Optional[Wal] = None,
    damaged: Sequence[str] = (),
    damaged_wal: Optional[Wal] = None,
    began: Optional[datetime] = None,
    audit_faults: Optional[int] = None,
) -> None:
    """Record which backups and segments were read back from this repository, and which of them are damaged.

    ``began``: when the reading began. Objects put after that may not have been read.
    """
    record: Dict[str, Any] = {"labels": sorted(labels), "wal": _spans(wal or {})}
    if damaged or damaged_wal:
        record["damaged"] = {"labels": sorted(set(damaged)), "wal": _spans(damaged_wal or {})}
    if began:
        record["began"] = format_time(began)
    if audit_faults is not None:
        record["audit_faults"] = audit_faults
    now = clock.now()
    key = repository.layout.verification(now, secrets.token_hex(4))
    repository.put_record(key, {"format": FORMAT, "at": format_time(now), **record})


def _spans(wal: Wal) -> Dict[str, Any]:
    return {system: [span.as_dict() for span in join(segments)] for system, segments in wal.items()}


def read_known(repository: Repository, most: Optional[int] = ENOUGH) -> Known:
    """The combined content of the newest ``most`` records (None: all); newer records take precedence.

    Damaged and implausible records prove nothing.
    """
    return _known(*_records(repository, most))


def read_all_known(repository: Repository, until: datetime) -> Tuple[Known, Known]:
    """The combined content of all records, and that of the records stored ``until`` then."""
    records, aside = _records(repository, None)
    return _known(records, aside), _known([record for record in records if record.stored <= until], [])


@dataclass(frozen=True)
class _Verification:
    stored: datetime
    at: datetime
    labels: Tuple[str, ...]
    damaged: Tuple[str, ...]
    said: _Said
    audit_faults: Optional[int] = None


def _records(repository: Repository, most: Optional[int]) -> Tuple[List[_Verification], List[Aside]]:
    """The records that count, in the order of their times, and those that were set apart."""
    records: List[_Verification] = []
    aside: List[Aside] = []
    now = clock.now()
    for found in iterate_records(repository, repository.layout.verifications, most):
        try:
            records.append(_read(found, now))
        except ObjectCorrupt as exc:
            aside.append(Aside(found.key, exc))
    return sorted(records, key=lambda record: record.at), aside


def _known(records: Sequence[_Verification], aside: Sequence[Aside]) -> Known:
    known = Known(aside=tuple(aside), said=tuple(record.said for record in records))
    for record in records:
        known.newest = record.at
        known.audit_faults = known.audit_faults if record.audit_faults is None else record.audit_faults
        known.labels.update(dict.fromkeys(record.labels, record.said.read))
        for label in record.damaged:
            known.labels.pop(label, None)
        known.damaged = len(record.damaged) + sum(spans.count for spans in record.said.bad.values())
    return known


def _read(found: StoredRecord, now: datetime) -> _Verification:
    fields = found.fields()
    at, damaged = fields.moment("at"), fields.inner("damaged", default={})
    why = apart(at, stamp_of(found.key)) or late(at, min(now, found.info.modified))
    if why:
        raise implausible(found.key, why)
    # Nothing that was put after the reading began was verified.
    at = settled(at, found.info.modified)
    read = min(at, fields.moment("began")) if "began" in fields.data else at
    labels, bad = fields.texts("labels"), damaged.texts("labels", default=())
    faults = fields.integer("audit_faults") if "audit_faults" in fields.data else None
    return _Verification(found.info.modified, at, labels, bad, _Said(read, _told(fields), _told(damaged)), faults)


def _told(fields: Fields) -> Dict[str, SpanSet]:
    wal = fields.entries("wal", default={})
    found: Dict[str, SpanSet] = {}
    for system in wal.data:
        for inner in wal.inners(system):
            try:
                found.setdefault(system, SpanSet()).add(Span.parse(inner.data))
            except (KeyError, TypeError, ValueError) as exc:
                raise wal.wrong(system, "contains invalid spans of WAL segments") from exc
    return found
