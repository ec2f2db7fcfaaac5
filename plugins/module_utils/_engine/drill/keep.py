# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store the evidence of a drill in the repositories of a cluster: the files, then the signed record that lists them.

The files: ``report.json`` and ``report.html`` of the drill, ``evidence.tar.gz`` if there is one, ``checklist.json``,
and ``SHA256SUMS`` of them. They are not sealed, so that an auditor needs no identity: a report names tables and
settings, but contains no rows.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError, LifeboatError, ObjectExists, ObjectMissing
from ..base.files import open_to_read, replace_file
from ..config.load import Config
from ..records.model import FORMAT, ArchiveFile, format_time, parse_time
from ..repository.drills import CHECKLIST, EVIDENCE, PAGE, REPORT, SCENARIO, SUMS, Drill, find_drill
from ..repository.free import free_second
from ..repository.hasty import require_begun
from ..repository.labels import stamp
from ..repository.layout import MANIFEST
from ..repository.leases import writing
from ..repository.presence import put_records
from ..repository.repository import Repositories, Repository
from .checklist import Answer, fill

_CHUNK = 1024 * 1024
#: Bytes, more than a report with a million lost commits has.
_MOST_REPORT = 256 * 1024 * 1024


def keep(
    config: Config, directory: str, scenario: str, answers: Mapping[str, Answer], begin: bool = False
) -> Tuple[Drill, Tuple[str, ...]]:
    """Store the report in ``directory``; returns the drill, and the optional repositories that did not accept it.

    Raises the errors of required repositories, ForeignRepository for one without this cluster (a wrong name, or an
    unmounted mount point) unless ``begin``, and ConfigError for an invalid report.
    Memory: the report, plus that of the stores.
    """
    if not SCENARIO.match(scenario):
        raise ConfigError(
            f"The scenario is {scenario!r}.",
            "Use at most 32 lower-case letters, digits and '_', beginning with a letter.",
        )
    report, raw = _read_report(os.path.join(directory, REPORT))
    with Repositories.open(config) as repositories:
        repositories.require_signing("drill", *(["repository"] if begin else []))
        for repository in repositories.required:
            if begin:
                _begin(repository)
            require_begun(repository)
        with audited(config, "drill") as note:
            note.details.update(scenario=scenario, result=report["result"])
            at = free_second(repositories.required, clock.now, lambda layout: layout.drills).replace(microsecond=0)
            drill, lacking = _keep(
                repositories, directory, (report, raw), fill(report, scenario, answers), scenario, at
            )
            note.objects.append(drill.label)
            note.details["repositories"] = [r.name for r in repositories.items if r.name not in lacking]
            return drill, lacking


def _keep(
    repositories: Repositories,
    directory: str,
    report: Tuple[Mapping[str, Any], bytes],
    checklist: Mapping[str, Any],
    scenario: str,
    at: datetime,
) -> Tuple[Drill, Tuple[str, ...]]:
    label, lacking = f"{stamp(at)}-{scenario}", []
    small = {REPORT: report[1], CHECKLIST: json.dumps(checklist, indent=2, ensure_ascii=False).encode() + b"\n"}
    drill: Optional[Drill] = None
    for repository in (*repositories.required, *(r for r in repositories.items if not r.required)):
        place = f"{repository.layout.drills}{label}"
        try:
            require_begun(repository)
            with writing([repository], [f"{place}/{MANIFEST}"]):
                files = [_put(repository, f"{place}/{name}", iter([data])) for name, data in small.items()]
                for name in (PAGE, EVIDENCE):
                    path = os.path.join(directory, name)
                    if name == PAGE or os.path.lexists(path):
                        files.append(_put(repository, f"{place}/{name}", _chunks(path)))
                sums = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda f: f.name))
                files.append(_put(repository, f"{place}/{SUMS}", iter([sums.encode()])))
                drill = describe(report[0], repository.layout.cluster, label, scenario, at, files)
                put_records([repository], f"{place}/{MANIFEST}", drill.as_dict(), files)
        except LifeboatError:
            if repository.required:
                raise
            lacking.append(repository.name)
    if drill is None:
        raise ConfigError("No repository accepted the drill.", "See the errors in lifeboat check.")
    return drill, tuple(lacking)


