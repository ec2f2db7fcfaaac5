# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: one HTML file without scripts, for desktop and phone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import List, Optional, Sequence, Tuple

from ..base.units import about
from ..base.version import VERSION
from ..report.markup import Markup, tag
from ..report.page import whole_page
from .alertmanager import Asked
from .fleet import Cluster, Unusable
from .status import BAD, GOOD, WARNED, Emergency, Fact, Place, Verdict, ago, judge

_WORDS = {GOOD: "PROTECTED", WARNED: "WARNING", BAD: "AT RISK"}
_MARKS = {GOOD: ("✓", "good-ink"), WARNED: ("!", "warn-ink"), BAD: ("✗", "bad-ink"), None: ("", "soft")}
#: Maximum number of alerts to show, and the age at which an answer of Alertmanager is outdated.
_SHOWN, _OLD = 50, timedelta(minutes=5)
_MORE = """
.alert { display: grid; grid-template-columns: 84px 250px 90px 1fr; gap: 4px 12px; padding: 6px 0;
  border-bottom: 1px solid var(--line); font-size: 14px; overflow-wrap: anywhere; align-items: start; }
.alert:first-child { margin-top: 6px; } .alert:last-child { margin-bottom: 10px; }
.alert .badge { font-size: 12px; padding: 1px 8px; text-align: center; }
.badge.warn { color: var(--warn); background: var(--warn-bg); } .warn-ink { color: var(--warn); }
.cluster h2 { margin: 0; display: flex; gap: 12px; align-items: center; flex-wrap: wrap; overflow-wrap: anywhere; }
.cluster .answer { font-size: 17px; margin: 8px 0 4px; }
.places { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 8px 32px; }
.fact { display: grid; grid-template-columns: 18px 10.5em 1fr; gap: 8px; padding: 5px 0; font-size: 14px;
  border-bottom: 1px solid var(--line); }
.fact:last-child { border-bottom: 0; } .cluster pre { margin: 10px 0 0; } .fact .name { color: var(--soft); }
@media (max-width: 480px) { main { padding: 16px 12px 32px; } .card { padding: 14px; }
  .fact { grid-template-columns: 18px 1fr; row-gap: 0; } .fact .value { grid-column: 2; }
  .alert { grid-template-columns: 84px 1fr; } .alert b, .alert .words { order: 1; grid-column: 1 / -1; } }
"""


def render(
    clusters: Sequence[Cluster],
    unusable: Sequence[Unusable],
    refreshed: Optional[datetime],
    now: datetime,
    asked: Optional[Asked] = None,
) -> str:
    """The whole, self-contained page. ``asked``: the open alerts, if an Alertmanager is configured."""
    verdicts = sorted((judge(cluster, now) for cluster in clusters), key=lambda v: (_rank(v.state), v.cluster))
    bad = sum(v.state == BAD for v in verdicts) + len(unusable)
    title = f"Lifeboat: {bad} of {len(verdicts) + len(unusable)} at risk" if bad else "Lifeboat: all protected"
    return whole_page(
        title,
        tag("p", "Lifeboat", cls="kicker"),
        tag("h1", "Can we restore now?"),
        tag("p", _summary(verdicts, unusable), cls="lead"),
        [_emergency(name, each, now) for name, each in _emergencies(verdicts)],
        _alerts(asked, now) if asked else None,
        [_unusable(item) for item in unusable],
        [_cluster(verdict) for verdict in verdicts],
        tag("footer", f"Lifeboat {VERSION}. Read from the repositories {ago(now, refreshed)}; page of "
            f"{now:%Y-%m-%d %H:%M:%S} UTC."),
        style=_MORE,
        refresh=60,
    )  # fmt: skip


def _rank(state: str) -> int:
    return (BAD, WARNED, GOOD).index(state)


def _summary(verdicts: Sequence[Verdict], unusable: Sequence[Unusable]) -> str:
    if not verdicts and not unusable:
        return "No cluster is configured."
    counts = {state: sum(v.state == state for v in verdicts) for state in (GOOD, WARNED, BAD)}
    words = {GOOD: "protected", WARNED: "with warnings", BAD: "at risk"}
    told = [f"{number} {words[state]}" for state, number in counts.items() if number]
    if unusable:
        told.append(f"{len(unusable)} with an unusable configuration")
    urgent = sum(len(verdict.emergencies) for verdict in verdicts)
    return f"Clusters: {', '.join(told)}." + (f" Open incidents: {urgent}." if urgent else "")


