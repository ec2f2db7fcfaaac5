# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was verified, when: an object for each verification, written once."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Dict, Sequence

from .. import clock
from ..errors import ObjectCorrupt
from ..model import FORMAT, format_time, open_record, parse_time, seal_record
from .records import read_records
from .repository import Repository


def note_verified(repository: Repository, labels: Sequence[str]) -> None:
    """Record that these backups were read back from this repository and are intact."""
    now = clock.now()
    record = {"format": FORMAT, "at": format_time(now), "labels": sorted(labels)}
    repository.store.put(repository.layout.verification(now, secrets.token_hex(4)), seal_record(record))


def last_verified(repository: Repository) -> Dict[str, datetime]:
    """When each backup was verified last, by label. A damaged record proves nothing and is passed over."""
    found: Dict[str, datetime] = {}
    for key, raw in read_records(repository, repository.layout.verifications):
        try:
            data = open_record(raw, key)
            moment = parse_time(data["at"])
            found.update({str(label): max(moment, found.get(label, moment)) for label in data["labels"]})
        except (ObjectCorrupt, KeyError, TypeError, ValueError):
            continue
    return found
