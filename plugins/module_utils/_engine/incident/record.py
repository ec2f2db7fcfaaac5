# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event of an incident: a record in every repository, written once. Pure.

The bytes are the same in every repository. The SHA-256 of them is what the next event refers to.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Mapping, Optional

from ..records.fields import SHA256, Fields
from ..records.model import FORMAT, format_time, open_fields
from ..repository.kinds import incident_place
from ..repository.plausible import implausible

OPENED, PHASE, ACKNOWLEDGED, NOTE, UPDATE = "opened", "phase", "acknowledged", "note", "update"
CLAIMED, SENT, ACTION, CLOSED = "claimed", "sent", "action", "closed"
#: ``claimed``: a watcher is about to send the notice ``key``; ``sent``: it was delivered.
WHATS = (OPENED, PHASE, ACKNOWLEDGED, NOTE, UPDATE, CLAIMED, SENT, ACTION, CLOSED)
PRIORITIES = ("P1", "P2", "P3", "P4")
#: The most bytes of a record, and the most events of an incident that are read.
MOST_BYTES, MOST_EVENTS = 64 * 1024, 5000
MOST_WORDS = 4000
_WHAT = re.compile(rf"(?:{'|'.join(WHATS)})\Z")
_NAME = re.compile(r"[a-z_]{1,40}\Z")
#: What an event of each kind must tell beside its text.
_NEEDED: Mapping[str, Mapping[str, str]] = {
    OPENED: {"priority": r"P[1-4]\Z", "rto": r"[0-9]{1,9}\Z"},
    PHASE: {"phase": r"[\w -]{1,80}\Z", "state": r"(?:began|done|failed)\Z"},
    CLAIMED: {"key": r"[a-z0-9-]{1,80}\Z"},
    SENT: {"key": r"[a-z0-9-]{1,80}\Z"},
    ACTION: {"action": r"[0-9a-f]{8}\Z", "state": r"(?:open|done)\Z"},
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


@dataclass(frozen=True)
class Event:
    """What happened at ``at``, by whom (``who``: user, host, and what else is known), in words and in ``details``.

    ``number`` and ``previous`` (SHA-256 of the event before; None for the first) place it in its incident. ``copy_of``
    is the digest of the same event under a number that was taken in another repository. ``digest`` is that of this
    record and ``stored`` when a store got it; both are None before that.
    """

    incident: str
    number: int
    previous: Optional[str]
    at: datetime
    what: str
    who: Mapping[str, str]
    text: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    copy_of: Optional[str] = None
    digest: Optional[str] = None
    stored: Optional[datetime] = None

    @property
    def when(self) -> datetime:
        """When it was: ``at`` is by a store's clock where one answered, and never after a store got it."""
        return self.at if self.stored is None else min(self.at, self.stored)

    @property
    def by(self) -> str:
        """Who it was, for people."""
        user = self.details.get("contact") or self.who.get("login") or self.who.get("user", "?")
        return f"{user} on {self.who['host']}" if self.who.get("host") else user

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it, without signature and checksum."""
        return {"format": FORMAT, "previous": self.previous, "copy_of": self.copy_of, **self.shown()}

    def shown(self) -> Dict[str, Any]:
        """The record for people and programs."""
        return {
            "incident": self.incident,
            "number": self.number,
            "at": format_time(self.at),
            "what": self.what,
            "who": dict(self.who),
            "text": self.text,
            "details": dict(self.details),
        }


def load_event(raw: bytes, key: str, stored: Optional[datetime] = None) -> Event:
    """The event in this record; ObjectCorrupt, also where it is not the one of its key."""
    fields = open_fields(raw, key, MOST_BYTES)
    number = fields.integer("number", 1, MOST_EVENTS * 2)
    incident, what = fields.text("incident"), fields.text("what", _WHAT)
    if incident_place(key) != (incident, number):
        raise implausible(key, f"it claims to be event {number} of incident {incident}")
    if (number == 1) != (what == OPENED and not fields.has("copy_of")):
        raise implausible(key, f"event {number} of an incident cannot be {what}")
    return Event(
        incident,
        number,
        fields.maybe_text("previous", SHA256),
        fields.moment("at"),
        what,
        _words(fields.inner("who")),
        fields.lines("text", MOST_WORDS * 4, ""),
        _details(fields.inner("details", {}), what),
        fields.maybe_text("copy_of", SHA256),
        hashlib.sha256(raw).hexdigest(),
        stored,
    )


def _words(fields: Fields) -> Dict[str, str]:
    if len(fields.data) > 30:
        raise fields.wrong("*", "has too many entries")
    for name in fields.data:
        if not _NAME.match(name):
            raise fields.wrong("*", "has a name that is none")
    return {name: fields.text(name) for name in fields.data}


def _details(fields: Fields, what: str) -> Dict[str, str]:
    found = _words(fields)
    for name, pattern in _NEEDED.get(what, {}).items():
        fields.text(name, re.compile(pattern))
    if "due" in found:
        fields.text("due", _DAY)
    return found
