# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The post-incident document: what happened, what it cost and what follows, from the record alone. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..base.units import duration
from ..config.sections import ObjectivesConfig
from ..records.fields import printable
from ..records.model import format_time
from ..report.markup import Child, Markup, table, tag
from ..report.page import whole_page
from .record import ACKNOWLEDGED, ACTION, CLAIMED, CLOSED, NOTE, PHASE, SENT, UPDATE, Event
from .timeline import Incident

#: What a review tells, in events of the kinds ``closed`` and ``note``, and its heading.
REVIEW = {"went_well": "What went well", "went_badly": "What went badly", "lucky": "Where luck helped"}
_MISSING = "Nobody has told yet."


@dataclass(frozen=True)
class Document:
    """``facts`` and ``impact`` are names and values, ``timeline`` times (UTC), words and people."""

    title: str
    lead: str
    cluster: str
    facts: Tuple[Tuple[str, str], ...]
    impact: Tuple[Tuple[str, str], ...]
    done: Tuple[str, ...]
    timeline: Tuple[Tuple[str, str, str], ...]
    review: Tuple[Tuple[str, Tuple[str, ...]], ...]
    actions: Tuple[Tuple[str, str, str, str, str], ...]
    doubts: Tuple[str, ...]


def document(incident: Incident, cluster: str, promised: ObjectivesConfig, now: datetime) -> Document:
    """The document; of an incident that is still open, as far as it is known."""
    end, closed = (incident.closed.when if incident.closed else now), incident.closed
    began = incident.began or end
    title = incident.opened.text if incident.opened else incident.id
    first = next(iter(incident.of(ACKNOWLEDGED)), None)
    took = (end - began).total_seconds()
    after = duration((first.when - began).total_seconds()) if first else ""
    facts = [
        ("Incident", incident.id),
        ("Cluster", cluster),
        ("Priority", incident.priority),
        ("Began", _time(began)),
        ("Ended", _time(end) if closed else "it is still open"),
        (
            "Acknowledged",
            f"by {first.by}, after {after}" if first else "by nobody",
        ),
        ("People", ", ".join(sorted({e.by for e in incident.events if e.what not in (CLAIMED, SENT)}))),
    ]
    done = [_words(e) for e in incident.of(PHASE, CLOSED) if e.text or e.what == PHASE]
    doubts = [f"Event {a.number} in {a.repository} does not count: {a.why}" for a in incident.aside]
    lead = closed.text if closed and closed.text else "The incident is not closed yet."
    return Document(
        title,
        lead,
        cluster,
        tuple(facts),
        tuple(_impact(incident, promised, took)),
        tuple(done),
        tuple((f"{e.when:%Y-%m-%d %H:%M:%S}", _words(e), e.by) for e in incident.events if e.what != CLAIMED),
        tuple((heading, _review(incident, name)) for name, heading in REVIEW.items()),
        tuple((a.id, a.text, a.owner, a.due, "done" if a.done else "open") for a in incident.actions),
        tuple(doubts),
    )


def _impact(incident: Incident, promised: ObjectivesConfig, took: float) -> List[Tuple[str, str]]:
    rto = incident.rto.total_seconds()
    lost = _last(incident, "lost_seconds")
    rows = [
        ("Downtime", f"{duration(took)}, {'within' if took <= rto else 'MISSED'} the objective of {duration(rto)}"),
        ("Transactions lost", _last(incident, "lost_transactions") or "not told"),
    ]
    if lost is None or not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", lost):
        return [*rows, ("Seconds lost", "not told")]
    words = f"{float(lost):g} s"
    if promised.rpo is not None:
        kept = "within" if float(lost) <= promised.rpo else "MISSED"
        words += f", {kept} the objective of {duration(promised.rpo)}"
    return [*rows, ("Seconds lost", words)]


def _last(incident: Incident, name: str) -> Optional[str]:
    told = [e.details[name] for e in incident.events if e.details.get(name)]
    return told[-1] if told else None


