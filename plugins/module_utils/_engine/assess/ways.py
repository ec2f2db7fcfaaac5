# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way back: each a function of the facts. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from ..base.units import size
from ..records.model import format_time
from . import commands
from .facts import (
    CORRUPTION,
    DELETION,
    INDEX,
    PRIMARY,
    RANSOMWARE,
    SILENT,
    STANDBY,
    SYSTEM,
    TABLE,
    Asked,
    Backup,
    Damage,
    Facts,
    Place,
)
from .sources import (
    ALLOWANCE,
    backup_for,
    by_drill,
    choose,
    choose_among,
    first_answering,
    has_backup,
    identity,
    lasts,
    lost_of,
    lost_since,
    readable_at_once,
)
from .way import MET, UNKNOWN, UNMET, Condition, Lasts, Loss, Way

# Seconds of a promotion, and for a segment to be replayed, while nothing was measured.
_PROMOTION, _SEGMENT_SECONDS, _SEGMENT = 60.0, 0.2, 16 * 1024 * 1024


def _fenced(facts: Facts, asked: Asked) -> Condition:
    """Whether the old server is off for good. What answers here is not."""
    if asked.fenced:
        return Condition("fenced", MET, "You said that the old server is off for good.")
    if facts.server.state == PRIMARY:
        return Condition("fenced", UNMET, "The primary answers: shut it down for good first.")
    return Condition("fenced", UNKNOWN, "Make sure that the old server is off for good: power, network or keys.")


def _here(facts: Facts) -> Condition:
    """Whether the host of the cluster can be worked on."""
    if facts.server.state == STANDBY:
        # Restored in place it would be a second primary.
        return Condition("host", UNMET, "The server here is a standby: assess on the host of the primary.")
    if facts.server.state != SILENT or facts.server.data_dir:
        return Condition("host", MET, "The data directory is on this host.")
    return Condition("host", UNKNOWN, "Not looked at from here: the host must answer, and have its data directory.")


def _answers(facts: Facts) -> Condition:
    if facts.server.state == PRIMARY:
        return Condition("server", MET, "The server answers.")
    if facts.server.state == STANDBY:
        return Condition("server", UNMET, "The server here is a standby: ask on the host of the primary.")
    if not facts.server.asked:
        return Condition("server", UNKNOWN, "Not looked at from here: the server must answer.")
    return Condition("server", UNMET, f"The server does not answer: {facts.server.error or 'it was not asked'}")


def _moment(asked: Asked) -> Tuple[Condition, ...]:
    """Whether the moment before the damage is named; damaged blocks are sound again at the latest one."""
    if asked.disaster == CORRUPTION:
        return ()
    if asked.target is not None:
        return (Condition("moment", MET, f"To {format_time(asked.target)}."),)
    return (Condition("moment", UNMET, "No moment is named: find it first, and assess again with --target-time."),)


def _undoes(asked: Asked) -> Tuple[Condition, ...]:
    """A restore in place undoes a deletion only at a moment before it."""
    return _moment(asked) if asked.disaster == DELETION else ()


def _damaged_tables(facts: Facts, asked: Asked) -> Asked:
    """What was asked, with the damaged tables where nobody named any; of one database, since a command is of one."""
    tables = facts.damages.of(TABLE) if facts.damages and asked.disaster == CORRUPTION and not asked.tables else ()
    if not tables:
        return asked
    database = tables[0].database
    # A table is there twice where its TOAST table is damaged too.
    names = dict.fromkeys(d.relation for d in tables if d.database == database)
    return replace(asked, database=database, tables=tuple(names))


def _table(facts: Facts, asked: Asked) -> Condition:
    """Whether it is known which tables are wrong, and they alone are."""
    if asked.disaster == CORRUPTION and facts.damages is not None:
        if facts.damages.of(SYSTEM):
            return Condition("table", UNMET, f"More than tables is damaged: {facts.damages.of(SYSTEM)[0].relation}.")
        tables = facts.damages.of(TABLE)
        if not tables and not asked.tables:
            return Condition("table", UNMET, "No table is damaged.")
        if len({d.database for d in tables}) > 1:
            return Condition("table", UNKNOWN, "Tables of several databases are damaged: repeat it for each.")
    if asked.tables and asked.database:
        return Condition("table", MET, f"It is {', '.join(asked.tables)} of {asked.database}.")
    # A table that is not known must not be taken for the smallest mend.
    state = UNMET if asked.disaster == CORRUPTION else UNKNOWN
    return Condition("table", state, "Name it: --database, --table.")


