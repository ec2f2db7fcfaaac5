# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of an incident: facts from the record, and what they can do. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import List, Tuple

from ..base.units import duration
from ..config.incidents import IncidentsConfig
from ..incident.timeline import Incident
from ..notify import CRITICAL, OPEN, Notice, one_line, readable
from .decide import ASK, LADDER, Due


def notice_of(incident: Incident, item: Due, config: IncidentsConfig, cluster: str, host: str, now: datetime) -> Notice:
    """The notice for the people of this item. Its key is its own: it is told once, not repeated daily."""
    head = f"{incident.priority} incident of cluster {cluster}"
    title = one_line(incident.opened.text if incident.opened else "", 120)
    if item.kind == ASK:
        subject, lines = f"{head}: an update is due: {title}", ask_words(incident, cluster, now)
    elif item.kind == LADDER:
        waits = duration(max(0.0, (item.since - _begins(incident)).total_seconds()))
        more = f" (not acknowledged after {waits})" if item.since > _begins(incident) else ""
        subject, lines = f"{head}: {title}{more}", _ack_words(incident)
    else:
        subject = f"{head}: the recovery time objective is at risk: {title}"
        lines = ["Decide whether to wait, to take another way, or to tell customers now."]
    text = "\n".join([*facts(incident, now), "", *lines, "", *people(config)])
    return Notice(CRITICAL, subject, now, readable(text), notice_key(incident, item.key), OPEN, cluster, host)


def notice_key(incident: Incident, key: str = "") -> str:
    """The key of the problem: that of the incident itself is a pager service's."""
    return f"lifeboat/incident/{incident.id}{f'/{key}' if key else ''}"


def pager_notice(incident: Incident, state: str, cluster: str, host: str, now: datetime) -> Notice:
    """What a pager service is told: one problem for each incident, which is opened, acknowledged or resolved."""
    title = one_line(incident.opened.text if incident.opened else "", 200)
    subject = f"{incident.priority} incident of cluster {cluster}: {title}"
    return Notice(CRITICAL, subject, now, "\n".join(facts(incident, now)), notice_key(incident), state, cluster, host)


def facts(incident: Incident, now: datetime) -> List[str]:
    """What is known, one fact a line."""
    began, deadline = _begins(incident), incident.deadline
    lines = [
        f"Incident: {incident.id}",
        f"What: {one_line(incident.opened.text if incident.opened else '', 500)}",
        f"Since: {began:%Y-%m-%d %H:%M} UTC, for {duration((now - began).total_seconds())}",
    ]
    if deadline:
        left = (deadline - now).total_seconds()
        words = f"{duration(left)} left" if left >= 0 else f"missed by {duration(-left)}"
        lines.append(f"Objective: back by {deadline:%H:%M} UTC ({words})")
    if incident.phase:
        told = incident.phase.details
        lines.append(f"Phase: {told['phase']} {told['state']} at {incident.phase.when:%H:%M} UTC")
    ack = incident.acknowledgement
    lines.append(f"Acknowledged: by {ack.by} at {ack.when:%H:%M} UTC" if ack else "Acknowledged: by nobody")
    last = incident.updated
    if last and last is not incident.opened:
        lines.append(f"Last update: {last.when:%H:%M} UTC: {one_line(last.text, 500)}")
    return lines


def ask_words(incident: Incident, cluster: str, now: datetime) -> List[str]:
    """The request for an update, with two drafts. Customers are told no forecast."""
    internal, customers = drafts(incident, cluster, now)
    return [
        "Tell how things are, in a sentence:",
        f"  lifeboat --config /etc/lifeboat/{cluster}.yml incident update --incident {incident.id} 'TEXT'",
        "",
        f"Draft, internal: {internal}",
        f"Draft, customers: {customers}",
    ]


def drafts(incident: Incident, cluster: str, now: datetime) -> Tuple[str, str]:
    """An update for colleagues and one for customers, in which a person fills in the rest."""
    began = _begins(incident)
    phase = f" Phase {incident.phase.details['phase']}: {incident.phase.details['state']}." if incident.phase else ""
    left = f" The objective is {incident.deadline:%H:%M} UTC." if incident.deadline else ""
    internal = f"{incident.priority}, cluster {cluster}, for {duration((now - began).total_seconds())}.{phase}{left} …"
    customers = (
        f"Since {began:%H:%M} UTC the service is disturbed. We are working on it. We report again in 30 minutes. …"
    )
    return internal, customers


def people(config: IncidentsConfig) -> List[str]:
    """Everybody who can be called, a line each."""
    return ["Contacts:", *(f"  {c.name} ({', '.join(c.roles)}): {c.phone or c.mail}" for c in config.in_order)]


def _ack_words(incident: Incident) -> List[str]:
    return [
        "Say that you work on it, so that nobody else is woken:",
        f"  lifeboat incident ack --incident {incident.id} --as 'YOUR NAME'",
        "What to do: docs/incident.md.",
    ]


def _begins(incident: Incident) -> datetime:
    if incident.began is None:
        raise ValueError(f"incident {incident.id} has no first event")
    return incident.began
