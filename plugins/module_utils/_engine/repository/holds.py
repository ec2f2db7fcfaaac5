# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds on backups, which retention respects. A hold and its release are separate objects, written once.

Releases are stored under another prefix than holds, so that a store can allow one and deny the other. Older versions
stored them beside the holds, where the writer's credentials can forge them: such a release only ends holds of those
versions.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import (
    BackupMissing,
    ClockWrong,
    ConfigError,
    ObjectCorrupt,
    RecordImplausible,
    ReleaseRefused,
    StoreAccessDenied,
)
from ..records.fields import LABEL
from ..records.model import FORMAT, format_time
from ..store.protocol import ObjectInfo
from .catalog import load_catalog
from .layout import HoldPlace, hold_place
from .plausible import apart, implausible, late
from .records import Aside, StoredRecord, read_listed, read_one
from .repository import Repository

_MOST = 500
#: Up to this number, all records are read.
_ALL = 1000
_PARALLEL = 8
#: A release that is dated further ahead of the store's clock does not count.
_AHEAD = timedelta(hours=1)


@dataclass(frozen=True)
class HoldEvent:
    """A hold of a backup (or its release, if not ``held``): when, by whom and why.

    ``apart``: of a hold, that only a release below ``releases/`` ends it; of a release, that it is there. ``stored``:
    when the store received it.
    """

    label: str
    held: bool
    reason: str
    by: str
    at: datetime
    apart: bool = False
    stored: Optional[datetime] = None

    @property
    def since(self) -> datetime:
        """When it was made: at the latest when it was stored, whatever the record claims."""
        return self.at if self.stored is None else min(self.at, self.stored)

    def as_dict(self) -> Dict[str, Any]:
        return {
            "label": self.label,
            "held": self.held,
            "reason": self.reason,
            "by": self.by,
            "at": format_time(self.at),
            "apart": self.apart,
        }


@dataclass(frozen=True)
class Holds:
    """The current holds, by label, and what was set apart. A damaged hold still holds; a damaged release has no
    effect.
    """

    held: Mapping[str, HoldEvent]
    aside: Tuple[Aside, ...] = ()


def read_holds(repository: Repository) -> Mapping[str, HoldEvent]:
    """The current hold of each held backup, by label."""
    return look_at_holds(repository).held


def look_at_holds(repository: Repository, label: str = "") -> Holds:
    """Read the holds of one backup or of all. The key of a hold contains its label, so that a damaged one still
    holds.

    Of more than 1000 records only the decisive ones are read: :func:`decide`.
    """
    below = f"{label}/" if label else ""
    prefixes = (f"{repository.layout.holds}{below}", f"{repository.layout.releases}{below}")
    infos = [info for prefix in prefixes for info in repository.store.list(prefix)]
    if len(infos) > _ALL:
        return _look_at_many(repository, infos, label)
    events: List[HoldEvent] = []
    aside: List[Aside] = []
    for found in read_listed(repository, infos):
        event, bad = read_event(found)
        events += [event] if event else []
        aside += [bad] if bad else []
    return Holds(current(events), tuple(aside))


def _look_at_many(repository: Repository, infos: Sequence[ObjectInfo], label: str) -> Holds:
    """Read few of many: a writer can store thousands. Holds of backups that do not exist are ignored."""
    there = {label} if label else {n.rstrip("/") for n in repository.store.list_names(repository.layout.backups)}
    by_label: Dict[str, List[ObjectInfo]] = {}
    aside: List[Aside] = []
    for info in infos:
        place = hold_place(info.key)
        if place is None:
            aside.append(Aside(info.key, implausible(info.key, "no hold or release has such a key")))
        elif place.label in there:
            by_label.setdefault(place.label, []).append(info)
    read: List[str] = []
    lock = Lock()

    def read_it(info: ObjectInfo) -> Optional[HoldEvent]:
        found = read_one(repository, info)
        event, bad = read_event(found) if found else (None, None)
        with lock:
            read.append(info.key)
            aside.extend([bad] if bad else [])
        return event

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-holds") as pool:
        held = list(pool.map(lambda own: decide(own, read_it), by_label.values()))
    left = len(infos) - len(read)
    if left:
        error = RecordImplausible(
            f"{left} of {len(infos)} records of holds and releases were not read, because no hold depends on them.",
            "Find out who stores so many of them.",
            key=infos[0].key,
        )
        aside.append(Aside(infos[0].key, error))
    return Holds({hold.label: hold for hold in held if hold}, tuple(aside))


def decide(infos: Sequence[ObjectInfo], read: Callable[[ObjectInfo], Optional[HoldEvent]]) -> Optional[HoldEvent]:
    """The result of :func:`current` for the records of one backup, reading no more of them than necessary.

    A hold was made no later than it was stored. So the records are read from the last stored one back to the first that
    was stored before the deciding one was made; of the releases only those that can end it.
    """
    holds = [info for info in infos if _is_hold(info)]
    releases = sorted((info for info in infos if not _is_hold(info)), key=lambda info: info.modified, reverse=True)
    known: Dict[str, Optional[HoldEvent]] = {}

    def is_over(hold: HoldEvent) -> bool:
        for info in releases:
            if info.modified + _AHEAD <= hold.since:
                return False
            if info.key not in known:
                known[info.key] = read(info)
            end = known[info.key]
            if end is not None and (end.apart or not hold.apart) and end.at > hold.since:
                return True
        return False

    best: Optional[HoldEvent] = None
    for info in sorted(holds, key=lambda info: info.modified, reverse=True):
        if best is not None and info.modified < best.since:
            break
        hold = read(info)
        if hold is None or (best is not None and (hold.since, hold.reason) < (best.since, best.reason)):
            continue
        if not is_over(hold):
            best = hold
    return best


