# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what goes into the pack. A repository that cannot be read is named, and keeps nobody from the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Set

from ..audit.trail import read_trail, verified
from ..base.errors import LifeboatError, ObjectCorrupt
from ..config.described import shown
from ..config.load import Config, RepositoryConfig
from ..incident.document import as_dict, document, markdown
from ..incident.places import stored_in
from ..incident.timeline import Incident
from ..listing import read_contents
from ..records.model import BackupManifest, format_time
from ..repository.drills import read_drills
from ..repository.layout import MANIFEST, database_part
from ..repository.locks import locked_until
from ..repository.records import ENOUGH, Aside, iterate_records
from ..repository.repository import Repositories, Repository
from ..repository.restore_tests import look_at_tests
from ..repository.verifications import read_known
from .operations import access, backups_kept, deletions, schedule_kept

Chunks = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Part:
    """A file of the pack: its name, and its content, asked for once, which may raise as a store does."""

    name: str
    chunks: Chunks


@dataclass
class Gathered:
    """The parts, the figures for the index, what could not be read and why, and what was set apart."""

    parts: List[Part] = field(default_factory=list)
    figures: Dict[str, Any] = field(default_factory=dict)
    unread: Dict[str, str] = field(default_factory=dict)
    aside: List[Dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> None:
        """A part of bytes."""
        self.parts.append(Part(name, lambda: iter([data])))


def gather(config: Config, repositories: Repositories, since: datetime, now: datetime) -> Gathered:
    """Everything of the time since. AuditUnreadable, or a store's error, if nothing at all can be read.

    Memory: the events and small records; the files of drills are read when they are written.
    """
    found = Gathered()
    found.add("configuration.json", _json(shown(config)))
    trail = read_trail(config)
    events, checked = trail.events(since), verified(trail)
    found.unread.update({f"audit trail in {name}": exc.message for name, exc in trail.unread.items()})
    found.add("audit/events.jsonl", b"".join(_line(event.as_dict()) for event in events))
    found.add("audit/verification.json", _json(checked.as_dict()))
    found.add("access.json", _json(access(events)))
    found.add("deletions.json", _json(deletions(events)))
    found.figures["Events of the audit trail"] = len(events)
    found.figures["Faults of the audit trail"] = len(checked.faults)
    kept: Dict[str, Any] = {}
    drills: Set[str] = set()
    incidents: Dict[str, Incident] = {}
    for entry, repository in zip(config.repositories, repositories.items):
        try:
            backups = _of_repository(config, entry, repository, since, found, drills)
            for name, incident in stored_in(config, repository).items():
                known = incidents.get(name)
                # A repository that was away has fewer events.
                if known is None or len(known.events) < len(incident.events):
                    incidents[name] = incident
        except LifeboatError as exc:
            found.unread[f"repository {repository.name}"] = exc.message
            continue
        kept[repository.name] = backups_kept(backups, since, now, config.objectives.max_backup_age)
    _incidents(config, since, now, incidents, found)
    found.add("schedule.json", _json({"operations": schedule_kept(events, since, now), "backups": kept}))
    found.figures["Drills"] = len(drills)
    return found


def _of_repository(
    config: Config, entry: RepositoryConfig, repository: Repository, since: datetime, found: Gathered, drills: Set[str]
) -> Sequence[BackupManifest]:
    name, place = repository.name, f"repositories/{database_part(repository.name)}"
    contents, known, (tests, _aside) = (
        read_contents(repository, config.retention),
        read_known(repository),
        look_at_tests(repository),
    )
    backups = contents.catalog.backups
    described = [
        {
            "label": backup.label,
            "type": backup.type,
            "started_at": format_time(backup.started_at),
            "finished_at": format_time(backup.finished_at),
            "stored_bytes": backup.stored_size,
            "whole": backup.label in contents.chains.whole,
            "verified_at": format_time(known.labels[backup.label]) if backup.label in known.labels else None,
            "tested": tests[backup.label].as_dict() if backup.label in tests else None,
        }
        for backup in backups
    ]
    newest, lock = contents.chains.newest, None
    if newest is not None:
        try:
            until = locked_until(entry.store, repository.layout.manifest(newest.label))
            lock = format_time(until) if until else None
        except LifeboatError as exc:
            found.unread[f"lock of {newest.label} in {name}"] = exc.message
    windows = [window.as_dict() for window in contents.windows]
    found.add(
        f"{place}/backups.json",
        _json(
            {"backups": described, "windows": windows, "newest_is_locked_until": lock, "location": repository.location}
        ),
    )
    found.figures[f"Backups in {name}"] = len(described)
    for prefix, kind in (
        (repository.layout.verifications, "verifications"),
        (repository.layout.restore_tests, "restore_tests"),
    ):
        lines = list(_records(repository, prefix, since, found))
        found.add(f"{place}/{kind}.jsonl", b"".join(lines))
        found.figures[f"{kind.replace('_', ' ').capitalize()} in {name}"] = len(lines)
    _drills(repository, since, found, drills)
    return backups


def _records(repository: Repository, prefix: str, since: datetime, found: Gathered) -> Iterator[bytes]:
    """The records that the store got since, each as it is with its key."""
    for record in iterate_records(repository, prefix, ENOUGH):
        try:
            data = record.fields().data
        except ObjectCorrupt as exc:
            found.aside.append({"repository": repository.name, **Aside(record.key, exc).as_dict()})
            continue
        if record.info.modified >= since:
            yield _line({"key": record.key, "stored_at": format_time(record.info.modified), "record": dict(data)})


def _drills(repository: Repository, since: datetime, found: Gathered, drills: Set[str]) -> None:
    """The files of each drill, from the first repository that has it."""
    read = read_drills(repository)
    found.aside += [{"repository": repository.name, **item.as_dict()} for item in read.aside]
    for drill in read.items:
        if drill.stored_at < since or drill.label in drills:
            continue
        drills.add(drill.label)
        place = f"{repository.layout.drills}{drill.label}"
        for file in drill.files:
            chunks = _reader(repository, f"{place}/{file.name}", file.sha256, file.size)
            found.parts.append(Part(f"drills/{drill.label}/{file.name}", chunks))
        found.add(f"drills/{drill.label}/{MANIFEST}", repository.get_record(f"{place}/{MANIFEST}"))


def _incidents(
    config: Config, since: datetime, now: datetime, incidents: Mapping[str, Incident], found: Gathered
) -> None:
    """The events of each incident of that time as data, and the post-incident document."""
    chosen = {name: i for name, i in incidents.items() if i.events and i.events[-1].when >= since}
    for name, incident in sorted(chosen.items()):
        told = document(incident, config.cluster, config.objectives, now)
        found.add(f"incidents/{name}.json", _json({"incident": incident.as_dict(now), **as_dict(told)}))
        found.add(f"incidents/{name}.md", markdown(told).encode("utf-8", "backslashreplace"))
    found.figures["Incidents"] = len(chosen)


def _reader(repository: Repository, key: str, sha256: str, size: int) -> Chunks:
    return lambda: repository.store.read(key, sha256=sha256, size=size)


def _json(data: Any) -> bytes:
    return json.dumps(data, indent=2, default=str, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _line(data: Any) -> bytes:
    return json.dumps(data, default=str).encode() + b"\n"