def _emergencies(verdicts: Sequence[Verdict]) -> List[Tuple[str, Emergency]]:
    """With their clusters, the most urgent first, then the oldest."""
    found = [(verdict.cluster, each) for verdict in verdicts for each in verdict.emergencies]
    return sorted(found, key=lambda item: (item[1].priority, item[1].id))


def _emergency(cluster: str, found: Emergency, now: datetime) -> Markup:
    """An open incident, and the command that shows it."""
    left = (found.until - now).total_seconds() if found.until else 0.0
    promise = f"{about(left)} of its objective are left" if left > 0 else "its objective has passed"
    facts = (
        Fact("Opened", ago(now, found.since)),
        Fact("Acknowledged", f"by {found.by}" if found.by else "by nobody", GOOD if found.by else BAD),
        Fact("Recovery time", promise, GOOD if left > 0 else BAD),
    )
    urgent = found.priority in ("P1", "P2")
    return tag(
        "section",
        tag("h2", cluster, tag("span", f"INCIDENT {found.priority}", cls=f"badge {BAD if urgent else WARNED}")),
        tag("p", found.title, cls="answer"),
        [_fact(fact) for fact in facts],
        tag("pre", f"lifeboat --config /etc/lifeboat/{cluster}.yml incident show --incident {found.id}"),
        cls="card cluster failure" if urgent else "card cluster",
    )


def _alerts(asked: Asked, now: datetime) -> Markup:
    """The open alerts and their age, also if Alertmanager does not respond."""
    rows = [
        tag(
            "div",
            tag("span", alert.severity or "alert", cls=f"badge {'bad' if alert.severity == 'critical' else 'warn'}"),
            tag("b", " ".join(filter(None, (alert.name, alert.cluster)))),
            tag("span", ago(now, alert.since), cls="soft") if alert.since else tag("span"),
            tag("span", alert.summary, cls="words"),
            cls="alert",
        )
        for alert in asked.alerts[:_SHOWN]
    ]
    hidden = len(asked.alerts) - len(rows) + asked.more
    open_ones = f"{len(asked.alerts) + asked.more} were open" if rows else "none were open"
    known = "No answer yet." if asked.at is None else f"Alertmanager, {ago(now, asked.at)}: {open_ones}."
    late = asked.error is not None or asked.at is None or now - asked.at > _OLD
    badge = f"badge {'warn' if late else 'bad' if rows else 'good'}"
    return tag(
        "section",
        tag("h2", "Open alerts", tag("span", "UNKNOWN" if late else str(len(asked.alerts) + asked.more), cls=badge)),
        tag("p", asked.error.message, cls="warn-ink") if asked.error else None,
        tag("div", rows) if rows else None,
        tag("p", f"And {hidden} more." if hidden else "", known if hidden == 0 else f" {known}", cls="soft"),
        cls="card cluster",
    )  # fmt: skip


def _unusable(item: Unusable) -> Markup:
    return tag(
        "section",
        tag("h2", item.path, tag("span", "AT RISK", cls="badge bad")),
        tag("p", item.error.message, cls="answer"),
        tag("p", item.error.hint, cls="soft"),
        cls="card cluster failure",
    )


def _cluster(verdict: Verdict) -> Markup:
    return tag(
        "section",
        tag("h2", verdict.cluster, tag("span", _WORDS[verdict.state], cls=f"badge {verdict.state}")),
        tag("p", verdict.answer, cls="answer"),
        tag("div", [_place(place) for place in verdict.places], cls="places"),
        cls="card cluster failure" if verdict.state == BAD else "card cluster",
    )


def _place(place: Place) -> Markup:
    return tag("div", tag("h3", place.name), [_fact(fact) for fact in place.facts])


def _fact(fact: Fact) -> Markup:
    mark, cls = _MARKS[fact.state]
    return tag(
        "div",
        tag("span", mark, cls=cls),
        tag("span", fact.name, cls="name"),
        tag("span", fact.value, cls="value"),
        cls="fact",
    )
