# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an incident, from the events that were read. Pure.

Events count from number 1 on, without a hole, and each refers to one that counts before it. What is damaged, forged or
does not fit is set apart: it is reported and never obeyed, and its number is lost. While repositories do not see each
other, two of them may get different events under the same number; both count, and no acknowledgement is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from ..base.errors import ObjectCorrupt
from ..records.fields import printable
from ..records.model import format_time
from .record import ACKNOWLEDGED, ACTION, CLOSED, OPENED, PHASE, PRIORITIES, SENT, UPDATE, Event


@dataclass(frozen=True)
class Found:
    """What lies under the number of an event in a repository: the event and its bytes, or why it is none."""

    repository: str
    incident: str
    number: int
    event: Optional[Event] = None
    raw: bytes = b""
    error: Optional[ObjectCorrupt] = None


@dataclass(frozen=True)
class SetApart:
    """An event that does not count, where it is, and why."""

    repository: str
    number: int
    why: str

    def as_dict(self) -> Dict[str, Any]:
        return {"repository": self.repository, "number": self.number, "why": printable(self.why)}


@dataclass(frozen=True)
class Action:
    """Something that is to be done afterwards: by whom and until when (``2026-12-24``), where that is known."""

    id: str
    text: str
    owner: str
    due: str
    done: bool

    def as_dict(self) -> Dict[str, Any]:
        return {"action": self.id, "text": self.text, "owner": self.owner, "due": self.due, "done": self.done}


@dataclass(frozen=True)
class Incident:
    """``events`` are those that count, in their order. ``aside`` are the others, ``forked`` the numbers that have more
    than one. ``next`` is the first number that is free everywhere, ``last`` the digest of the event before it.
    """

    id: str
    events: Tuple[Event, ...] = ()
    aside: Tuple[SetApart, ...] = ()
    forked: Tuple[int, ...] = ()
    next: int = 1
    last: Optional[str] = None

    @property
    def opened(self) -> Optional[Event]:
        """Its first event; None where nothing counts."""
        return self.events[0] if self.events else None

    @property
    def closed(self) -> Optional[Event]:
        """The event that ended it; what comes later does not open it again."""
        return next(iter(self.of(CLOSED)), None)

    @property
    def is_open(self) -> bool:
        """Whether it began and has not ended."""
        return bool(self.events) and self.closed is None

    @property
    def priority(self) -> str:
        """``P1`` to ``P4``."""
        told = [e.details["priority"] for e in self.of(OPENED)]
        # Without a sound first event the worst is assumed.
        return told[-1] if told else PRIORITIES[0]

    @property
    def began(self) -> Optional[datetime]:
        """Since when the clock runs."""
        return self.opened.when if self.opened else None

    @property
    def rto(self) -> timedelta:
        """What was promised for it, when it was opened."""
        told = [int(e.details["rto"]) for e in self.of(OPENED)]
        return timedelta(seconds=told[-1] if told else 3600)

    @property
    def deadline(self) -> Optional[datetime]:
        """Until when the service is to be back."""
        return self.began + self.rto if self.began else None

    @property
    def phase(self) -> Optional[Event]:
        """The last phase of a playbook that was told."""
        return (self.of(PHASE) or (None,))[-1]

    @property
    def acknowledgement(self) -> Optional[Event]:
        """The last one, whether it has lapsed or not."""
        return (self.of(ACKNOWLEDGED) or (None,))[-1]

    @property
    def updated(self) -> Optional[Event]:
        """The last update by a person; the opening counts as one."""
        return (self.of(OPENED, UPDATE) or (None,))[-1]

    def of(self, *whats: str) -> Tuple[Event, ...]:
        """The events of these kinds."""
        return tuple(e for e in self.events if e.what in whats)

    @property
    def sent(self) -> Set[str]:
        """The keys of the notices that were delivered."""
        return {e.details["key"] for e in self.of(SENT)}

    @property
    def actions(self) -> Tuple[Action, ...]:
        """What is to be done afterwards, and whether it was; the last word about each counts."""
        found: Dict[str, Action] = {}
        for event in self.of(ACTION):
            name, told = event.details["action"], event.details
            before = found.get(name, Action(name, "", "", "", False))
            found[name] = Action(
                name,
                before.text or event.text,
                told.get("owner", before.owner),
                told.get("due", before.due),
                told["state"] == "done",
            )
        return tuple(found.values())

    def as_dict(self, now: datetime) -> Dict[str, Any]:
        """As plain data, with what is left of the objective at ``now``."""
        ended = self.closed.when if self.closed else now
        left = (self.deadline - ended).total_seconds() if self.deadline else None
        return {
            "incident": self.id,
            "state": "open" if self.is_open else "closed" if self.events else "unknown",
            "title": self.opened.text if self.opened else "",
            "priority": self.priority,
            "began_at": format_time(self.began) if self.began else None,
            "deadline": format_time(self.deadline) if self.deadline else None,
            "remaining_seconds": left,
            "phase": self.phase.shown() if self.phase else None,
            "acknowledged_by": self.acknowledgement.by if self.acknowledgement else None,
            "events": [event.shown() for event in self.events],
            "actions": [action.as_dict() for action in self.actions],
            "set_apart": [item.as_dict() for item in self.aside],
            "forked": list(self.forked),
        }


