# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is to be told what of an incident, now. Pure.

The ladder begins when the incident is opened, and stops when somebody acknowledges. An acknowledgement lapses without
an update; then the ladder begins again. What was sent is not due again, nor is what a watcher claimed a moment ago: one
that is killed between claim and delivery holds a notice up for :data:`LAPSE`, and loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Iterator, List, Optional, Tuple

from ..config.incidents import AT_RISK, COMMANDER, UPDATERS, ContactConfig, IncidentsConfig
from ..incident.record import ACKNOWLEDGED, CLAIMED, OPENED, UPDATE, Event
from ..incident.timeline import Incident

LADDER, RISK, ASK = "ladder", "risk", "update"
#: Of PagerDuty only: that somebody acknowledged, and that it is over.
PAGER_ACKNOWLEDGED, PAGER_CLOSED = "pager-ack", "pager-closed"
#: After so long a claim without a delivery counts for nothing.
LAPSE = timedelta(minutes=5)
#: The share of the recovery time objective that is left when it is at risk.
_RISK_SHARE = 0.25


@dataclass(frozen=True)
class Due:
    """A notice that is due: ``key`` names it, once for ever; ``since`` is when it became due."""

    key: str
    kind: str
    people: Tuple[ContactConfig, ...]
    since: datetime


def due(incident: Incident, config: IncidentsConfig, now: datetime, pager: bool = False) -> Tuple[Due, ...]:
    """What is due at ``now``, in the order in which it became due; nothing of a closed incident.

    With ``pager`` a pager service owns the ladder: only its first rung is told, and begins that of the service.
    """
    if not config.escalate or not incident.is_open or incident.began is None:
        return ()
    found = [*_ladder(incident, config, now, pager), *_risk(incident, config, now), *_ask(incident, config, now)]
    return tuple(sorted((d for d in found if _is_free(incident, d.key, now)), key=lambda d: (d.since, d.key)))


def pager_due(incident: Incident, now: datetime) -> Tuple[str, ...]:
    """The keys of what a pager service is to be told of an incident that it was told of."""
    if not any(key.startswith(f"{LADDER}-") for key in incident.sent):
        return ()
    last = incident.acknowledgement
    keys = [f"{PAGER_ACKNOWLEDGED}-{last.number}"] if last and incident.is_open else []
    keys += [PAGER_CLOSED] if incident.closed else []
    return tuple(key for key in keys if _is_free(incident, key, now))


def taken_care_until(incident: Incident, config: IncidentsConfig) -> Optional[datetime]:
    """Until when the acknowledgement counts, or counted; None where there is none. An update is one as well."""
    sign = _sign(incident)
    return sign.when + timedelta(seconds=config.update_interval) if sign else None


def _sign(incident: Incident) -> Optional[Event]:
    return max(incident.of(ACKNOWLEDGED, UPDATE), key=lambda e: (e.when, e.number), default=None)


def _is_free(incident: Incident, key: str, now: datetime) -> bool:
    if key in incident.sent:
        return False
    claims = [e.when for e in incident.of(CLAIMED) if e.details["key"] == key]
    return not claims or now - max(claims) >= LAPSE


def _ladder(incident: Incident, config: IncidentsConfig, now: datetime, pager: bool) -> Iterator[Due]:
    sign, until = _sign(incident), taken_care_until(incident, config)
    began, number = incident.began, 1
    if sign is not None and until is not None:
        if now < until:
            return
        began, number = until, sign.number
    if began is None:
        return
    for rung, step in enumerate(config.ladder[: 1 if pager else None]):
        since = began + timedelta(seconds=step.after)
        # The first one is due whatever a clock says.
        if since <= now or step.after == 0:
            yield Due(f"{LADDER}-{number}-{rung}", LADDER, config.having(step.roles), since)


def _risk(incident: Incident, config: IncidentsConfig, now: datetime) -> Iterator[Due]:
    """Too little is left, or the last phase of a playbook forecast a later end."""
    if incident.deadline is None:
        return
    since: List[datetime] = [incident.deadline - incident.rto * _RISK_SHARE]
    phase = incident.phase
    forecast = phase.details.get("forecast_seconds", "") if phase else ""
    seconds = int(forecast) if forecast.isascii() and forecast.isdecimal() and len(forecast) < 9 else 0
    if phase and phase.when + timedelta(seconds=seconds) > incident.deadline:
        since.append(phase.when)
    if min(since) <= now:
        yield Due(RISK, RISK, config.having(AT_RISK), min(since))


def _ask(incident: Incident, config: IncidentsConfig, now: datetime) -> Iterator[Due]:
    """The newest one alone: who comes late is asked once."""
    last = max(incident.of(OPENED, UPDATE), key=lambda e: (e.when, e.number), default=incident.opened)
    if last is None:
        return
    times = int((now - last.when).total_seconds() // config.update_interval)
    if times >= 1:
        since = last.when + timedelta(seconds=times * config.update_interval)
        yield Due(f"{ASK}-{last.number}-{times}", ASK, config.having(UPDATERS) or config.having((COMMANDER,)), since)
