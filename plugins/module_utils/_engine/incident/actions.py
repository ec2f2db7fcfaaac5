# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and playbooks do with an incident: each is one event, and one event of the audit trail."""

from __future__ import annotations

import re
import secrets
from datetime import date, datetime
from typing import List, Optional, Tuple

from ..audit.scope import audited
from ..base.errors import ConfigError, IncidentMissing, IncidentRefused
from ..config.load import Config
from ..repository.labels import begun, stamp
from .places import Added, Look, Make, Places, draft, opened
from .record import ACKNOWLEDGED, ACTION, CLOSED, MOST_WORDS, NOTE, OPENED, PHASE, UPDATE, Event
from .timeline import Incident

_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
#: What may still be said of an incident that is over.
_AFTERWARDS = (NOTE, ACTION)


def open_incident(config: Config, title: str, priority: str = "", incident: str = "", join: bool = False) -> Added:
    """Open an incident. With ``join``, one that is open already is used instead, and nothing is added to it twice.

    IncidentRefused where one of this identifier is there and ``join`` is not set.
    """
    chosen = priority or config.incidents.priority
    if incident and not (_ID.match(incident) and begun(incident)):
        raise ConfigError(f"The incident is {incident!r}.", "Name it by its time and a word: 20261122T140159Z-db1.")
    with opened(config) as places:
        look = places.look()
        if join:
            known = look.incidents.get(incident) or next(iter(_open_ones(look)), None)
            if known is not None and known.opened is not None:
                return Added(known.opened, known, ())
        name = incident or f"{stamp(look.now)}-{secrets.token_hex(4)}"
        rto = config.incidents.objective(chosen, config.objectives.rto)
        seconds = str(int(rto.total_seconds()))

        def make(_state: Incident, now: datetime) -> Event:
            return draft(OPENED, now, words(title, "title"), priority=chosen, rto=seconds)

        return _add(places, name, OPENED, make)


def say(config: Config, what: str, text: str = "", incident: str = "", **details: str) -> Added:
    """Add an event of this kind. Without an identifier the only open incident is meant.

    IncidentMissing where that is not clear, IncidentRefused where the incident is over.
    """
    with opened(config) as places:
        return _say(places, what, text, incident, **details)


def _say(places: Places, what: str, text: str, incident: str, **details: str) -> Added:
    known = chosen_of(places.look().require_known(), incident, what in _AFTERWARDS)

    def make(state: Incident, now: datetime) -> Event:
        if state.closed is not None and what not in _AFTERWARDS:
            raise IncidentRefused(
                f"Incident {state.id} was closed by {state.closed.by}.", "Open another one: lifeboat incident open."
            )
        return draft(what, now, words(text, "text") if text else "", **details)

    return _add(places, known.id, what, make)


def acknowledge(config: Config, incident: str = "", contact: str = "") -> Added:
    """Say that somebody works on it, which stops the ladder until that lapses."""
    return say(config, ACKNOWLEDGED, "", incident, contact=_contact(config, contact))


def update(config: Config, text: str, incident: str = "") -> Added:
    """Tell how things are; it renews the acknowledgement."""
    return say(config, UPDATE, text, incident)


def note(config: Config, text: str, incident: str = "", review: str = "") -> Added:
    """Add what was seen or done, also afterwards; with ``review`` (a key of REVIEW) it belongs to that section."""
    return say(config, NOTE, text, incident, review=review)


def phase_once(
    config: Config, incident: str, name: str, state: str, text: str = "", **details: str
) -> Tuple[Added, bool]:
    """Tell that a phase of a playbook ``began``, is ``done``, or ``failed``; whether that is new.

    Told again with the same words it is not: whoever runs a playbook a second time repeats nothing.
    """
    with opened(config) as places:
        look = places.look(incident)
        known = look.incident(incident)
        last = next((e for e in reversed(known.of(PHASE)) if e.details["phase"] == name), None)
        shown = words(text, "text") if text else ""
        if last and (last.details["state"], last.text) == (state, shown):
            having = {f.repository for f in look.found if f.event and f.event.digest == last.digest}
            return Added(last, known, tuple(sorted(having))), False
        return _say(places, PHASE, text, incident, phase=name, state=state, **details), True


