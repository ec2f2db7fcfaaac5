# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was verified, when: an object for each verification, written once.

A record counts when its time can be so: it is the one in its key, not later than when the store took it, and not in the
future. What was put since it was read is not covered by it, however the record says.

``labels`` are backups that were read and are intact; ``wal`` has, by system identifier, the spans of segments that
were; ``damaged`` names in the same way what was not. ``audit_faults`` counts what is wrong with the audit trail of
this repository. Every field but ``labels`` may be absent.
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
    """What a record says of WAL, by system identifier, intact or not; ``read`` is when the reading began."""

    read: datetime
    good: Mapping[str, SpanSet]
    bad: Mapping[str, SpanSet]


@dataclass
class Known:
    """When each backup (by label) was last read and found to be intact, and what is known of WAL.

    ``newest`` is the time of the newest record of what was read, ``damaged`` how many backups and segments it found
    damaged; ``aside`` are records that prove nothing. ``audit_faults`` is None where the trail was never verified.
    """

    labels: Dict[str, datetime] = field(default_factory=dict)
    newest: Optional[datetime] = None
    aside: Tuple[Aside, ...] = ()
    said: Tuple[_Said, ...] = ()
    damaged: int = 0
    audit_faults: Optional[int] = None

    def covers(self, label: str, since: datetime, stored: Iterable[datetime]) -> bool:
        """Whether all that this label has, put at these times, was verified at or after ``since``."""
        at = self.labels.get(label)
        return at is not None and at >= since and all(put <= at for put in stored)

    def covers_segment(self, system: str, segment: Segment, since: datetime, stored: datetime) -> bool:
        """Whether this segment, put at that time, was."""
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
    """Record that these backups and segments were read back from this repository and are intact, and those not.

    ``began`` is when the reading did: what is put while it goes on may not have been read.
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
    """What the newest ``most`` records say (None: all of them), the newer over the older.

    One that is bad or not plausible proves nothing.
    """
    return _known(*_records(repository, most))


def read_all_known(repository: Repository, until: datetime) -> Tuple[Known, Known]:
    """What all records say, and what those say that were stored ``until`` then."""
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
    """Those that count, in the order of their times, and what is set apart."""
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
                raise wal.wrong(system, "has what is no span of WAL segments") from exc
    return found
