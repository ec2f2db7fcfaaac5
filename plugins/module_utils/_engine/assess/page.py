# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment as one HTML file: for a desk, a phone and paper. No scripts, nothing from outside."""

from __future__ import annotations

from typing import List, Tuple

from ..base.errors import ConfigError
from ..base.files import replace_file
from ..base.version import VERSION
from ..report.markup import Child, Markup, tag
from ..report.page import whole_page
from .run import Assessment
from .text import damage_words, headline, lasts, loses, others_silent, place_name, place_words, server_words, span
from .way import MET, UNMET, Way

_MORE = """
.way h3 { margin: 0 0 10px; display: flex; gap: 10px; align-items: center; flex-wrap: wrap; font-size: 17px; }
.way.best { border: 2px solid var(--good); } .way.closed { opacity: .75; }
.badge.none { color: var(--soft); background: var(--code); } .badge { font-size: 12px; padding: 1px 10px; }
.figures { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; margin: 0 0 10px; }
.figures b { display: block; font-size: 18px; } .figures .name { font-size: 12px; color: var(--soft); }
.figures .note { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.condition { display: grid; grid-template-columns: 20px 8.5em 1fr; gap: 8px; padding: 4px 0; font-size: 14px;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.condition .name { color: var(--soft); } .warn-ink { color: var(--warn); }
.way pre { margin: 10px 0 0; font-size: 13px; }
.first li { margin: 0 0 6px; } .first ol { margin: 0; padding-left: 1.4em; }
@media (max-width: 480px) { main { padding: 16px 12px 32px; } .card { padding: 14px; } h1 { font-size: 24px; }
  .figures { grid-template-columns: 1fr; } .condition { grid-template-columns: 20px 1fr; }
  .condition .reason { grid-column: 2; } .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin: 0 0 8px; } }
@media print { .way.closed { opacity: 1; } }
"""
_MARK = {MET: ("✓", "good-ink"), UNMET: ("✗", "bad-ink")}


def render(found: Assessment) -> str:
    """The whole page; it needs nothing else."""
    facts, best = found.facts, found.decision.best
    return whole_page(
        f"Assessment of {facts.cluster}",
        tag("div", "Lifeboat · assessment", cls="kicker"),
        tag("h1", facts.cluster),
        tag("p", headline(found), cls="lead"),
        tag("p", f"As of {facts.now:%Y-%m-%d %H:%M:%S} UTC. Nothing was changed.", cls="soft"),
        _first(found.first),
        tag("h2", "Ways back"),
        tag("p", "The marked way is the best one by the objectives.", cls="soft") if best is not None else None,
        [_way(way) for way in found.decision.ways],
        tag("h2", "What is known"),
        _known(found),
        [tag("h2", "Contacts"), tag("section", [tag("p", who) for who in facts.contacts], cls="card")]
        if facts.contacts
        else None,
        tag("footer", f"Lifeboat {VERSION}; the look took {facts.seconds:.1f} s."),
        style=_MORE,
    )


def write(found: Assessment, path: str) -> None:
    """Write the page into a file that only its owner reads; ConfigError."""
    try:
        replace_file(path, render(found).encode(), mode=0o600)
    except OSError as exc:
        raise ConfigError(
            f"Cannot write {path}: {exc.strerror}.", "Name a file in a directory that exists.", path=path
        ) from exc


def _first(steps: Tuple[str, ...]) -> Child:
    if not steps:
        return None
    return [tag("h2", "First"), tag("section", tag("ol", [tag("li", step) for step in steps]), cls="card first")]


def _way(way: Way) -> Markup:
    badge = tag("span", "BEST", cls="badge good") if way.best else None
    closed = None if way.possible else tag("span", "NOT POSSIBLE NOW", cls="badge none")
    figures = [
        ("Loses", loses(way), way.loses.words, "rpo" in way.missed),
        ("Takes", lasts(way), way.lasts.source, "rto" in way.missed),
    ]
    return tag(
        "section",
        tag("h3", way.title, badge, closed),
        tag(
            "div",
            [
                tag(
                    "div",
                    tag("span", name, cls="name"),
                    tag("b", value, cls="bad-ink" if missed else None),
                    tag("span", note, cls="note"),
                )
                for name, value, note, missed in figures
            ],
            cls="figures",
        ),
        [_condition(c.state, c.name, c.reason) for c in way.conditions],
        tag("pre", way.command),
        cls=f"card way {'best' if way.best else '' if way.possible else 'closed'}".strip(),
    )


def _condition(state: str, name: str, reason: str) -> Markup:
    mark, ink = _MARK.get(state, ("?", "warn-ink"))
    return tag(
        "div",
        tag("b", mark, cls=ink),
        tag("span", name, cls="name"),
        tag("span", reason, cls="reason"),
        cls="condition",
    )


def _known(found: Assessment) -> Markup:
    facts = found.facts
    rows: List[Child] = [tag("dt", "Server"), tag("dd", server_words(found))]
    for place in (*facts.places, *facts.past):
        bad = "bad-ink" if place.error else None
        rows += [tag("dt", place_name(place)), tag("dd", tag("span", place_words(place), cls=bad))]
        rows += [
            [tag("dt", ""), tag("dd", tag("span", words, cls="warn-ink"))] for words in (*place.findings, *place.frozen)
        ]
    rows += [[tag("dt", "Damage"), tag("dd", words)] for words in damage_words(found)]
    rows += [[tag("dt", name), tag("dd", tag("span", why, cls="bad-ink"))] for name, why in others_silent(found)]
    for name, value in (("RPO", facts.rpo), ("RTO", facts.rto)):
        rows += [tag("dt", name), tag("dd", "not set" if value is None else span(value))]
    return tag("section", tag("dl", rows, cls="facts"), cls="card")
