# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of the status page: whether a cluster can be restored, how recent that is, and its proofs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Dict, List, Optional, Tuple

from ..base.units import about
from ..config.load import RepositoryConfig
from ..escalation import taken_care_until
from ..incident.timeline import Incident
from ..metrics import Stored
from ..records.fields import printable
from ..records.model import BackupManifest
from ..repository.drills import Drills
from ..restore import estimate_seconds
from .fleet import Cluster, Reading

GOOD, WARNED, BAD = "good", "warn", "bad"
#: Whoever may store can open thousands.
MOST_INCIDENTS = 20


@dataclass(frozen=True)
class Fact:
    """A line: its name, its value, and its state (None: not judged)."""

    name: str
    value: str
    state: Optional[str] = None


@dataclass(frozen=True)
class Place:
    """One repository. ``restorable``: whether a restore to the latest moment is possible from it."""

    name: str
    restorable: bool
    why: str
    facts: Tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Emergency:
    """An open incident: when it began, who has acknowledged it (None: nobody, or it lapsed), and what is promised."""

    id: str
    priority: str
    title: str
    since: Optional[datetime]
    by: Optional[str]
    until: Optional[datetime]


@dataclass(frozen=True)
class Verdict:
    """One cluster: the worst state, the answer in a sentence, its repositories, and its open incidents.

    An incident does not change the state: whether data can be restored is another question.
    """

    cluster: str
    state: str
    answer: str
    places: Tuple[Place, ...]
    emergencies: Tuple[Emergency, ...] = ()


def judge(cluster: Cluster, now: datetime) -> Verdict:
    """The verdict on a cluster."""
    places = tuple(
        _place(cluster, entry, cluster.readings.get(entry.name, Reading()), now)
        for entry in cluster.config.repositories
    )
    able = [place for place in places if place.restorable]
    states = {fact.state for place in places for fact in place.facts}
    urgent = _emergencies(cluster, now)
    if not able:
        why = f"No: {places[0].why}" if places else "No repository."
        return Verdict(cluster.config.cluster, BAD, why, places, urgent)
    worst = BAD if BAD in states else WARNED if WARNED in states or len(able) < len(places) else GOOD
    answer = f"Yes, from {' and '.join(place.name for place in able)}"
    lost = [place.name for place in places if not place.restorable]
    told = f"{answer}; not from {', '.join(lost)}." if lost else f"{answer}."
    return Verdict(cluster.config.cluster, worst, told, places, urgent)


def _emergencies(cluster: Cluster, now: datetime) -> Tuple[Emergency, ...]:
    """Each open incident once, as the repository with the most events has it: the others lag behind."""
    found: Dict[str, Incident] = {}
    for reading in cluster.current.values():
        for name, incident in (reading.stored.incidents if reading.stored else {}).items():
            known = found.get(name)
            if known is None or len(known.events) < len(incident.events):
                found[name] = incident
    return tuple(_emergency(cluster, found[name], now) for name in sorted(found)[-MOST_INCIDENTS:])


def _emergency(cluster: Cluster, incident: Incident, now: datetime) -> Emergency:
    until = taken_care_until(incident, cluster.config.incidents)
    taken = incident.acknowledgement if until is not None and now < until else None
    title = incident.opened.text if incident.opened else ""
    by = printable(taken.by) if taken else None
    return Emergency(incident.id, incident.priority, printable(title), incident.began, by, incident.deadline)


def _place(cluster: Cluster, entry: RepositoryConfig, reading: Reading, now: datetime) -> Place:
    # Archiving continues without an optional one.
    bad = BAD if entry.required else WARNED
    if reading.stored is None:
        why = reading.error.message if reading.error else "It has not been read yet."
        return Place(entry.name, False, why, (Fact("Repository", why, bad),))
    stored = reading.stored
    facts: List[Fact] = []
    if reading.error:
        facts.append(Fact("Repository", f"{reading.error.message} Last read {ago(now, reading.read_at)}.", bad))
    way, newest = stored.contents.to_latest(), stored.contents.chains.newest
    why = _why_not(stored)
    facts += [*_age(cluster, newest, now), *_window(cluster, stored, now), *_forecast(cluster, stored)]
    facts += [*_proof(cluster, stored, now), *_usage(reading)]
    restorable = reading.error is None and way is not None and not why
    return Place(entry.name, restorable, why or (reading.error.message if reading.error else ""), tuple(facts))