def add_action(config: Config, text: str, owner: str, due: str, incident: str = "") -> Added:
    """Something to be done afterwards, by ``owner`` until ``due`` (``2026-12-24``)."""
    if not is_day(due):
        raise ConfigError(f"{due!r} is not a date.", "Write it as 2026-12-24.")
    return say(
        config, ACTION, text, incident, action=secrets.token_hex(4), state="open", owner=words(owner, "owner"), due=due
    )


def finish_action(config: Config, action: str, incident: str = "", text: str = "") -> Added:
    """An action is done. IncidentMissing where there is none of this identifier."""
    with opened(config) as places:
        look = places.look().require_known()
        having = [i for i in look.incidents.values() if any(a.id == action for a in i.actions)]
    if not having or (incident and having[0].id != incident):
        raise IncidentMissing(f"There is no action {action!r}.", "lifeboat incident show names them.")
    return say(config, ACTION, text, having[0].id, action=action, state="done")


def close(config: Config, text: str, incident: str = "", **review: str) -> Added:
    """End it; ConfigError for a loss that is no number.

    ``review`` has ``went_well``, ``went_badly``, ``lucky``, ``lost_seconds`` and ``lost_transactions``.
    """
    for name in ("lost_seconds", "lost_transactions"):
        if review.get(name) and not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", review[name]):
            raise ConfigError(f"{name} is {review[name]!r}.", "Give a number.")
    return say(config, CLOSED, text, incident, **{k: words(v, k) for k, v in review.items() if v})


def show(config: Config, incident: str = "") -> tuple[Incident, Look]:
    """One incident: the only open one, or the newest, unless it is named."""
    with opened(config) as places:
        look = places.look().require_known()
    return chosen_of(look, incident, True), look


def chosen_of(look: Look, incident: str, over: bool) -> Incident:
    """The incident that is meant; IncidentMissing where that is not clear. ``over``: it may be a closed one. Pure."""
    known = {name: i for name, i in look.incidents.items() if i.events}
    running = _open_ones(look)
    if incident:
        if incident not in known:
            raise IncidentMissing(f"There is no incident {incident}.", "lifeboat incident list names them.")
        return known[incident]
    if len(running) > 1:
        raise IncidentMissing(
            f"{len(running)} incidents are open.", "Name one: --incident ID.", open=[i.id for i in running]
        )
    if not running and (not over or not known):
        raise IncidentMissing("No incident is open.", "Open one: lifeboat incident open.", open=[])
    return running[0] if running else list(known.values())[-1]


def _open_ones(look: Look) -> List[Incident]:
    return [i for i in look.incidents.values() if i.is_open]


def _add(places: Places, incident: str, what: str, make: Make) -> Added:
    with audited(places.config, "incident") as note_:
        note_.details.update(event=what)
        added: Optional[Added] = places.add(incident, make)
        if added is None:
            raise IncidentRefused("There is nothing to record.", "Say what happened.", incident=incident)
        note_.objects.append(f"{incident}/{added.event.number:06d}")
        note_.details.update(repositories=list(added.places))
    return added


def _contact(config: Config, name: str) -> str:
    names = [contact.name for contact in config.incidents.contacts]
    if name and names and name not in names:
        raise ConfigError(f"There is no contact {name!r}.", f"Choose one of: {', '.join(names)}.")
    return words(name, "contact") if name else ""


def is_day(text: str) -> bool:
    """Whether this is a day as 2026-12-24."""
    try:
        return bool(_DAY.match(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def words(text: str, what: str) -> str:
    """The text without what a terminal would obey; ConfigError for an empty one, or one that is too long."""
    found = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text).strip()
    if what != "text":
        found = re.sub(r"\s+", " ", found)
    if not found or len(found) > MOST_WORDS:
        raise ConfigError(f"The {what} has {len(found)} characters.", f"Write from 1 to {MOST_WORDS}.")
    return found
