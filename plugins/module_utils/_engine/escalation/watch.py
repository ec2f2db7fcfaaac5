# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell who is to be told: claim the notice in the record, send it, and record that it was delivered.

A claim is an event, and its number is taken once: of two watchers one sends. Where no place takes the claim, the notice
is sent all the same, once by each watcher: told twice is better than not at all.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Callable, List, Optional, Sequence, Set, Tuple

from ..base.errors import IncidentRefused, IncidentUnrecorded, LifeboatError, NoticeUndelivered
from ..config.incidents import ContactConfig
from ..config.load import Config
from ..config.notifications import ChannelConfig, PagerDutyOptions, SmtpOptions
from ..incident.places import Look, Places, draft
from ..incident.record import CLAIMED, SENT, Event
from ..incident.timeline import Incident
from ..notify import ACKNOWLEDGED, OPEN, RESOLVED, Notice, tell
from .decide import ASK, LADDER, PAGER_CLOSED, Due, due, pager_due
from .words import notice_key, notice_of, pager_notice


@dataclass(frozen=True)
class Told:
    """A notice that was due: ``error`` is why nobody has it, or why it is not on record."""

    incident: str
    key: str
    people: Tuple[str, ...]
    error: Optional[LifeboatError] = None

    def as_dict(self) -> dict[str, object]:
        """As plain data."""
        error = self.error.as_dict() if self.error else None
        return {"incident": self.incident, "key": self.key, "people": list(self.people), "error": error}


@dataclass
class Watcher:
    """One watcher of a cluster's incidents. ``unrecorded`` are the notices that it sent without a claim."""

    config: Config
    places: Places
    unrecorded: Set[Tuple[str, str]] = field(default_factory=set)

    def once(self) -> List[Told]:
        """Look once, and send what is due. The store's error where nothing is known."""
        self.places.ask_again()
        look = self.places.look().require_known()
        out: List[Told] = []
        for incident in look.incidents.values():
            if not incident.events:
                continue
            if incident.is_open and look.answered:
                self._adopt(look, incident)
            for item in due(incident, self.config.incidents, look.now, self._pager):
                out += self._tell(incident, item, look.now)
            for key in pager_due(incident, look.now) if self._pager else ():
                out += self._tell_pager(incident, key, look.now)
        return out

    @property
    def _pager(self) -> bool:
        return bool(self._channels(True))

    def _channels(self, pager: bool) -> Tuple[ChannelConfig, ...]:
        channels = self.config.notifications.channels
        return tuple(c for c in channels if isinstance(c.options, PagerDutyOptions) == pager)

    def _adopt(self, look: Look, incident: Incident) -> None:
        """Bring what a place lacks to it, where any does."""
        for repository in look.answered:
            there = {f.number for f in look.found if f.repository == repository.name and f.incident == incident.id}
            if len(there) < incident.next - 1:
                self.places.adopt(incident.id)
                return

    def _tell(self, incident: Incident, item: Due, now: datetime) -> List[Told]:
        def still(state: Incident, at: datetime) -> bool:
            return any(d.key == item.key for d in due(state, self.config.incidents, at, self._pager))

        if not self._claim(incident, item.key, still):
            return []
        host, cluster = socket.gethostname(), self.config.cluster
        notices: List[Tuple[Config, Notice]] = []
        others = self._channels(False)
        if others:
            channels = tuple(_addressed(c, item.people) for c in others)
            notice = notice_of(incident, item, self.config.incidents, cluster, host, now)
            notices.append((self._with(channels), notice))
        if self._pager and (item.kind == LADDER or (not others and item.kind != ASK)):
            notice = pager_notice(incident, OPEN, cluster, host, now)
            if item.kind != LADDER:
                notice = replace(notice, key=notice_key(incident, item.key))
            notices.append((self._with(self._channels(True)), notice))
        return [self._sent(incident, item.key, [c.name for c in item.people], notices)]

    def _tell_pager(self, incident: Incident, key: str, now: datetime) -> List[Told]:
        if not self._claim(incident, key, lambda state, at: key in pager_due(state, at)):
            return []
        state = RESOLVED if key == PAGER_CLOSED else ACKNOWLEDGED
        notice = pager_notice(incident, state, self.config.cluster, socket.gethostname(), now)
        return [self._sent(incident, key, [], [(self._with(self._channels(True)), notice)])]

    def _with(self, channels: Tuple[ChannelConfig, ...]) -> Config:
        return replace(self.config, notifications=replace(self.config.notifications, channels=channels))

    def _claim(self, incident: Incident, key: str, still: Callable[[Incident, datetime], bool]) -> bool:
        """Whether it is this watcher's to send."""

        def make(state: Incident, now: datetime) -> Optional[Event]:
            return draft(CLAIMED, now, key=key) if still(state, now) else None

        try:
            return self.places.add(incident.id, make) is not None
        except (IncidentUnrecorded, IncidentRefused):
            told = (incident.id, key) in self.unrecorded
            self.unrecorded.add((incident.id, key))
            return not told

    def _sent(
        self, incident: Incident, key: str, people: Sequence[str], notices: Sequence[Tuple[Config, Notice]]
    ) -> Told:
        """Send it, and record it where somebody has it. A channel that failed is in the audit trail."""
        try:
            delivered: List[str] = []
            for config, notice in notices:
                outcome = tell(config, notice)
                delivered += [*outcome.delivered, *outcome.quiet]
            if not delivered:
                raise NoticeUndelivered(
                    f"Nobody was told {key} of incident {incident.id}.",
                    "Correct the channels, then try them: lifeboat notify test. It is sent again in a few minutes.",
                )
            words = ", ".join(people)[:1000]
            self.places.add(
                incident.id, lambda _s, now: draft(SENT, now, key=key, to=words, channels=", ".join(delivered)[:1000])
            )
        except LifeboatError as exc:
            return Told(incident.id, key, tuple(people), exc)
        return Told(incident.id, key, tuple(people))


def _addressed(channel: ChannelConfig, people: Sequence[ContactConfig]) -> ChannelConfig:
    """The channel; mail goes to these people instead of its own recipients. Pure."""
    mails = tuple(dict.fromkeys(person.mail for person in people if person.mail))
    if isinstance(channel.options, SmtpOptions) and mails:
        return replace(channel, options=replace(channel.options, to=mails))
    return channel