def decide(incident: str, found: Iterable[Found]) -> Incident:
    """The incident, from what the repositories that answered hold. The order does not matter."""
    under: Dict[int, List[Found]] = {}
    for item in found:
        under.setdefault(item.number, []).append(item)
    good: Dict[str, Event] = {}
    aside: List[SetApart] = []
    forked: List[int] = []
    number, lost = 1, False
    while number in under:
        items = under.pop(number)
        unread = [i for i in items if i.event is None]
        sound = _sound(items)
        # What an unreadable one was is not known, so that the next may refer to it.
        fits = {d: e for d, e in sound.items() if _fits(e, good, lost)}
        aside += [SetApart(i.repository, number, i.error.message if i.error else "") for i in unread]
        why = "it does not refer to an event before it"
        aside += [SetApart(i.repository, number, why) for i in items if i.event and i.event.digest not in fits]
        good.update(fits)
        lost = bool(unread) or (lost and not fits)
        forked += [number] if len(fits) > 1 else []
        number += 1
    for later in sorted(under):
        why = f"there is no event {number} before it"
        aside += [SetApart(i.repository, later, i.error.message if i.error else why) for i in under[later]]
    # Of an event and its copy the event counts; where only the copy is there, the copy does, once.
    counted: Dict[str, Event] = {}
    for digest, event in good.items():
        counted.setdefault(event.copy_of or digest, event)
    events = sorted(counted.values(), key=lambda e: (e.number, e.when, e.digest or ""))
    order = sorted(aside, key=lambda a: (a.number, a.repository))
    last = max(good.values(), key=lambda e: e.number).digest if good else None
    return Incident(incident, tuple(events), tuple(order), tuple(forked), number, last)


def _fits(event: Event, good: Mapping[str, Event], lost: bool) -> bool:
    if event.previous is None:
        return event.number == 1
    return event.previous in good or lost


def _sound(items: Iterable[Found]) -> Dict[str, Event]:
    """Each event once, with the earliest time at which a store got it."""
    sound: Dict[str, Event] = {}
    for item in items:
        event = item.event
        if event is None or event.digest is None:
            continue
        known = sound.get(event.digest)
        if known is None or (event.stored and known.stored and event.stored < known.stored):
            sound[event.digest] = event
    return sound


def group(found: Iterable[Found]) -> Mapping[str, Incident]:
    """Every incident that has any object, by its identifier, oldest first."""
    by: Dict[str, List[Found]] = {}
    for item in found:
        by.setdefault(item.incident, []).append(item)
    return {incident: decide(incident, by[incident]) for incident in sorted(by)}
