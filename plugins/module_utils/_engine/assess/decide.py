# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways back from a disaster, the best one marked: from facts alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from ..records.fields import printable
from ..records.model import format_time
from . import commands
from .facts import CORRUPTION, DELETION, RANSOMWARE, REGION, SERVER, SILENT, Asked, Facts
from .sources import first_answering
from .way import Way, beside_objectives, ranked
from .ways import (
    as_of,
    database_beside,
    database_dump,
    failover,
    in_place,
    in_place_delta,
    other_repository,
    rebuild,
    reindex,
    table_beside,
)

Maker = Callable[[Facts, Asked, str], Optional[Way]]
#: The ways that help against each disaster. Where two are equal, the earlier one is better.
FITTING: Mapping[str, Tuple[Maker, ...]] = {
    SERVER: (failover, rebuild, other_repository),
    REGION: (failover, rebuild, other_repository),
    DELETION: (table_beside, database_dump, database_beside, in_place, in_place_delta),
    CORRUPTION: (reindex, table_beside, failover, in_place_delta, in_place, rebuild, other_repository),
    RANSOMWARE: (as_of,),
}
_ALL: Tuple[Maker, ...] = (
    failover, in_place, in_place_delta, rebuild, other_repository, table_beside, database_dump, database_beside, as_of,
)  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """The ways, best first. ``disaster`` was asked for, or the facts suggest it; "" where nothing is wrong."""

    disaster: str
    ways: Tuple[Way, ...]

    @property
    def best(self) -> Optional[Way]:
        """The marked one; None where no way is possible, or nothing is known to be wrong."""
        return next((way for way in self.ways if way.best), None)


def decide(facts: Facts, asked: Asked, config_file: str) -> Decision:
    """Every way that helps, or every way where no disaster is named."""
    disaster = asked.disaster or suggested(facts, asked)
    makers = FITTING[disaster] if asked.disaster else _ALL
    made = [way for maker in makers for way in [maker(facts, asked, config_file)] if way is not None]
    judged = [beside_objectives(way, facts.rpo, facts.rto) for way in made]
    if asked.disaster or not disaster:
        return Decision(disaster, ranked(judged, choose=bool(disaster)))
    helping = {maker.__name__ for maker in FITTING[disaster]}
    order = {maker.__name__: number for number, maker in enumerate(_ALL)}
    fit = [way for way in judged if way.name in helping]
    rest = sorted((way for way in judged if way.name not in helping), key=lambda way: order[way.name])
    return Decision(disaster, (*ranked(fit), *rest))


def suggested(facts: Facts, asked: Asked) -> str:
    """The disaster that the facts look like, where none was named; "" where the server answers."""
    if asked.as_of is not None:
        return RANSOMWARE
    if asked.target is not None and facts.server.state != SILENT:
        return DELETION
    if facts.server.state == SILENT:
        return REGION if any(place.error for place in facts.places) else SERVER
    return ""


#: What comes before any way back. The text may name the command that does it.
_FIRST: Dict[str, Tuple[str, ...]] = {
    SERVER: (
        "Make sure that the old server is off for good: cut its power or network, or revoke its keys. Two primaries on"
        " one prefix ruin both archives.",
    ),
    REGION: ("Make sure that the old primary is off for good, or cannot reach the repositories and its clients.",),
    DELETION: ("Stop what still deletes or overwrites: the application, or its job.",),
    CORRUPTION: (
        "Take the application off the server, and keep a copy of the data directory before anything is mended.",
        "Find out whether the disk or the memory is at fault: a restore onto the same disk is damaged again.",
    ),
    RANSOMWARE: (
        "Revoke the writer's keys, and switch the attacked host off. Never restore onto it.",
        "Make new credentials for the store, the database and its clients before the new host starts.",
        "Tell the people who have to be told: the contacts, data protection, the insurer, the police.",
        "Set forged objects apart afterwards, as docs/ransomware.md describes; Lifeboat removes none.",
    ),
}


def _before(name: str, key: str, at: datetime) -> str:
    earlier = format_time(at.replace(microsecond=0) - timedelta(minutes=1))
    return (
        f"In repository {name} the first object put over another one is {printable(key)}, at {format_time(at)}."
        f" Look at the time before it: --as-of {earlier}. What was only hidden before that is not seen by this."
    )


def first_steps(facts: Facts, asked: Asked, decision: Decision, config_file: str) -> List[str]:
    """What to do before any way back, in order."""
    steps = list(_FIRST.get(decision.disaster, ()))
    if decision.disaster == DELETION and asked.target is None:
        place = first_answering(facts.places)
        # A search begins behind a backup: its end itself cannot be reached.
        since = place.backups[-1].finished_at + timedelta(seconds=1) if place and place.backups else None
        steps.append(f"Find the moment, from the newest backup on: {commands.search(asked, config_file, since)}")
    if decision.disaster == CORRUPTION and facts.damages is None:
        steps.append("Find out what is damaged: assess again with --amcheck, which reads the whole cluster.")
    if decision.disaster == RANSOMWARE and asked.as_of is None:
        steps += [_before(place.name, *place.strange) for place in facts.places if place.strange]
    if not decision.disaster:
        steps.append("The server answers. Name what is wrong: --disaster corruption, region, ransomware or deletion.")
    if not facts.answering:
        steps.append("No repository answers from here. Check keys, network and names, or run this where one does.")
    return steps
