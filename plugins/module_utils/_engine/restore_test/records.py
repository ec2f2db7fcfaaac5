# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of restore tests in a repository: written once, kept for ever."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Mapping

from ..errors import ObjectCorrupt, ObjectExists
from ..model import format_time, open_record, parse_time, seal_record
from ..repository.records import read_records
from ..repository.repository import Repository


@dataclass(frozen=True)
class Tested:
    """When a backup was restored last, and whether everything held."""

    __test__ = False

    at: datetime
    proven: bool

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {"at": format_time(self.at), "proven": self.proven}


def store_report(repository: Repository, report: Mapping[str, Any]) -> None:
    """Put it, as a record."""
    at = parse_time(report["ended_at"])
    try:
        repository.store.put(repository.layout.restore_test(at, secrets.token_hex(4)), seal_record(report))
    except ObjectExists:
        return


def last_tested(repository: Repository) -> Dict[str, Tested]:
    """The newest restore test of each backup, by label. A damaged record proves nothing and is passed over."""
    found: Dict[str, Tested] = {}
    for key, raw in read_records(repository, repository.layout.restore_tests):
        try:
            data = open_record(raw, key)
            tested = Tested(parse_time(data["ended_at"]), bool(data["proven"]))
            if data["label"] not in found or found[data["label"]].at < tested.at:
                found[str(data["label"])] = tested
        except (ObjectCorrupt, KeyError, TypeError, ValueError):
            continue
    return found
