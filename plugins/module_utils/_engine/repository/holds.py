# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds: pins on backups that retention respects. A hold and its release are objects of their own, written once."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping

from .. import clock
from ..errors import ConfigError, ObjectCorrupt
from ..model import FORMAT, format_time, open_record, parse_time, seal_record
from .catalog import load_catalog
from .records import read_records
from .repository import Repository

_MOST = 500


@dataclass(frozen=True)
class HoldEvent:
    """That a backup was held (or released, where not ``held``), when, by whom and why."""

    label: str
    held: bool
    reason: str
    by: str
    at: datetime

    def as_dict(self) -> Dict[str, Any]:
        """As JSON knows it."""
        return {**asdict(self), "at": format_time(self.at)}


def read_holds(repository: Repository) -> Mapping[str, HoldEvent]:
    """The hold of each backup that is held now, by label. ObjectCorrupt where a record is damaged.

    A damaged one may be the hold: nobody may take the backup for free.
    """
    events: List[HoldEvent] = []
    for key, raw in read_records(repository, repository.layout.holds):
        data = open_record(raw, key)
        try:
            events.append(HoldEvent(data["label"], data["held"], data["reason"], data["by"], parse_time(data["at"])))
        except (KeyError, TypeError, ValueError) as exc:
            raise ObjectCorrupt(
                f"{key} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=key
            ) from exc
    return current(events)


def current(events: Iterable[HoldEvent]) -> Mapping[str, HoldEvent]:
    """What is held after all that: the last event of each backup tells, of two in one moment the hold. Pure."""
    last: Dict[str, HoldEvent] = {}
    for event in sorted(events, key=lambda e: (e.at, e.held)):
        last[event.label] = event
    return {label: event for label, event in last.items() if event.held}


def set_hold(repository: Repository, label: str, held: bool, reason: str, by: str, apply: bool = True) -> bool:
    """Hold or release a backup; False where it is so already. Another hold may give another reason.

    Without ``apply`` nothing is written. Raises BackupMissing for a backup that is not there, and ConfigError without
    a reason.
    """
    if held and not 0 < len(reason.strip()) <= _MOST:
        raise ConfigError(
            f"A hold needs a reason, of at most {_MOST} characters.",
            "Say why the backup must stay: 'legal hold 2026-114', 'before the migration to 18'.",
        )
    now = read_holds(repository).get(label)
    if now is None:
        load_catalog(repository).find(label)
    if (now is not None and now.reason == reason) if held else now is None:
        return False
    if not apply:
        return True
    event = HoldEvent(label, held, reason, by, clock.now())
    key = repository.layout.hold(event.label, event.at, held, secrets.token_hex(4))
    repository.store.put(key, seal_record({"format": FORMAT, **event.as_dict()}))
    return True
