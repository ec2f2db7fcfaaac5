# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an incident is open, and whether actions of closed ones are overdue."""

from __future__ import annotations

from datetime import date, datetime
from typing import Iterable, Iterator, List, Tuple

from ..config.load import Config
from ..incident.places import opened
from ..incident.timeline import Action, Incident
from ..records.fields import printable
from .answer import OK, WARNING, Check

_NAMED = 5


def incidents(config: Config) -> List[Check]:
    """List the incidents of each repository; an unavailable one is reported by its own checks."""
    with opened(config) as places:
        look = places.look()
    return list(of_incidents(look.incidents.values(), look.now))


def of_incidents(found: Iterable[Incident], now: datetime) -> Iterator[Check]:
    """The checks; none if there has never been an incident. Pure."""
    every = [incident for incident in found if incident.events or incident.aside]
    for incident in every:
        if incident.is_open and incident.began:
            text = f"{incident.priority} incident {incident.id} has been open since {incident.began:%Y-%m-%dT%H:%M}Z"
            yield Check(
                "incidents", WARNING, text, "See lifeboat incident show; close it once it is over.", about=incident.id
            )
    late, others = _actions(every, now.date())
    for name, action in late[:_NAMED]:
        text = f"Action {action.id} of {action.owner} was due at {action.due}: {printable(action.text[:200])}"
        hint = f"Do it, then: lifeboat incident action --done {action.id}."
        yield Check("incidents", WARNING, text, hint, about=name)
    if len(late) > _NAMED:
        more = f"{len(late) - _NAMED} more actions are overdue."
        yield Check("incidents", WARNING, more, "See lifeboat incident list.")
    aside = sum(len(incident.aside) for incident in every)
    if aside:
        text = f"{aside} events of incidents do not count: they are damaged, forged or out of order."
        yield Check("incidents", WARNING, text, "Find them with lifeboat incident show --incident ID.")
    if every:
        yield Check("incidents", OK, f"{len(every)} incidents are on record, with {len(others)} actions yet to be due")


def _actions(found: Iterable[Incident], today: date) -> Tuple[List[Tuple[str, Action]], List[Action]]:
    """The overdue actions, oldest first, and the other open ones."""
    open_ones = [(i.id, a) for i in found for a in i.actions if not a.done]
    late = sorted(((n, a) for n, a in open_ones if _is_late(a, today)), key=lambda pair: (pair[1].due, pair[1].id))
    return late, [a for _name, a in open_ones if not _is_late(a, today)]


def _is_late(action: Action, today: date) -> bool:
    try:
        return date.fromisoformat(action.due) < today
    except ValueError:
        # Without a date it is due now.
        return True
