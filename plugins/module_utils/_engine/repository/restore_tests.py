# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of restore tests in a repository, written once and kept forever."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ..base.errors import ObjectCorrupt, ObjectExists, ObjectMissing
from ..records.fields import LABEL, MOST_SMALL, Fields
from ..records.model import format_time, parse_time
from .layout import stamp_of
from .plausible import apart, implausible, late, settled
from .records import ENOUGH, Aside, StoredRecord, iterate_records
from .repository import Repository


@dataclass(frozen=True)
class Tested:
    """When a backup was last restored for a test, whether it passed, and how many seconds it took, if that is known."""

    __test__ = False

    at: datetime
    proven: bool
    seconds: Optional[float] = None

    def as_dict(self) -> Dict[str, Any]:
        return {"at": format_time(self.at), "proven": self.proven}


def store_report(repository: Repository, report: Mapping[str, Any]) -> None:
    """Store the report as a record."""
    at = parse_time(report["ended_at"])
    try:
        repository.put_record(repository.layout.restore_test(at, secrets.token_hex(4)), report)
    except ObjectExists:
        return


def last_tested(repository: Repository, until: datetime) -> Dict[str, Tested]:
    """The newest restore test of each backup, by label, among the reports stored ``until`` then.

    Damaged and implausible records prove nothing.
    """
    records = iterate_records(repository, repository.layout.restore_tests)
    return _last(record for record in records if record.info.modified <= until)[0]


def look_at_tests(repository: Repository) -> Tuple[Dict[str, Tested], Tuple[Aside, ...]]:
    """The newest test of each backup, among the newest reports, and what was set apart."""
    return _last(iterate_records(repository, repository.layout.restore_tests, ENOUGH))


def _last(records: Iterable[StoredRecord]) -> Tuple[Dict[str, Tested], Tuple[Aside, ...]]:
    found: Dict[str, Tested] = {}
    aside: List[Aside] = []
    for record in records:
        try:
            fields, at = _believed(record)
            label, proven = fields.text("label", LABEL), fields.flag("proven")
            began = fields.moment("began_at") if "began_at" in fields.data else None
        except ObjectCorrupt as exc:
            aside.append(Aside(record.key, exc))
            continue
        seconds = None if began is None or began > at else (at - began).total_seconds()
        tested = Tested(settled(at, record.info.modified), proven, seconds)
        if label not in found or found[label].at < tested.at:
            found[label] = tested
    return found, tuple(aside)


def newest_reports(repository: Repository, most: int) -> Iterator[Fields]:
    """The newest plausible reports, at most so many, newest first: one listing, and a get for each."""
    infos = repository.store.list(repository.layout.restore_tests)
    dated = ((stamp_of(info.key), info) for info in infos)
    # A key dated in the future would be the newest forever.
    settled_ones = [info for at, info in dated if at is not None and not late(at, info.modified)]
    for info in nlargest(most, settled_ones, key=lambda info: info.key):
        with suppress(ObjectCorrupt, ObjectMissing):
            yield _believed(StoredRecord(info, repository.get_record(info.key, MOST_SMALL, info)))[0]


def _believed(record: StoredRecord) -> Tuple[Fields, datetime]:
    """A report's content, and when the test ended; ObjectCorrupt unless that is the time in its key, and past."""
    fields = record.fields()
    at = fields.moment("ended_at")
    why = apart(at, stamp_of(record.key)) or late(at, record.info.modified)
    if why:
        raise implausible(record.key, why)
    return fields, at
