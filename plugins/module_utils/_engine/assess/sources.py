# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository and backup a way back uses, what it loses, and how long it lasts. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Optional, Sequence, Tuple

from ..base.units import size
from ..records.model import format_time
from .facts import CORRUPTION, Asked, Backup, Facts, Place
from .target import reaches
from .way import MET, UNKNOWN, UNMET, Condition, Lasts, Loss

#: Seconds that everything but the database takes: the same allowance as that of the role incident.
ALLOWANCE = 180.0
Choice = Tuple[Optional[Place], Optional[Backup]]


def first_answering(places: Sequence[Place]) -> Optional[Place]:
    """The repository that a restore is planned from: the first configured one that answers."""
    return next((place for place in places if not place.error), None)


def backup_for(place: Optional[Place], asked: Asked) -> Optional[Backup]:
    """The backup that a restore takes from this repository; None where it reaches nothing of what was asked for."""
    if place is None or place.end is None:
        return None
    usable = [b for b in place.backups if asked.label in ("", b.label)]
    if asked.target is not None:
        span = reaches(place, asked.target)
        usable = [b for b in usable if span and b.finished_at < asked.target and b.timeline <= span.timeline]
    # Against damage the newest one that a restore test proved, if there is one. A time takes the newest one before it.
    free = asked.disaster == CORRUPTION and not asked.label and asked.target is None
    proven = [b for b in usable if b.proven] if free else []
    chosen = proven or usable
    return chosen[-1] if chosen else None


def choose(facts: Facts, asked: Asked) -> Choice:
    """The source of a restore to what was asked for."""
    place = first_answering(facts.places)
    return place, backup_for(place, asked)


def choose_among(places: Sequence[Place], asked: Asked) -> Choice:
    """Of these repositories the one that reaches what was asked for, and whose WAL goes furthest."""
    usable = [(p, b) for p in places if not p.error for b in [backup_for(p, asked)] if b is not None]
    if not usable:
        return None, None
    return max(usable, key=lambda found: found[0].end or found[1].finished_at)


def has_backup(place: Optional[Place], backup: Optional[Backup], asked: Asked) -> Condition:
    """Whether there is anything to restore from, and what is known of it."""
    if place is None:
        return Condition("backup", UNMET, "No repository answers.")
    if backup is None:
        what = f" that reaches {format_time(asked.target)}" if asked.target else ""
        return Condition("backup", UNMET, f"Repository {place.name} has no backup{what}.")
    if backup.proven is False:
        return Condition("backup", UNKNOWN, f"{backup.label} did not pass its last restore test.")
    if asked.disaster == CORRUPTION and not backup.proven:
        why = f"Whether the blocks of {backup.label} are sound is not known: lifeboat verify --restore {backup.label}."
        return Condition("backup", UNKNOWN, why)
    known = (
        "a restore test proved it" if backup.proven
        else f"read back on {format_time(backup.verified_at)}" if backup.verified_at
        else "the restore itself checks every file"
    )  # fmt: skip
    return Condition("backup", MET, f"{backup.label} in {place.name}; {known}.")


def identity(facts: Facts, backup: Optional[Backup]) -> Tuple[Condition, ...]:
    """Whether what is sealed can be opened; nothing where it is clear."""
    if backup is None or not backup.sealed:
        return ()
    if facts.identity:
        return (Condition("identity", MET, "An identity is configured here."),)
    return (Condition("identity", UNKNOWN, "The backup is sealed: pass lifeboat_identity from your vault."),)


def readable_at_once(place: Optional[Place]) -> Tuple[Condition, ...]:
    """Whether objects may have to be thawed first; nothing where no rule freezes them."""
    if place is None or not place.frozen:
        return ()
    return (
        Condition("thawed", UNKNOWN, f"{place.frozen[0]} Thaw what is needed first: it takes hours, and costs."),
    )  # fmt: skip


def lost_since(facts: Facts, asked: Asked, until: Optional[datetime], place: Optional[Place], words: str) -> Loss:
    """Everything committed after ``until``, up to the disaster if its time is known, else up to now."""
    if until is None:
        return Loss(None, words)
    seconds = max(0.0, ((asked.disaster_at or facts.now) - until).total_seconds())
    rate = place.rate if place else None
    return Loss(seconds, words, None if rate is None else round(rate * seconds))


def lost_of(facts: Facts, asked: Asked, place: Optional[Place]) -> Loss:
    """What a restore to the target, or to the latest moment, loses."""
    if asked.target is not None:
        return lost_since(facts, asked, asked.target, place, f"everything committed after {format_time(asked.target)}")
    end = place.end if place else None
    if end is None or place is None:
        return Loss(None, "everything")
    exact = "the last archived commit" if place.last_commit else "the last archived WAL"
    return lost_since(facts, asked, end, place, f"what was committed after {exact}, of {format_time(end)}")


def lasts(backup: Optional[Backup], extra: float = 0.0, at_most: bool = False, what: str = "") -> Lasts:
    """The forecast for the database from the newest restore, restore test or backup, and ``extra`` for ``what``."""
    if backup is None:
        return Lasts(None, "nothing to restore from")
    words = f"{'at most; ' if at_most else ''}{size(backup.size)} at {backup.basis}"
    return Lasts(backup.seconds + extra, f"{words}; {extra:g} s for {what}" if extra else words)


def by_drill(places: Sequence[Place], scenarios: Sequence[str]) -> Optional[Lasts]:
    """What the newest drill of these scenarios measured, on this cluster."""
    known = [drill for place in places for drill in place.drills if drill.scenario in scenarios]
    newest = max(known, key=lambda drill: drill.label, default=None)
    return None if newest is None else Lasts(newest.rto, f"as in the drill {newest.label}")
