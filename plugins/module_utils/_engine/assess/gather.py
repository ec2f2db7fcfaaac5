# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather the facts of an assessment. Reads repositories and the server; changes nothing, and is bounded in time."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.process import end_awaited
from ..base.wal_names import Segment, parse_lsn
from ..codec.age import Seal
from ..config.load import Config, RepositoryConfig
from ..listing import describe
from ..postgres.connection import session
from ..provision.bucket_rules import harmful_rules
from ..records.fields import printable
from ..records.model import parse_time
from ..repository.drills import read_drills
from ..repository.dumps import list_dumps
from ..repository.repository import Repositories, Repository
from ..store import first_replaced
from ..wal import scan
from .bounded import ask_all
from .damage import look_for_damage
from .facts import (
    PRIMARY,
    RANSOMWARE,
    STANDBY,
    Asked,
    Backup,
    Damages,
    DrillFact,
    DumpFact,
    Facts,
    Place,
    Server,
    Span,
    StandbyFact,
)

#: Seconds for everything together.
MOST_SECONDS = 60.0
_LONGEST = 7 * 86400.0
_ATTEMPTS, _CONNECT, _READ = 2, 3.0, 10.0
# Segments that are read for the last commit, and objects that are named.
_SEGMENTS, _NAMED = 3, 3
_SERVER, _LOSS, _DAMAGE = "the server", "the standby's loss", "the look for damage"
_AWAY = "the look is from another host, which does not ask it"
_Answer = Union[Place, Server, StandbyFact, Damages, Tuple[str, datetime], None]
Loss = Optional[Callable[[], Optional[Mapping[str, Any]]]]


def gather(
    config: Config, asked: Asked, loss: Loss = None, seconds: float = MOST_SECONDS, amcheck: bool = False
) -> Facts:
    """Ask the server, the standby and every repository at once.

    ``loss`` gives what ``lifeboat standby loss`` tells, and None where there is no standby. With ``amcheck`` the live
    cluster is checked for damage, which reads all of it.

    What does not answer within ``seconds`` is named in the facts, and nobody waits for it. ConfigError for a time that
    nobody can wait.
    """
    if not 0 < seconds <= _LONGEST:
        raise ConfigError(f"The time to wait is {seconds:g} s.", f"Choose more than 0, and at most {_LONGEST:g} s.")
    begin = clock.monotonic()
    # On another host than the cluster's, a server that answers is some other one.
    here = asked.config_file in ("", config.source)
    questions: Dict[str, Callable[[], _Answer]] = {}
    if here:
        questions[_SERVER] = lambda: read_server(config)
    if here and amcheck:
        questions[_DAMAGE] = lambda: look_for_damage(config, seconds)
    if loss is not None:
        questions[_LOSS] = lambda: read_loss(loss())
    for entry in config.repositories:
        questions[entry.name] = lambda entry=entry: read_place(config, entry)  # type: ignore[misc]
        if asked.disaster == RANSOMWARE and asked.as_of is None and entry.store.traits.versions:
            # Apart, since it may take longer than everything else.
            questions[_versions(entry.name)] = lambda entry=entry: read_strange(config, entry)  # type: ignore[misc]
        if asked.as_of is not None and entry.store.traits.versions:
            past = replace(entry, as_of=asked.as_of)
            questions[_past(entry.name)] = lambda past=past: read_place(config, past)  # type: ignore[misc]
    try:
        answers, silent = ask_all(questions, seconds)
    finally:
        # What was given up may still wait for a program, such as pg_amcheck.
        end_awaited()
    places: List[Place] = []
    earlier: List[Place] = []
    for entry in config.repositories:
        for name, found in ((entry.name, places), (_past(entry.name), earlier)):
            if name in questions:
                answer = answers.get(name)
                known = answer if isinstance(answer, Place) else None
                place = known or Place(name, required=entry.required, error=silent.get(name, "no answer"))
                # After an attack nothing may be readable but the versions.
                strange = answers.get(_versions(name))
                found.append(replace(place, strange=strange if isinstance(strange, tuple) else None))
    server, standby, damages = answers.get(_SERVER), answers.get(_LOSS), answers.get(_DAMAGE)
    return Facts(
        config.cluster,
        clock.now(),
        tuple(places),
        server if isinstance(server, Server) else Server(error=silent.get(_SERVER, "" if here else _AWAY), asked=here),
        standby if isinstance(standby, StandbyFact) else None,
        tuple(earlier),
        damages if isinstance(damages, Damages) else None,
        config.objectives.rpo,
        config.objectives.rto,
        Seal(config.seal).has_identity,
        tuple(
            f"{c.name} ({', '.join(c.roles)}): {', '.join(filter(None, (c.phone, c.mail)))}"
            for c in config.incidents.in_order
        ),
        tuple(sorted(silent.items())),
        clock.monotonic() - begin,
    )


def _past(name: str) -> str:
    return f"{name} as it was"


def _versions(name: str) -> str:
    return f"{name}, its versions"