def _why_not(stored: Stored) -> str:
    way = stored.contents.to_latest()
    if stored.contents.chains.newest is None:
        return "There is no restorable backup."
    if way is None:
        return "No backup leads to the timeline of the newest WAL."
    if way.run.missing:
        return f"WAL segment {way.run.missing[0]} is missing after the newest backup."
    if way.run.lost:
        return f"WAL from {way.run.lost[0].name} on was archived, but is missing."
    return ""


def _age(cluster: Cluster, newest: Optional[BackupManifest], now: datetime) -> List[Fact]:
    if newest is None:
        return [Fact("Newest backup", "none", BAD)]
    limit = cluster.config.objectives.max_backup_age
    late = limit is not None and (now - newest.finished_at).total_seconds() > limit
    return [Fact("Newest backup", f"{newest.type}, {ago(now, newest.finished_at)}", BAD if late else GOOD)]


def _window(cluster: Cluster, stored: Stored, now: datetime) -> List[Fact]:
    if not stored.contents.windows:
        return [Fact("Point-in-time window", "none", BAD)]
    last = stored.contents.windows[-1]
    promised = cluster.config.objectives.window
    short = promised is not None and now - last.start < timedelta(days=promised)
    span = f"{last.start:%Y-%m-%d %H:%M} to {last.end:%Y-%m-%d %H:%M:%S} UTC"
    return [
        Fact("Point-in-time window", span, WARNED if short else GOOD),
        # An idle server archives nothing, so age alone is no fault.
        Fact("Newest WAL stored", ago(now, last.end)),
    ]


def _forecast(cluster: Cluster, stored: Stored) -> List[Fact]:
    way, limit = stored.contents.to_latest(), cluster.config.objectives.rto
    if way is None:
        return []
    chain = stored.contents.chains.whole[way.backup.label]
    seconds, basis = estimate_seconds(chain, len(way.run.segments), stored.pace)
    state = None if limit is None else BAD if seconds > limit else GOOD
    return [Fact("A restore would take", f"about {about(seconds)} ({basis})", state)]


def _proof(cluster: Cluster, stored: Stored, now: datetime) -> List[Fact]:
    limit, newest = cluster.config.objectives.max_verify_age, stored.known.newest
    late = limit is not None and (newest is None or now - newest > timedelta(days=limit))
    damaged = f", {stored.known.damaged} objects damaged" if stored.known.damaged else ""
    state = BAD if damaged else WARNED if late else GOOD if newest else None
    facts = [Fact("Last verification", f"{ago(now, newest)}{damaged}", state)]
    last = max(stored.tests.values(), key=lambda test: test.at, default=None)
    told = "never" if last is None else f"{ago(now, last.at)}: {'proven' if last.proven else 'failed'}"
    facts.append(Fact("Last restore test", told, None if last is None else GOOD if last.proven else BAD))
    return [*facts, _drill(cluster, stored.drills, now)]


def _drill(cluster: Cluster, drills: Drills, now: datetime) -> Fact:
    """The newest drill. Red only if it failed: an overdue drill by itself puts no data at risk."""
    limit, last, good = cluster.config.objectives.max_drill_age, drills.last, drills.last_passed
    late = limit is not None and (good is None or now - good.stored_at > timedelta(days=limit))
    if last is None:
        return Fact("Last drill", "never", WARNED if late else None)
    told = f"{ago(now, last.stored_at)}: {'passed' if last.passed else 'failed'}, {last.scenario.replace('_', ' and ')}"
    if last.rto is not None:
        told += f", {about(last.rto)} to recover"
    if last.lost_transactions is not None:
        told += f", {last.lost_transactions} commits lost"
    return Fact("Last drill", told, BAD if not last.passed else WARNED if late else GOOD)


def _usage(reading: Reading) -> List[Fact]:
    if reading.usage is None:
        return []
    status, words, _hint = reading.usage.judgement
    state = {"critical": BAD, "warning": WARNED}.get(status, GOOD) if reading.usage.limit else None
    return [Fact("Holds", words, state)]


def ago(now: datetime, at: Optional[datetime]) -> str:
    """``3 h ago``, or ``never``."""
    return "never" if at is None else f"{about(max(0.0, (now - at).total_seconds()))} ago"