def _from_backup(asked: Asked, place: Optional[Place], backup: Optional[Backup]) -> Asked:
    """What was asked, with the backup to be named in commands, where a restore would take another one."""
    if asked.disaster != CORRUPTION or asked.target or place is None or backup is None or backup == place.backups[-1]:
        return asked
    return replace(asked, label=backup.label)


def reindex(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Build the damaged indexes again, which needs no backup."""
    indexes = facts.damages.of(INDEX) if facts.damages else ()
    if facts.damages is None:
        found = Condition("damage", UNMET, "Nobody looked which relations are damaged: assess again with --amcheck.")
    elif not indexes:
        found = Condition("damage", UNMET, "No index is damaged.")
    elif len(indexes) < len(facts.damages.found):
        others = [d.relation for d in facts.damages.found if d.kind != INDEX]
        found = Condition("damage", UNMET, f"Not only indexes are damaged: {others[0]}.")
    else:
        words = f"Only indexes are damaged: {', '.join(d.relation for d in indexes)}."
        unread = ", ".join(facts.damages.unread)
        found = Condition("damage", MET, words)
        if unread:
            found = Condition("damage", UNKNOWN, f"{words} Not checked, for want of amcheck: {unread}.")
    command = commands.reindex(indexes or (Damage(commands.DATABASE, "SCHEMA.INDEX", INDEX),), facts.server)
    return Way(
        "reindex", "Build the damaged indexes again", Loss(0.0, "an index is made of its table", 0),
        Lasts(None, "as long as an index takes to build, while its table is not written"), (found, _answers(facts)),
        command,
    )  # fmt: skip


def _room(facts: Facts, backup: Optional[Backup]) -> Tuple[Condition, ...]:
    """Whether the restored cluster fits beside what is there."""
    if backup is None:
        return ()
    free = facts.server.free
    if free is None:
        return (Condition("room", UNKNOWN, f"{size(backup.size)} must be free beside the data directory."),)
    words = f"{size(backup.size)} are needed beside the data directory, and {size(free)} are free."
    return (Condition("room", MET if free >= backup.size else UNMET, words),)


def _lost(facts: Facts) -> List[str]:
    """The required repositories that do not answer; a command has to give them up, or nothing could be archived."""
    return [p.name for p in facts.places if p.error and p.required] if facts.answering else []


def _given_up(lost: Sequence[str]) -> Tuple[Condition, ...]:
    """That they are gone must be found out: what only this host does not reach must not be given up."""
    if not lost:
        return ()
    words = f"{', '.join(lost)}: not readable from here, and the command gives it up: leave that out if it is not gone."
    return (Condition("lost", UNKNOWN, words),)


def failover(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Promote the standby."""
    known = facts.standby
    place = first_answering(facts.places)
    drilled = by_drill(facts.answering, ("region", "failover"))
    if known is None:
        if not asked.standby and facts.server.state != STANDBY:
            return None
        why = f"could not be asked: {asked.standby_error.rstrip('.')}" if asked.standby_error else "was not asked"
        verdict = Condition("standby", UNKNOWN, f"It {why}. Run lifeboat standby loss on its host.")
        loses = Loss(None, "what the standby does not have")
        estimate = Lasts(_PROMOTION, "a guess: no failover was rehearsed")
    else:
        state = {"ok": MET, "needs_acceptance": UNKNOWN}.get(known.verdict, UNMET)
        why = "; ".join(known.reasons) or "It lacks nothing that is known of the primary."
        verdict = Condition("standby", state, why)
        words = "what the primary committed since it was last heard of"
        rate = place.rate if place else None
        counted = None if rate is None or known.uncovered is None else round(rate * known.uncovered)
        loses = Loss(known.uncovered, words, counted)
        seconds = _PROMOTION + known.to_replay / _SEGMENT * _SEGMENT_SECONDS
        estimate = Lasts(seconds, f"a guess: {size(known.to_replay)} to replay; no failover was rehearsed")
    lost = _lost(facts)
    conditions: Tuple[Condition, ...] = (verdict, _fenced(facts, asked), *_given_up(lost))
    if asked.target is not None:
        conditions += (Condition("moment", UNMET, "A standby has the latest moment only."),)
    return Way(
        "failover", "Fail over to the standby", loses, drilled or estimate, conditions,
        commands.failover(asked, ",".join(lost)), "dr_failover",
    )  # fmt: skip


def in_place(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Restore in place; the present data is kept under another name."""
    place, backup = choose(facts, asked)
    title = "Restore in place to " + (format_time(asked.target) if asked.target else "the latest moment")
    conditions = (
        has_backup(place, backup, asked), *identity(facts, backup), *readable_at_once(place), *_undoes(asked),
        _here(facts), *_room(facts, backup),
    )  # fmt: skip
    return Way(
        "in_place", title, lost_of(facts, asked, place), lasts(backup, at_most=asked.target is not None), conditions,
        commands.in_place(_from_backup(asked, place, backup), facts.cluster), "dr_restore", place.name if place else "",
    )  # fmt: skip


def in_place_delta(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Rewrite only the files that differ: needs no room but a full backup, and keeps nothing of the present data."""
    place = first_answering(facts.places)
    whole = tuple(b for b in place.backups if not b.label.endswith(("-diff", "-incr"))) if place else ()
    backup = backup_for(replace(place, backups=whole), asked) if place else None
    label = backup.label if place and backup and backup != place.backups[-1] else ""
    has = has_backup(place, backup, asked)
    if place and backup is None:
        has = replace(has, reason=f"{has.reason} This needs a full one.")
    state = UNMET if facts.server.state == PRIMARY else UNKNOWN
    stopped = Condition("stopped", state, "The server must be stopped, and what differs is overwritten.")
    conditions = (
        has, *identity(facts, backup), *readable_at_once(place), *_undoes(asked), _here(facts), stopped,
    )  # fmt: skip
    return Way(
        "in_place_delta", "Restore in place, only what differs (delta)", lost_of(facts, asked, place),
        lasts(backup, at_most=True), conditions, commands.delta(asked, config_file, label), "",
        place.name if place else "",
    )  # fmt: skip


def rebuild(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Rebuild on an empty host, from the repository whose WAL goes furthest."""
    place, backup = choose(facts, asked)
    lost = _lost(facts)
    conditions = (
        has_backup(place, backup, asked), *identity(facts, backup), *readable_at_once(place), _fenced(facts, asked),
        _empty(asked), *_given_up(lost),
    )  # fmt: skip
    return Way(
        "rebuild", "Rebuild on an empty host", lost_of(facts, asked, place), _rebuilt(facts, backup), conditions,
        commands.rebuild(_from_backup(asked, place, backup), ",".join(lost)), "dr_rebuild", place.name if place else "",
    )  # fmt: skip


def _empty(asked: Asked) -> Condition:
    which = f"{asked.new_host} must be empty" if asked.new_host else "An empty host is needed"
    return Condition("empty host", UNKNOWN, f"{which}; the playbook checks that before it touches the database.")


def _rebuilt(facts: Facts, backup: Optional[Backup]) -> Lasts:
    drilled = by_drill(facts.answering, ("server",)) if backup else None
    return drilled or lasts(backup, ALLOWANCE, what="packages, configuration and application")


def other_repository(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Rebuild from another repository than the first choice, without that one."""
    chosen, _backup = choose(facts, asked)
    rest = [p for p in facts.places if chosen is not None and p.name != chosen.name and not p.error]
    place, backup = choose_among(rest, asked)
    if place is None or backup is None:
        return None
    # A restore takes the first one that answers, so that all that answer before this one are left out.
    names = [p.name for p in facts.places]
    ahead = names[: names.index(place.name)]
    gone = [p.name for p in facts.places if (p.required if p.error else p.name in ahead)]
    conditions = (
        has_backup(place, backup, asked), *identity(facts, backup), *readable_at_once(place), _fenced(facts, asked),
        _empty(asked), *_given_up(_lost(facts)),
    )  # fmt: skip
    return Way(
        "other_repository", f"Rebuild from the other repository, {place.name}", lost_of(facts, asked, place),
        _rebuilt(facts, backup), conditions, commands.rebuild(_from_backup(asked, place, backup), ",".join(gone)),
        "dr_rebuild", place.name,
    )  # fmt: skip


def table_beside(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Single tables beside the live ones."""
    place, backup = choose(facts, asked)
    asked = _from_backup(_damaged_tables(facts, asked), place, backup)
    what = f"{', '.join(asked.tables)} of {asked.database}" if asked.tables and asked.database else "one table"
    conditions = (
        *_moment(asked), has_backup(place, backup, asked), *identity(facts, backup), *readable_at_once(place),
        _answers(facts), _table(facts, asked), *_room(facts, backup),
    )  # fmt: skip
    return Way(
        "table_beside", f"Restore {what} beside the live one", Loss(0.0, "the live table stays as it is", 0),
        lasts(backup, at_most=True), conditions, commands.tables(asked, config_file), "", place.name if place else "",
    )  # fmt: skip


def database_dump(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """One database from its newest dump before the moment."""
    dumps = [
        (dump, place) for place in facts.answering for dump in place.dumps
        if dump.database == asked.database and (asked.target is None or dump.created_at < asked.target)
    ]  # fmt: skip
    dump, place = max(dumps, key=lambda found: found[0].created_at, default=(None, None))
    if dump is None:
        others = any(p.dumps for p in facts.answering)
        if not others:
            return None
        why = f"No dump of {asked.database} is older than the moment." if asked.database else "Name it: --database."
        has = Condition("dump", UNMET, why)
    else:
        has = Condition("dump", MET, f"{dump.label} in {place.name if place else ''}, {size(dump.size)}.")
    words = f"what was committed to this database after {format_time(dump.created_at)}" if dump else "not known"
    loses = lost_since(facts, asked, dump.created_at if dump else None, None, words)
    took = Lasts(None, "no restore of a dump was measured")
    conditions: Tuple[Condition, ...] = (*_moment(asked), has, _answers(facts))
    if dump is not None and dump.sealed and not facts.identity:
        conditions += (Condition("identity", UNKNOWN, "The dump is sealed: pass lifeboat_identity from your vault."),)
    command = commands.from_dump(asked, dump.label if dump else "", facts.cluster)
    return Way("database_dump", "Restore one database from a dump", loses, took, conditions, command, "dr_dump",
               place.name if place else "")  # fmt: skip


def database_beside(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """One database from a cluster that is restored beside the live one."""
    place, backup = choose(facts, asked)
    which = asked.database or "one database"
    conditions = (
        *_moment(asked), has_backup(place, backup, asked), *identity(facts, backup), *readable_at_once(place),
        _answers(facts), *_room(facts, backup),
    )  # fmt: skip
    loses = lost_of(facts, asked, place)
    return Way(
        "database_beside", f"Restore beside the live server, and take {which} out of it with pg_dump",
        Loss(loses.seconds, f"in this database {loses.words}", loses.transactions), lasts(backup, at_most=True),
        conditions, commands.beside(asked, config_file), "", place.name if place else "",
    )  # fmt: skip


def as_of(facts: Facts, asked: Asked, config_file: str) -> Optional[Way]:
    """Rebuild on clean ground from a versioned repository as it was before the attack."""
    past = facts.past
    place = first_answering(past)
    backup = backup_for(place, asked)
    if asked.as_of is None:
        if asked.disaster != RANSOMWARE:
            return None
        moment = Condition("before the attack", UNMET, "No time is named: give one before the attack, --as-of.")
    elif not past:
        moment = Condition("before the attack", UNMET, "No repository keeps versions, so that none has a past.")
    else:
        moment = Condition("before the attack", MET, f"The repositories as they were at {format_time(asked.as_of)}.")
    has = has_backup(place, backup, asked)
    silent = [f"{p.name}: {p.error}" for p in past if p.error]
    if silent and place is None:
        has = Condition("backup", UNMET, "; ".join(silent))
    conditions = (
        moment, has, *identity(facts, backup), *readable_at_once(place),
        Condition("keys", UNKNOWN, "The writer's keys must be revoked, and new credentials made."), _empty(asked),
    )  # fmt: skip
    return Way(
        "as_of", "Rebuild on clean ground, as of a time before the attack", lost_of(facts, asked, place),
        lasts(backup, ALLOWANCE, what="packages, configuration and application"), conditions,
        commands.rebuild(asked, as_of=asked.as_of), "dr_rebuild", place.name if place else "",
    )  # fmt: skip