def read_server(config: Config) -> Server:
    """Whether the configured server answers, and the room beside its data directory."""
    there, free = False, None
    if config.data_dir:
        there = os.path.isfile(os.path.join(config.data_dir, "PG_VERSION")) or os.path.isdir(config.data_dir)
        with suppress(OSError):
            room = os.statvfs(config.data_dir)
            free = room.f_bavail * room.f_frsize
    try:
        hasty = replace(config.connection, connect_timeout=min(config.connection.connect_timeout, 5))
        with session(hasty) as sql:
            state = STANDBY if sql.value("SELECT pg_is_in_recovery()") else PRIMARY
        return Server(state, "", there, free, config.connection.host or "", config.connection.port)
    except LifeboatError as exc:
        return Server(error=exc.message, data_dir=there, free=free)


def read_loss(told: Optional[Mapping[str, Any]]) -> Optional[StandbyFact]:
    """From the result of the module pg_standby_loss, or of ``lifeboat standby loss``."""
    if told is None:
        return None
    behind = told.get("to_replay") or {}
    return StandbyFact(
        str(told.get("verdict", "")),
        tuple(str(reason) for reason in told.get("reasons") or ()),
        told.get("uncovered_seconds"),
        told.get("lost_bytes"),
        int(behind.get("bytes") or 0),
    )


def read_strange(config: Config, entry: RepositoryConfig) -> Optional[Tuple[str, datetime]]:
    """The first object of a versioned repository that was put over another one, and when; reads all its versions."""
    return first_replaced(entry.store.hasty(_ATTEMPTS, _CONNECT, _READ), f"{config.cluster}/")


def read_place(config: Config, entry: RepositoryConfig) -> Place:
    """One repository, with few attempts and short timeouts; LifeboatError where it cannot be read."""
    store = entry.store.hasty(_ATTEMPTS, _CONNECT, _READ)
    own = replace(config, repositories=(replace(entry, store=store, required=True),))
    told = describe(own)
    place = Place(
        entry.name,
        str(told["repository"]),
        entry.required,
        entry.store.traits.versions,
        entry.as_of,
        spans=tuple(_span(window) for window in told["windows"]),
        backups=tuple(_backup(item) for item in told["backups"] if item["restorable"]),
        findings=tuple(_findings(told)),
        frozen=tuple(printable(words) for words in _frozen(entry, config.cluster)),
    )
    with Repositories.open(own) as repositories:
        repository = repositories.items[0]
        commits = _last_commits(own, repository, told)
        drills: Dict[str, DrillFact] = {}
        for drill in read_drills(repository).items:
            # Of this cluster only: another one's size says nothing here.
            if drill.passed and drill.rto is not None and drill.rehearsed == config.cluster:
                drills[drill.scenario] = DrillFact(drill.scenario, drill.label, drill.rto)
        dumps = [
            DumpFact(d.label, d.database, d.created_at, d.data_size, bool(d.recipients)) for d in list_dumps(repository)
        ]
    return replace(
        place,
        last_commit=commits.last if commits else None,
        rate=commits.rate if commits else None,
        pieces_at=_pieces_at(told["windows"]),
        dumps=tuple(dumps),
        drills=tuple(drills.values()),
    )


def _span(window: Mapping[str, Any]) -> Span:
    return Span(window["timeline"], window["label"], parse_time(window["start"]), parse_time(window["end"]))


def _backup(item: Mapping[str, Any]) -> Backup:
    tested = item["tested"]
    return Backup(
        item["label"],
        parse_time(item["finished_at"]),
        item["estimated_seconds"],
        item["estimate_basis"],
        item["final_size"],
        item["timeline"],
        parse_time(item["verified_at"]) if item["verified_at"] else None,
        tested["proven"] if tested else None,
        bool(item["recipients"]),
    )


def _pieces_at(windows: List[Mapping[str, Any]]) -> Optional[datetime]:
    stored = windows[-1]["pieces_end"] if windows else None
    return parse_time(stored) if stored else None


def _last_commits(config: Config, repository: Repository, told: Mapping[str, Any]) -> Optional[scan.Pace]:
    """The last commit of the newest window: at most three segments are read; None without PostgreSQL's programs."""
    if not told["windows"]:
        return None
    window = told["windows"][-1]
    sizes = {b["label"]: b["segment_size"] for b in told["backups"]}
    last = Segment.ending_at(window["timeline"], parse_lsn(window["end_lsn"]), sizes[window["label"]])
    numbers = range(max(0, last.number - _SEGMENTS + 1), last.number + 1)
    segments = [Segment(last.timeline, number, last.size) for number in numbers]
    with suppress(LifeboatError, OSError):
        return scan.last_commits(repository, config.bin_dir, window["system_identifier"], segments)
    return None


def _frozen(entry: RepositoryConfig, cluster: str) -> List[str]:
    """Rules of the bucket that move objects to where they cannot be read at once."""
    with suppress(LifeboatError):
        return [words for words in harmful_rules(entry.store, f"{cluster}/") if "cannot be read immediately" in words]
    return []


def _findings(told: Mapping[str, Any]) -> List[str]:
    """What is wrong with the contents, a few of each kind."""
    gaps = [
        f"behind {gap['label']}, {gap['missing_count']} segments are missing, the first is {gap['missing'][0]}"
        for gap in told["gaps"]
    ]
    damaged = [f"{bad['label']}: {bad['message']}" for bad in told["damaged"]]
    foreign = [bad["message"] for bad in told["foreign"]]
    apart = [f"{told['set_apart_count']} objects are set apart and do not count"] if told["set_apart_count"] else []
    found = [*gaps[:_NAMED], *damaged[:_NAMED], *foreign[:_NAMED], *apart]
    return [printable(words) for words in found]
