# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a restore test: restore to the end of the archive, check, report, drop the scratch cluster."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import restore
from ..audit.scope import audited
from ..base import clock
from ..base.errors import (
    BackupUnproven,
    ConfigError,
    DependencyMissing,
    DiskFull,
    IdentityMissing,
    LifeboatError,
    ObjectFrozen,
    StoreAccessDenied,
    StoreUnavailable,
)
from ..base.progress import Progress, Silent
from ..base.version import VERSION
from ..config.load import Config
from ..records.model import format_time
from ..repository.repository import Repositories
from ..repository.restore_tests import store_report
from ..repository.verifications import note_verified
from ..restore import LOG, RestorePlan, RestoreResult
from ..scratch import clear_dead, scratch_config, scratch_place, scratch_plan, scratch_server
from .questions import BROKEN, HELD, LEFT_OUT, Finding, ask_all, broken

FORMAT = 1
# Failures of this host or of the way to the store: they prove nothing about the backup, so no report is stored.
_NO_PROOF = (
    ConfigError, DependencyMissing, DiskFull, IdentityMissing, ObjectFrozen, StoreAccessDenied, StoreUnavailable,
)  # fmt: skip


@dataclass(frozen=True)
class TestRequest:
    """Which backup (None for that of a restore to the latest moment), from which repository (None for the first that
    answers).
    """

    __test__ = False

    label: Optional[str] = None
    repository: Optional[str] = None


@dataclass(frozen=True)
class RestoreTest:
    """The findings. ``report`` is JSON-serializable data, ``unrecorded`` the repositories that did not accept it."""

    report: Dict[str, Any]
    findings: Tuple[Finding, ...]
    unrecorded: Tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether everything held."""
        return not broken(self.findings)


def plan(config: Config, request: TestRequest) -> Dict[str, Any]:
    """The plan of the restore, for check mode. Changes nothing, except that it makes and removes a directory."""
    chosen = _chosen(config, request)
    with scratch_place(chosen) as place:
        return scratch_plan(chosen, place, request.label).as_dict()


def apply(config: Config, request: TestRequest, progress: Optional[Progress] = None) -> RestoreTest:
    """Restore, check, report. A failed check is a finding; an error is raised only if nothing could be tested.

    The report is stored in every repository; the scratch is always dropped. Memory and disk as for a restore.
    """
    with audited(config, "restore test") as note:
        done = _run(config, request, progress or Silent())
        note.objects.append(str(done.report["label"]))
        note.details.update(repository=done.report["repository"], proven=done.proven, unrecorded=list(done.unrecorded))
        return done


def _run(config: Config, request: TestRequest, progress: Progress) -> RestoreTest:
    chosen = _chosen(config, request)
    began = clock.now()
    clear_dead(chosen, progress)
    with scratch_place(chosen) as place:
        planned = scratch_plan(chosen, place, request.label)
        result, findings = _tried(chosen, planned, progress)
    report = _report(chosen, planned, result, findings, began)
    done = RestoreTest(report, tuple(findings))
    return replace(done, unrecorded=_record(config, done, planned))


def require_proven(done: RestoreTest) -> RestoreTest:
    """BackupUnproven, with the report, unless everything held."""
    wrong = broken(done.findings)
    if wrong:
        raise BackupUnproven(
            f"Backup {done.report['label']} in repository {done.report['repository']} is not proven:"
            f" {'; '.join(f'{f.name}: {f.detail}' for f in wrong)}.",
            "Make a full backup now and test that too: lifeboat verify --restore. Test older ones to find out since"
            " when it fails: lifeboat verify --restore LABEL.",
            report=done.report,
        )
    return done


def _chosen(config: Config, request: TestRequest) -> Config:
    """The configuration with only the requested repository; ConfigError if there is none of that name."""
    repositories = config.repositories
    if request.repository is not None:
        repositories = tuple(replace(r, required=True) for r in repositories if r.name == request.repository)
        if not repositories:
            known = ", ".join(r.name for r in config.repositories)
            raise ConfigError(f"Repository {request.repository!r} is not configured.", f"Choose one of: {known}.")
    return replace(config, repositories=repositories)


def _tried(config: Config, planned: RestorePlan, progress: Progress) -> Tuple[Optional[RestoreResult], List[Finding]]:
    """The restore's result (None if it failed) and all findings."""
    own = scratch_config(config, planned)
    begin = clock.monotonic()
    try:
        result = restore.apply(own, planned, progress)
    except _NO_PROOF:
        raise
    except LifeboatError as exc:
        return None, [Finding("restore", BROKEN, exc.message, clock.monotonic() - begin)]
    last = result.reached_time or "before the backup"
    text = f"to {result.reached_lsn}, last commit {last}, timeline {result.timeline}"
    findings = [Finding("restore", HELD, text, result.timings["total"])]
    if result.erasures.get("unconfirmed"):
        ids = ", ".join(result.erasures["unconfirmed"])
        findings.append(Finding("erasures", LEFT_OUT, f"a restore requires their confirmation: {ids}"))
    log = os.path.join(planned.data_dir, LOG)
    progress.phase("check it")
    try:
        with scratch_server(own, planned.data_dir, log) as where:
            findings += _interruptible(lambda: ask_all(config, where, planned.backup))
    except LifeboatError as exc:
        findings.append(Finding("start", BROKEN, exc.message))
    return result, findings


def _interruptible(what: Callable[[], List[Finding]]) -> List[Finding]:
    """Run the queries in a thread: an interrupt does not end a query in libpq, but stopping the server does."""
    answers: List[List[Finding]] = []
    trouble: List[BaseException] = []

    def ask() -> None:
        try:
            answers.append(what())
        except BaseException as exc:
            trouble.append(exc)

    thread = threading.Thread(target=ask, name="lifeboat-ask", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if trouble:
        raise trouble[0]
    return answers[0]


def _report(
    config: Config, planned: RestorePlan, result: Optional[RestoreResult], findings: List[Finding], began: datetime
) -> Dict[str, Any]:
    return {
        "format": FORMAT,
        "lifeboat": VERSION,
        "cluster": config.cluster,
        "host": socket.gethostname(),
        "began_at": format_time(began),
        "ended_at": format_time(clock.now()),
        "label": planned.backup.label,
        "chain": [b.label for b in planned.chain],
        "repository": planned.source.name,
        "location": planned.repository,
        "server_version": planned.backup.server_version,
        "bytes": planned.backup.final_size,
        "proven": not broken(findings),
        "restored": result.as_dict() if result else None,
        "findings": [f.as_dict() for f in findings],
    }


def _record(config: Config, done: RestoreTest, planned: RestorePlan) -> Tuple[str, ...]:
    """Store the report in every repository, and note in its own that the chain is intact; returns those that failed."""
    unrecorded: List[str] = []
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                store_report(repository, done.report)
                if done.proven and repository.name == planned.source.name:
                    note_verified(repository, [b.label for b in planned.chain])
            except LifeboatError:
                unrecorded.append(repository.name)
    finally:
        repositories.close()
    return tuple(unrecorded)
