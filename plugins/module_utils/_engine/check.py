# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check``: can we archive, is the window what was promised, is there a gap."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, Iterator, List, Mapping, Optional

from . import clock
from .codec.age import Seal
from .config import Config, ObjectivesConfig
from .encryption import Encryption, at_rest, in_transit
from .errors import LifeboatError
from .immutability import read_lock
from .info import Contents, read_contents
from .model import format_time
from .postgres.connection import Session, session
from .postgres.facts import archiver_state, longest_wait, read_facts, require_backup_ready
from .postgres.receivewal import flushed, read_slot, slot_name
from .repository.bucket_rules import harmful_rules
from .repository.repository import Repositories, Repository
from .repository.verifications import Known, read_known
from .restore.target import estimate_seconds
from .restore_test.records import Tested, last_tested
from .wal.backlog import read_backlog
from .wal.inventory import find_file
from .wal.spool import agent_lives

OK, WARNING, CRITICAL = "ok", "warning", "critical"


@dataclass(frozen=True)
class Check:
    """One question and its answer. ``status``: ``ok``, ``warning`` or ``critical``."""

    name: str
    status: str
    message: str
    hint: str = ""


def check(config: Config) -> List[Check]:
    """Ask everything; a question that cannot be asked is a critical answer, never an exception."""
    out: List[Check] = []
    archived_name: Optional[str] = None
    system: Optional[str] = None
    command = ""
    wait: Optional[float] = None
    try:
        with session(config.connection) as sql:
            facts = read_facts(sql)
            system, command = facts.system_identifier, facts.archive_command
            require_backup_ready(facts)
            out.append(
                Check(
                    "server",
                    OK,
                    f"PostgreSQL {facts.version}, {'standby' if facts.in_recovery else 'primary'},"
                    f" archive_mode {facts.archive_mode}",
                )
            )
            state = archiver_state(sql)
            archived_name = state.last_archived or None
            wait = longest_wait(sql, state, facts.segment_size)
            if config.wal.stream and not facts.in_recovery:
                out.append(_stream(sql, config.cluster))
            if state.failing:
                out.append(
                    Check(
                        "archiving",
                        CRITICAL,
                        f"archive_command fails on {state.last_failed} ({state.failed_count} failures).",
                        "The server's log has its words.",
                    )
                )
            elif archived_name:
                out.append(
                    Check("archiving", OK, f"{archived_name} was archived at {format_time(state.last_archived_at)}")
                )
            else:
                out.append(
                    Check(
                        "archiving", WARNING, "Nothing was archived yet.", "SELECT pg_switch_wal(), then check again."
                    )
                )
    except LifeboatError as exc:
        out.append(_failed("server", exc))
    out += _wal_here(config, command)
    repositories = Repositories.open(config)
    out += _seal(repositories.seal)
    try:
        for entry, repository in zip(config.repositories, repositories.items):
            severity = CRITICAL if repository.required else WARNING
            out.append(_encrypted(f"repository {repository.name}: in transit", in_transit(entry)))
            try:
                if system:
                    repository.owns(system)
                there = bool(archived_name and system and find_file(repository, system, archived_name))
                contents = read_contents(repository, config.retention)
                out += _repository(config, contents, severity, wait if there else None)
                found = at_rest(entry, config.cluster, repositories.seal.seals, contents.chains.newest)
                out.append(_encrypted(f"repository {repository.name}: at rest", found))
                words, hint = read_lock(entry, config.cluster, contents.chains.newest)
                out.append(Check(f"repository {repository.name}: lock", WARNING if hint else OK, words, hint))
                out += _lifecycle(config, repository)
                name = f"repository {repository.name}"
                tests, known = last_tested(repository), read_known(repository)
                out += verified(name, known, tests, config.objectives, clock.now())
                if archived_name and system and repository.required:
                    out.append(_has_segment(there, repository.name, archived_name))
            except LifeboatError as exc:
                out.append(_failed(f"repository {repository.name}", exc, severity))
    finally:
        repositories.close()
    return out