def _review(incident: Incident, name: str) -> Tuple[str, ...]:
    found = [e.details[name] for e in incident.of(CLOSED) if name in e.details]
    return (*found, *(e.text for e in incident.of(NOTE) if e.details.get("review") == name))


def _words(event: Event) -> str:
    told = event.details
    head = {
        PHASE: f"Phase {told.get('phase')}: {told.get('state')}",
        SENT: f"Told {told.get('to') or 'the pager'} ({told.get('key')})",
        ACKNOWLEDGED: "Acknowledged",
        UPDATE: "Update",
        ACTION: f"Action {told.get('action')}: {told.get('state')}",
        CLOSED: "Closed",
    }.get(event.what, event.what.capitalize())
    return f"{head}: {event.text}" if event.text else head


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def markdown(told: Document) -> str:
    """The document as Markdown. What people wrote is escaped: it is text, never markup."""
    lines = [f"# {_plain(told.title)}", "", _plain(told.lead), ""]
    lines += _rows(("", ""), told.facts)
    lines += ["## Impact", "", *_rows(("", ""), told.impact)]
    lines += ["## What was done", "", *_bullets(told.done)]
    lines += ["## Timeline (UTC)", "", *_rows(("time", "what", "who"), told.timeline)]
    for heading, texts in told.review:
        lines += [f"## {heading}", "", *_bullets(texts)]
    lines += ["## Actions", ""]
    lines += _rows(("action", "what", "owner", "until", "state"), told.actions) if told.actions else _bullets(())
    if told.doubts:
        lines += ["## Records that do not count", "", *_bullets(told.doubts)]
    return "\n".join(lines).rstrip() + "\n"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> List[str]:
    body = ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body, ""]


def _bullets(texts: Sequence[str]) -> List[str]:
    return [*(f"- {_plain(text)}" for text in texts or (_MISSING,)), ""]


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!&])", r"\\\1", printable(re.sub(r"\s+", " ", text)))


def page(told: Document, made: datetime) -> str:
    """The whole, self-contained page."""
    parts = [
        tag(
            "header",
            tag("div", "Lifeboat · after the incident", cls="kicker"),
            tag("h1", told.title),
            tag("p", told.lead, cls="lead"),
        ),
        tag("section", tag("h3", "Summary"), _facts(told.facts), cls="card"),
        tag("section", tag("h3", "Impact"), _facts(told.impact), cls="card"),
        tag("section", tag("h3", "What was done"), _list(told.done), cls="card"),
        tag("section", tag("h3", "Timeline (UTC)"), table(["time", "what", "who"], told.timeline), cls="card"),
        *(tag("section", tag("h3", heading), _list(texts), cls="card") for heading, texts in told.review),
        tag("section", tag("h3", "Actions"), _actions(told), cls="card"),
    ]
    if told.doubts:
        parts.append(tag("section", tag("h3", "Records that do not count"), _list(told.doubts), cls="card failure"))
    footer = tag("footer", f"Made from the record at {format_time(made)}. The same as text: incident.md.")
    return whole_page(f"Incident: {told.title}", parts, footer)


def _facts(rows: Sequence[Tuple[str, str]]) -> Markup:
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in rows], cls="facts")


def _list(texts: Sequence[str]) -> Markup:
    return tag("ul", [tag("li", text) for text in texts]) if texts else tag("p", _MISSING, cls="soft")


def _actions(told: Document) -> Child:
    if not told.actions:
        return tag("p", _MISSING, cls="soft")
    return table(["action", "what", "owner", "until", "state"], told.actions)


def as_dict(told: Document) -> Dict[str, Any]:
    """As plain data."""
    return {
        "title": told.title,
        "summary": told.lead,
        "facts": dict(told.facts),
        "impact": dict(told.impact),
        "done": list(told.done),
        "review": {heading: list(texts) for heading, texts in told.review},
    }
