# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an operation last succeeded in a repository, by the newest events of its audit trail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Optional

from ..base.errors import ObjectCorrupt
from ..repository.layout import audit_place
from ..repository.records import read_listed
from ..repository.repository import Repository
from .event import OK, Event, load_event

#: How many events are read at most: those of weeks.
_MOST = 500


def last_pruned(repository: Repository, since: Optional[datetime] = None) -> Optional[datetime]:
    """When retention last ended well in this repository; of events stored before ``since`` none is read.

    None if the newest events do not tell. One listing of the trail, and a get for each event until one tells.
    """
    listed = [
        info
        for info in repository.store.list(repository.layout.audit)
        if audit_place(info.key) and (since is None or info.modified >= since)
    ]
    listed.sort(key=lambda info: (info.modified, info.key), reverse=True)
    for record in read_listed(repository, listed[:_MOST]):
        with suppress(ObjectCorrupt):
            if record.error is None and pruned(event := load_event(record.raw, record.key), repository.name):
                # An event is a claim, and cannot be younger than its object.
                return min(event.at, record.info.modified)
    return None


def pruned(event: Event, repository: str) -> bool:
    """Whether by this event retention ended well in the repository. Pure."""
    looked_at, unread = event.details.get("removing"), event.details.get("unread", ())
    return (
        (event.what, event.result) == ("prune", OK)
        and isinstance(looked_at, Mapping)
        and repository in looked_at
        and isinstance(unread, Collection)
        and repository not in unread
    )