def _wal_here(config: Config, command: str) -> Iterator[Check]:
    """What this host alone can tell: how much waits to be archived, and whether the agent lives."""
    if not config.data_dir or not os.path.isdir(config.data_dir):
        return
    try:
        backlog = read_backlog(config.data_dir)
        text = f"{backlog.count} files ({backlog.size / 1e6:.1f} MB) wait to be archived"
        yield Check("WAL backlog", OK, f"{text}, the first is {backlog.first}" if backlog.count else text)
    except LifeboatError as exc:
        yield _failed("WAL backlog", exc, WARNING)
    if config.spool_dir and "lifeboat-wal-push" in command:
        if agent_lives(config.spool_dir):
            yield Check("WAL agent", OK, f"lives, in {config.spool_dir}")
        else:
            yield Check(
                "WAL agent",
                WARNING,
                f"No agent lives in {config.spool_dir}: archive_command pushes by itself, which is slower.",
                "systemctl start lifeboat-wal-agent@CLUSTER, or lifeboat wal-agent as the owner of the data directory.",
            )


def _stream(sql: Session, cluster: str) -> Check:
    """Whether the WAL stream follows the server, and how far behind it is."""
    name, server = slot_name(cluster), flushed(sql)
    slot = read_slot(sql, name)
    start = "systemctl start lifeboat-wal-stream@CLUSTER, or lifeboat wal-stream as the owner of the data directory."
    if slot is None or slot.position is None:
        what = "There is no replication slot" if slot is None else "The server removed the WAL of the replication slot"
        return Check("WAL stream", WARNING, f"{what} {name}: no stream follows this server.", start)
    if slot.active_pid is None:
        kept = f"{(server - slot.position) / 1e6:.1f} MB"
        return Check("WAL stream", WARNING, f"The stream is away; its slot {name} keeps {kept} of WAL.", start)
    behind = max(0, server - (slot.received or slot.position))
    return Check("WAL stream", OK, f"follows the server, {behind / 1e3:.0f} kB behind")


def verified(
    name: str, known: Known, tests: Mapping[str, Tested], promised: ObjectivesConfig, now: datetime
) -> Iterator[Check]:
    """Whether the newest verification is young enough, and what the last restore test said. Pure."""
    limit = promised.max_verify_age
    if limit is not None:
        late = known.newest is None or now - known.newest > timedelta(days=limit)
        age = "It was never verified" if known.newest is None else f"It was verified {_span(now - known.newest)} ago"
        more, hint = f", which shall be at least every {limit:g} days.", "lifeboat verify; look at the schedule's log."
        status = WARNING if late else OK
        yield Check(f"{name}: verification", status, age + (more if late else ""), hint if late else "")
    label, last = max(tests.items(), key=lambda test: test[1].at, default=("", None))
    if last and not last.proven:
        text = f"The last restore test, of {label} at {format_time(last.at)[:19]}Z, failed."
        yield Check(f"{name}: restore test", WARNING, text, "Its report names why: lifeboat verify --restore.")


def _seal(seal: Seal) -> Iterator[Check]:
    """Whether this host can seal, and whether it could open what it sealed."""
    if not seal.seals:
        return
    try:
        seal.require()
        text = f"sealed to {len(seal.recipients)} recipients; this host"
        if not seal.has_identity:
            yield Check("seal", OK, f"{text} has no identity, so it cannot restore")
        elif seal.open_bytes(seal.close(b"proof"), "a trial object") == b"proof":
            yield Check("seal", OK, f"{text} has an identity that opens it")
    except LifeboatError as exc:
        yield _failed("seal", exc)


def _encrypted(name: str, found: Encryption) -> Check:
    return Check(name, WARNING if found.wrong else OK, found.words, found.wrong or "")


def _lifecycle(config: Config, repository: Repository) -> Iterator[Check]:
    """Whether a lifecycle rule would undo what retention keeps; nothing where rules cannot be read."""
    store = {r.name: r.store for r in config.repositories}[repository.name]
    for harm in harmful_rules(store, f"{repository.layout.cluster}/"):
        yield Check(
            f"repository {repository.name}: lifecycle",
            WARNING,
            f"{harm} Backups need each other and their WAL, whatever their age.",
            "Take the repository's prefix out of the rule; lifeboat prune removes what is not kept.",
        )


def _failed(name: str, exc: LifeboatError, status: str = CRITICAL) -> Check:
    return Check(name, status, exc.message, exc.hint)


def _has_segment(there: bool, repository: str, name: str) -> Check:
    if there:
        return Check(f"repository {repository}: WAL", OK, f"holds {name}, the last one the server archived")
    return Check(
        f"repository {repository}: WAL",
        CRITICAL,
        f"The server says {name} is archived, but the repository does not have it.",
        "Is archive_command Lifeboat's, with this configuration? Make a new full backup when it is.",
    )


