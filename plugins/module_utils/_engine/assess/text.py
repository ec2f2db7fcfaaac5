# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment for a terminal, and the words that the page shares with it. Pure."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from ..base.units import duration
from ..records.fields import printable
from ..records.model import format_time
from .facts import CORRUPTION, DELETION, PRIMARY, RANSOMWARE, REGION, SERVER, STANDBY, Place
from .run import Assessment
from .way import MET, UNMET, Way

_WORDS = {
    SERVER: "a lost server", REGION: "a lost region", DELETION: "deleted data", CORRUPTION: "damaged blocks",
    RANSOMWARE: "an attack",
}  # fmt: skip
MARKS = {MET: "yes", UNMET: "NO"}
# libpq's messages have several lines.
_BREAK = re.compile(r"\s*[\t\n]\s*")


def span(seconds: Optional[float]) -> str:
    """:func:`~lifeboat.base.units.duration`; "not known" for None, "nothing" for 0."""
    return "not known" if seconds is None else duration(seconds) if seconds else "nothing"


def loses(way: Way) -> str:
    """What a way loses, in figures."""
    seconds = way.loses.seconds
    told = span(seconds) if seconds is None or seconds == 0 else f"at most {span(seconds)}"
    if seconds and way.loses.transactions is not None:
        told += f", about {way.loses.transactions} transactions"
    return told + (" (RPO missed)" if "rpo" in way.missed else "")


def lasts(way: Way) -> str:
    """How long a way takes."""
    seconds = way.lasts.seconds
    return span(seconds) + (" (RTO missed)" if "rto" in way.missed else "")


def headline(found: Assessment) -> str:
    """The answer in one sentence."""
    best, disaster = found.decision.best, found.decision.disaster
    what = f"against {_WORDS.get(disaster, '')}" if found.asked.disaster else f"it looks like {_WORDS.get(disaster)}"
    if best is not None:
        return f"{best.title} ({what}): loses {loses(best)}, takes {lasts(best)}."
    if not disaster:
        return "Nothing is known to be wrong."
    return f"No way back is open yet ({what}): see what is missing."


def server_words(found: Assessment) -> str:
    """What is known of the server."""
    server = found.facts.server
    if server.state == PRIMARY:
        return "answers, and is a primary"
    if server.state == STANDBY:
        return "answers, and is a standby"
    return f"does not answer from here: {server.error or 'it was not asked'}"


def place_words(place: Place) -> str:
    """What is known of a repository, in a sentence."""
    if place.error:
        return f"CANNOT BE READ. {place.error}"
    if not place.backups:
        return f"{place.location}: no backup that can be restored"
    end = f", WAL to {format_time(place.end)}" if place.end else ", no WAL behind it"
    proven = {True: ", proven", False: ", NOT PROVEN", None: ""}[place.backups[-1].proven]
    return f"{place.location}: {len(place.backups)} backups, newest {place.backups[-1].label}{proven}{end}"


def place_name(place: Place) -> str:
    """Its name, and the time as of which it was read."""
    return f"{place.name}, as of {format_time(place.as_of)}" if place.as_of else place.name


def damage_words(found: Assessment) -> List[str]:
    """What is damaged, and what was not checked."""
    known = found.facts.damages
    if known is None:
        return []
    words = []
    for damage in known.found:
        blocks = f", blocks {', '.join(map(str, damage.blocks))}" if damage.blocks else ""
        words.append(printable(f"{damage.kind} {damage.relation} of {damage.database}{blocks}: {damage.words}"))
    words += [f"{name}: not checked, it has no extension amcheck" for name in map(printable, known.unread)]
    return [*(words or ["nothing that pg_amcheck finds"]), *map(printable, known.noted)]


def others_silent(found: Assessment) -> List[Tuple[str, str]]:
    """What gave no answer besides repositories, whose errors are told with them."""
    told = {place.name for place in (*found.facts.places, *found.facts.past)}
    return [(name, why) for name, why in found.facts.silent if name not in told]


def lines(found: Assessment) -> List[str]:
    """The page for a terminal."""
    facts = found.facts
    out = [f"ASSESSMENT of cluster {facts.cluster}, {facts.now:%Y-%m-%d %H:%M:%S} UTC, in {facts.seconds:.1f} s"]
    out += [headline(found), ""]
    if found.decision.best is not None:
        out += ["Run, once the first steps are done:", f"  {found.decision.best.command}", ""]
    if found.first:
        out += ["First", *(f"  {number}. {step}" for number, step in enumerate(found.first, 1)), ""]
    out.append("Ways back, the best first" if found.decision.disaster else "Ways back")
    for way in found.decision.ways:
        out += _way_lines(way)
    out += ["", "What is known", f"  server      {server_words(found)}"]
    for place in (*facts.places, *facts.past):
        out.append(f"  repository  {place_name(place)}: {place_words(place)}")
        out += [f"              {words}" for words in (*place.findings, *place.frozen)]
    out += [f"  damaged     {words}" for words in damage_words(found)]
    out += [f"  NO ANSWER   {name}: {why}" for name, why in others_silent(found)]
    if facts.rpo is None and facts.rto is None:
        out.append("  objectives  none is set (objectives.rpo, objectives.rto)")
    else:
        out.append(f"  objectives  RPO {_objective(facts.rpo)}, RTO {_objective(facts.rto)}")
    if facts.contacts:
        out += ["", "Contacts", *(f"  {person}" for person in facts.contacts)]
    # What stores, records and owners of relations say gets as far as an error message or a condition.
    return [printable(_BREAK.sub(" ", line)) for line in out]


def _objective(seconds: Optional[float]) -> str:
    return "not set" if seconds is None else span(seconds)


def _way_lines(way: Way) -> List[str]:
    mark = "=> " if way.best else "   "
    state = "" if way.possible else "  (not possible now)"
    out = [
        "",
        f"{mark}{way.title}{state}",
        f"     loses   {loses(way)}: {way.loses.words}",
        f"     takes   {lasts(way)}: {way.lasts.source}",
    ]
    out += [f"     {MARKS.get(c.state, '?'):<7} {c.name}: {c.reason}" for c in way.conditions]
    return [*out, f"     run     {way.command}"]