def _is_hold(info: ObjectInfo) -> bool:
    place = hold_place(info.key)
    return place is not None and place.held


def read_event(found: StoredRecord) -> Tuple[Optional[HoldEvent], Optional[Aside]]:
    """The event in the record, or why it is set apart. Below ``holds/`` even such a record counts as a hold, because it
    may hide one, but never as a release. Pure.
    """
    place, stored = hold_place(found.key), found.info.modified
    if place is None:
        return None, Aside(found.key, implausible(found.key, "no hold or release has such a key"))
    try:
        return _event(found, place), None
    except ObjectCorrupt as exc:
        why = f"{found.key} is not credible"
        hold = HoldEvent(place.label, True, why, "", stored, True, stored) if place.held else None
        return hold, Aside(found.key, exc)


def _event(found: StoredRecord, place: HoldPlace) -> HoldEvent:
    """The event in the record; ObjectCorrupt if it does not match its key."""
    fields, stored = found.fields(), found.info.modified
    event = HoldEvent(
        fields.text("label", LABEL),
        fields.flag("held"),
        fields.lines("reason"),
        fields.text("by", most=1000),
        fields.moment("at"),
        # A release is apart by its key alone, whatever its record claims.
        place.apart or (place.held and fields.data.get("apart") is True),
        stored,
    )
    if (event.label, event.held) != (place.label, place.held):
        raise implausible(found.key, f"it claims that {event.label} was {'held' if event.held else 'released'}")
    why = apart(event.at, place.at) or late(event.at, stored)
    if not why and not event.held and event.at > stored + _AHEAD:
        why = f"it releases as of {format_time(event.at)}, but was stored at {format_time(stored)}"
    if why:
        raise implausible(found.key, why)
    return event


def current(events: Iterable[HoldEvent]) -> Mapping[str, HoldEvent]:
    """The holds after these events. The last event of a backup decides; of two at the same time, the hold. Pure."""
    released: Dict[Tuple[str, bool], datetime] = {}
    holds: List[HoldEvent] = []
    for event in events:
        if event.held:
            holds.append(event)
            continue
        # A release that is stored apart ends every hold.
        for lies_apart in (False, True) if event.apart else (False,):
            key = event.label, lies_apart
            released[key] = max(event.at, released.get(key, event.at))
    found: Dict[str, HoldEvent] = {}
    for hold in sorted(holds, key=lambda h: (h.since, h.reason)):
        end = released.get((hold.label, hold.apart))
        if end is None or end <= hold.since:
            found[hold.label] = hold
    return found


def would_change(repository: Repository, label: str, held: bool, reason: str) -> bool:
    """Whether :func:`set_hold` would write something. BackupMissing, and ConfigError without a reason."""
    if held and not 0 < len(reason.strip()) <= _MOST:
        raise ConfigError(
            f"A hold needs a reason, of at most {_MOST} characters.",
            "State why the backup must be kept: 'legal hold 2026-114', 'before the migration to 18'.",
        )
    now = read_holds(repository).get(label)
    if now is None:
        load_catalog(repository).find(label)
    # Renew a hold of an older version, because the writer's credentials could release it.
    return not (now is not None and now.reason == reason and now.apart) if held else now is not None


def set_hold(repository: Repository, label: str, held: bool, reason: str, by: str) -> bool:
    """Hold or release a backup; False if nothing changes. A new hold may have another reason.

    Raises BackupMissing if the backup does not exist, ConfigError without a reason, and ReleaseRefused if the
    credentials do not allow the release.
    """
    if not would_change(repository, label, held, reason):
        return False
    event = HoldEvent(label, held, reason, by, clock.now(), apart=True)
    if held:
        key = repository.layout.hold(label, event.at, secrets.token_hex(4))
        repository.put_record(key, {"format": FORMAT, **event.as_dict()})
        if repository.store.head(repository.layout.manifest(label)) is None:
            raise BackupMissing(
                f"Backup {label} in repository {repository.location} is held, but was removed before the hold was"
                " stored.",
                "Choose a backup from lifeboat list.",
                label=label,
            )
        if label not in read_holds(repository):
            raise ClockWrong(
                f"Backup {label} in repository {repository.location} is not held: it was released, by the clock of that"
                f" host, after this hold of {format_time(event.at)}.",
                "Correct the clocks of both hosts (timedatectl); once this one is past that time, hold it again.",
                label=label,
            )
    else:
        _release(repository, event)
    return True


def _release(repository: Repository, event: HoldEvent) -> None:
    key = repository.layout.release(event.label, event.at, secrets.token_hex(4))
    try:
        repository.put_record(key, {"format": FORMAT, **event.as_dict()})
    except StoreAccessDenied as exc:
        raise ReleaseRefused(
            f"The hold of {event.label} in repository {repository.location} is not released: the credentials do not"
            f" allow writing {key}.",
            "Release it with the janitor's credentials (role repository); the writer's can only hold.",
            label=event.label,
        ) from exc
    left = read_holds(repository).get(event.label)
    if left is not None:
        raise ReleaseRefused(
            f"Backup {event.label} in repository {repository.location} is still held, since"
            f" {format_time(left.since)}: {left.reason}. The release of {format_time(event.at)} does not count.",
            "Correct this host's clock, which is behind the store's (timedatectl), then release it again.",
            label=event.label,
        )