def _repository(config: Config, contents: Contents, severity: str, wait: Optional[float]) -> Iterator[Check]:
    """The checks of one repository's contents. ``wait``: see :func:`longest_wait`."""
    name, now, promised = f"repository {contents.repository.name}", clock.now(), config.objectives
    newest = contents.chains.newest
    for label, broken in sorted(contents.chains.broken.items()):
        hint = "It cannot be restored. Make a full backup now, if no newer one is there."
        yield Check(f"{name}: backup {label}", severity, f"Its chain is broken: {broken}.", hint)
    if newest is None:
        what = "whole" if contents.chains.broken else "finished"
        yield Check(f"{name}: backups", severity, f"It holds no {what} backup.", "Make one: lifeboat backup.")
        return
    age = now - newest.finished_at
    limit = promised.max_backup_age
    late = limit is not None and age.total_seconds() > limit
    yield Check(
        f"{name}: backups",
        severity if late else OK,
        f"{len(contents.catalog.backups)} backups, the newest {newest.label} is {_span(age)} old"
        + (f", more than {_span(timedelta(seconds=limit or 0))}" if late else ""),
        "Look at the schedule's log." if late else "",
    )
    for damaged in contents.catalog.damaged:
        yield Check(f"{name}: backup {damaged.label}", severity, damaged.error.message, damaged.error.hint)
    for label, run in sorted(contents.runs.items()):
        if run.missing:
            more = f" and {run.missing_count - 1} more" if run.missing_count > 1 else ""
            # A gap that a newer backup has left behind narrows the window; the way to now is whole.
            mended = not contents.runs[newest.label].missing
            yield Check(
                f"{name}: gap",
                WARNING if mended else severity,
                f"Behind backup {label}, WAL segment {run.missing[0]}{more} is missing.",
                f"Restores from {newest.label} on are whole; earlier ones end at the gap."
                if mended
                else "Make a full backup now: a restore cannot cross the gap.",
            )
    yield _window(config, contents, name, severity, wait)
    if promised.rto is not None:
        seconds, basis = estimate_seconds(
            contents.chains.whole[newest.label], len(contents.runs[newest.label].segments)
        )
        text = f"to the latest moment about {_span(timedelta(seconds=seconds))} ({basis})"
        if seconds > promised.rto:
            hint = "Make backups more often, so that less WAL is replayed; then measure by a drill."
            yield Check(f"{name}: restore", severity, f"{text}, more than the RTO of {promised.rto:g} s", hint)
        else:
            yield Check(f"{name}: restore", OK, text)


def _window(config: Config, contents: Contents, name: str, severity: str, wait: Optional[float]) -> Check:
    promised, now = config.objectives, clock.now()
    if not contents.windows:
        return Check(
            f"{name}: window",
            severity,
            "No point-in-time restore is possible.",
            "Make a full backup, and see that WAL is archived.",
        )
    last = max(contents.windows, key=lambda w: w.end)
    text = (
        f"{format_time(last.start)} to {format_time(last.end)}"
        f" ({_span(last.end - last.start)}) on timeline {last.timeline}"
    )
    exposed = min((now - last.end).total_seconds(), float("inf") if wait is None else wait)
    most, which, hint = promised.rpo, "the RPO", "Is archive_timeout on, and below the RPO? Is archiving failing?"
    if not contents.repository.required:
        most = next(r.max_lag for r in config.repositories if r.name == contents.repository.name)
        which, hint = "its max_lag", "lifeboat sync brings it up to date: does its job run, and what does the log say?"
    if most is not None and exposed > most:
        return Check(
            f"{name}: window",
            severity,
            f"{text}: a commit can be {_span(timedelta(seconds=exposed))} old and not be here,"
            f" more than {which} of {most:g} s.",
            hint,
        )
    first = min(w.start for w in contents.windows)
    if promised.window is not None and now - first < timedelta(days=promised.window):
        return Check(
            f"{name}: window",
            WARNING,
            f"{text}: shorter than the promised {promised.window:g} days.",
            "It grows with time; check retention if it does not.",
        )
    return Check(f"{name}: window", OK, text)


def _span(delta: timedelta) -> str:
    seconds = int(delta.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def as_dict(checks: List[Check]) -> Dict[str, Any]:
    """As plain data, with the worst status on top."""
    order = (OK, WARNING, CRITICAL)
    return {
        "status": max((c.status for c in checks), key=order.index, default=OK),
        "checks": [asdict(c) for c in checks],
    }