def _begin(repository: Repository) -> None:
    """Mark it as a repository of this cluster, even if it will only have drills."""
    stamp_of_it = {"format": FORMAT, "cluster": repository.layout.cluster, "created_at": format_time(clock.now())}
    with suppress(ObjectExists):
        repository.put_record(repository.layout.repository, stamp_of_it)


def describe(
    report: Mapping[str, Any], cluster: str, label: str, scenario: str, at: datetime, files: Sequence[ArchiveFile]
) -> Drill:
    """The record of a drill, from its report. Pure."""
    rto, rpo, failure = report.get("rto") or {}, report.get("rpo") or {}, report.get("failure") or {}
    finished = parse_time(report["finished_at"])
    words = ": ".join(str(failure[name]) for name in ("step", "message") if failure.get(name))
    return Drill(
        label=label,
        scenario=scenario,
        cluster=cluster,
        rehearsed=str(report["cluster"])[:255],
        host=str(report.get("host") or "")[:255],
        passed=report["result"] == "passed",
        started_at=parse_time(report["started_at"]) if report.get("started_at") else finished,
        finished_at=finished,
        stored_at=at,
        rto=rto.get("seconds"),
        rpo=rpo.get("seconds"),
        lost_transactions=rpo.get("transactions"),
        objective_rto=rto.get("objective"),
        objective_rpo=rpo.get("objective"),
        checks=report["checks"]["all"],
        checks_passed=report["checks"]["passed"],
        failure=words[:4000],
        files=tuple(files),
    )


def _read_report(path: str) -> Tuple[Dict[str, Any], bytes]:
    raw = b"".join(_chunks(path, _MOST_REPORT))
    try:
        report = json.loads(raw)
        if report["result"] not in ("passed", "failed") or not isinstance(report["checks"]["all"], int):
            raise ValueError("it has no result")
        describe(report, "", "", "", clock.now(), ())
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise ConfigError(
            f"{path} is not the report of a drill: {exc}.", "Write one with lifeboat drill-report.", path=path
        ) from exc
    return report, raw


def _chunks(path: str, most: Optional[int] = None) -> Iterator[bytes]:
    done = 0
    try:
        with open_to_read(path) as stream:
            while chunk := stream.read(_CHUNK):
                done += len(chunk)
                if most is not None and done > most:
                    raise ConfigError(f"{path} has more than {most} bytes.", "Name the report of a drill.", path=path)
                yield chunk
    except OSError as exc:
        raise ConfigError(
            f"Cannot read {path}: {exc.strerror}.", "Name the output directory of lifeboat drill-report.", path=path
        ) from exc


def _put(repository: Repository, key: str, chunks: Iterator[bytes]) -> ArchiveFile:
    with repository.store.writer(key) as writer:
        for chunk in chunks:
            writer.write(chunk)
        done = writer.commit()
    return ArchiveFile(key.rsplit("/", 1)[-1], done.size, done.sha256)


def fetch(repositories: Sequence[Repository], label: str, directory: Optional[str]) -> Tuple[Drill, str]:
    """The drill with this label and its repository; its files are checked and written to ``directory``.

    The first repository that has it is used; without one, the last error is raised. The record is written too.
    """
    trouble: Optional[LifeboatError] = None
    for repository in repositories:
        try:
            drill = find_drill(repository, label)
            if directory is not None:
                _write(repository, drill, directory)
            return drill, repository.name
        except LifeboatError as exc:
            trouble = exc
    raise trouble or ObjectMissing("There are no repositories.", "Add one to the configuration.")


def _write(repository: Repository, drill: Drill, directory: str) -> None:
    place = f"{repository.layout.drills}{drill.label}"
    try:
        for file in drill.files:
            chunks = repository.store.read(f"{place}/{file.name}", sha256=file.sha256, size=file.size)
            replace_file(os.path.join(directory, file.name), chunks, mode=0o644)
        replace_file(os.path.join(directory, MANIFEST), repository.get_record(f"{place}/{MANIFEST}"), mode=0o644)
    except OSError as exc:
        raise ConfigError(
            f"Cannot write to {directory}: {exc.strerror}.", "Name a directory that this user can write to.",
            path=directory,
        ) from exc  # fmt: skip
