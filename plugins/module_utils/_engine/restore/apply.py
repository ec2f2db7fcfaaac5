# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a planned restore: prepare, extract, verify, recover, finish."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext, suppress
from typing import Any, Callable, ContextManager, Dict, List, Optional

from ..audit.scope import audited
from ..base import clock
from ..base.errors import LifeboatError, RecoveryFailed
from ..base.progress import Progress, Silent
from ..base.wal_names import format_lsn
from ..config.load import Config
from ..erasure import reapply, require_confirmed, unconfirmed
from ..postgres import server
from ..postgres.connection import local
from ..postgres.recovery import (
    RECOVERY,
    STANDBY,
    Ahead,
    recovery_settings,
    restore_command,
    rewrite,
    set_signal,
    standby_settings,
)
from ..records.model import format_time
from ..repository.leases import reading
from ..repository.repository import Repositories, Repository
from . import combine, delta, extract, standby_status
from .extract import LOG
from .flush import flushing
from .leftover import drop_cut_off
from .marker import control_digest, fingerprint, hold, hold_existing, identify, read_marker, release, write_marker
from .places import clear, prepare, refuse_running
from .prefetch import Prefetcher
from .recover import (
    READABLE_LOG,
    Reached,
    ends_within_a_record,
    isolation,
    require_reached,
    sync_settings,
    watch,
)
from .request import RestorePlan, RestoreResult, permanent_settings
from .standby import require_not_always

#: How much of the backup is unpacked before WAL is fetched too. What the server needs first is there when it starts.
_WAL_FROM = 0.8


def apply(config: Config, planned: RestorePlan, progress: Optional[Progress] = None) -> RestoreResult:
    """Restore as planned. After a failure the directories stay marked as unfinished: the next restore starts over."""
    if planned.satisfied:
        return RestoreResult(**(read_marker(planned.data_dir) or {})["result"])
    about = {"target": planned.target.describe(), "data_dir": planned.data_dir, "repository": planned.source.name}
    with audited(config, "restore", [planned.backup.label]) as note:
        note.details.update(about)
        if planned.request.request_id:
            note.details["request_id"] = planned.request.request_id
        run = _Restore(config, planned, progress or Silent())
        try:
            with run.flushed():
                run.extract()
                run.verify()
            reached = run.recover()
            result = run.finish(reached)
        except BaseException:
            run.leave()
            raise
        finally:
            run.release()
        note.details["erasures_applied"] = [e["id"] for e in result.erasures.get("applied", ())]
        note.details["erasures_left_out"] = bool(result.erasures.get("left_out"))
        note.details.update(reached_lsn=result.reached_lsn, reached_time=result.reached_time, timeline=result.timeline)
        return result


class _Restore:
    """A running restore: its phases, their timing, and the state that they share."""

    def __init__(self, config: Config, planned: RestorePlan, progress: Progress) -> None:
        self._config, self._planned, self._progress = config, planned, progress
        self._data_dir, self._parallel = planned.data_dir, config.restore.parallel
        self._log = os.path.join(self._data_dir, LOG)
        self._timings: Dict[str, float] = {"plan": round(planned.seconds, 3)}
        self._begin = self._since = clock.monotonic()
        self._aside: List[str] = []
        self._held: List[int] = []
        self._marked = False
        self._bytes = self._files_kept = 0
        self._warnings: List[str] = []
        self._prefetcher = Prefetcher()
        self._erasures: Dict[str, Any] = {"left_out": True}
        self._standby: Dict[str, Any] = {}
        self._open = ExitStack()
        self._marker: Dict[str, Any] = {
            "request": fingerprint(planned.request, planned.target.describe(), planned.data_dir, config.as_of),
            "request_id": planned.request.request_id,
            "system_identifier": planned.backup.system_identifier,
            "label": planned.backup.label,
            "finished": False,
        }

    def _done(self, phase: str) -> None:
        now = clock.monotonic()
        self._timings[phase] = round(now - self._since, 3)
        self._since = now

    def release(self) -> None:
        self._prefetcher.stop()
        self._open.close()
        release(self._held)

    def _mark(self) -> None:
        """Mark the content as that of this restore, just before the first existing file is touched."""
        self._marker["places"] = identify(p.path for p in self._planned.places[1:])
        write_marker(self._data_dir, self._marker)
        hold(self._data_dir, self._held)
        self._marked = True

    def leave(self) -> None:
        """After a failure, record the state of the cluster: the next restore then knows whether it was used since."""
        if self._marked and not server.is_running(self._config.bin_dir, self._data_dir):
            # If even this fails, the next restore treats the content as data to be kept.
            with suppress(OSError):
                write_marker(self._data_dir, {**self._marker, "left": control_digest(self._data_dir)})

    def flushed(self) -> ContextManager[None]:
        """Flush unpacked files to disk meanwhile, unless they are only input for pg_combinebackup."""
        if len(self._planned.chain) > 1 or not sync_settings(os.uname()):
            return nullcontext()
        return flushing([p.path for p in self._planned.places])

    def extract(self) -> None:
        planned = self._planned
        self._progress.phase(f"extract {planned.backup.label}")
        refuse_running([p.path for p in planned.places], self._config.bin_dir)
        self._held = hold_existing(self._data_dir)
        self._aside = prepare(planned.places, self._major)
        if planned.places[0].state != "kept":
            self._mark()
        for path in self._aside:
            self._progress.note(f"moved aside: {path}")
        repositories = Repositories.open(self._config)
        self._open.callback(repositories.close)
        repository = repositories.beginning_with(planned.source.name)[0]
        self._open.enter_context(reading(repository, planned.backup.label))
        try:
            total = sum(b.data_size for b in planned.chain)
            self._bytes = self._unpack(repository, lambda done: self._advance(done, total))
            self._done("extract")
            self._prefetcher.start(self._config, planned, self._to_combine)
            if len(planned.chain) > 1:
                self._progress.phase(f"combine {len(planned.chain)} backups")
                how = combine.combine(
                    self._config.bin_dir,
                    planned.chain,
                    self._data_dir,
                    planned.tablespaces,
                    self._config.restore.combine,
                )
                self._progress.note(f"combined by {how}")
                self._done("combine")
        except BaseException:
            for place in planned.places:
                if place.state != "kept":
                    clear(place, self._major)
            raise

    def _advance(self, done: int, total: int) -> None:
        """Report the progress of unpacking; towards its end, start to fetch WAL, which slows it down."""
        self._progress.advance(done, total)
        if done >= _WAL_FROM * total:
            self._prefetcher.start(self._config, self._planned, max(total - done, 0) + self._to_combine)

    @property
    def _major(self) -> int:
        return self._planned.backup.server_version_num // 10000

    @property
    def _to_combine(self) -> int:
        """Bytes that combining a chain will write."""
        return self._planned.backup.data_size if len(self._planned.chain) > 1 else 0

    def _unpack(self, repository: Repository, progress: Callable[[int], None]) -> int:
        chain = self._planned.chain
        if self._planned.places[0].state == "kept":
            return self._unpack_delta(repository, progress)
        if len(chain) == 1:
            return extract.extract(
                repository, chain[0], self._data_dir, self._planned.tablespaces, progress, parallel=self._parallel
            )
        return combine.extract_links(
            repository, chain, self._data_dir, self._planned.tablespaces, progress, self._parallel
        )

    def _unpack_delta(self, repository: Repository, progress: Callable[[int], None]) -> int:
        backup, spaces = self._planned.backup, self._planned.tablespaces
        self._progress.phase("compare")
        manifest = extract.read_manifest(repository, backup)
        same = delta.same_files(self._config.bin_dir, self._data_dir, manifest)
        kept = same.files
        with delta.wal_aside(self._data_dir) as moved:
            self._mark()
        self._aside += moved
        delta.clear_others(self._data_dir, spaces, kept, self._major)
        self._files_kept = len(kept)
        if same.useless:
            self._warnings.append(f"delta saved nothing, every file was fetched: {same.useless}")
        self._progress.note(f"{len(kept)} files match the backup and are kept")
        self._done("compare")
        self._progress.phase(f"extract {backup.label}")
        read = extract.extract(
            repository, backup, self._data_dir, spaces, progress, delta.by_archive(kept), self._parallel
        )
        return read - delta.size_of(self._data_dir, kept)

    def verify(self) -> None:
        # The backups of a chain were verified while they were combined.
        if len(self._planned.chain) == 1:
            self._progress.phase("pg_verifybackup")
            beside = delta.beside(self._planned.tablespaces, self._major)
            extract.verify(self._config.bin_dir, self._data_dir, self._planned.backup.label, beside)
            self._done("verify")
        extract.remap(self._data_dir, self._planned.tablespaces)
        if self._planned.wal_dir:
            extract.move_wal(self._data_dir, self._planned.wal_dir)

    def _permanent_settings(self) -> Dict[str, Any]:
        return permanent_settings(self._planned.request, self._planned.archiving)

    def recover(self) -> Reached:
        planned, config = self._planned, self._config
        self._progress.phase(f"recover to {planned.target.describe()}")
        action = planned.request.action
        self._configure_recovery(self._prefetcher.ahead)
        set_signal(self._data_dir, STANDBY if action == "standby" else RECOVERY)
        if action == "standby":
            require_not_always(config.bin_dir, self._data_dir, config.config_file)
        if os.path.exists(self._log):
            os.unlink(self._log)
        try:
            if action in ("pause", "standby"):
                reached = self._start_and_watch({"hot_standby": "on", **READABLE_LOG})
                self._erase(reached)
            else:
                with isolation(self._data_dir) as settings:
                    reached = self._start_and_watch(settings)
                    self._erase(reached)
                    if action == "promote":
                        server.stop(config.bin_dir, self._data_dir)
                        drop_cut_off(self._data_dir, planned.path, planned.backup.segment_size)
        except BaseException:
            if server.is_running(config.bin_dir, self._data_dir):
                server.stop(config.bin_dir, self._data_dir, "immediate")
            raise
        if action != "promote" and self._prefetcher.ahead:
            # The server continues recovery after this restore, and so without its prefetcher.
            self._configure_recovery(None)
        self._prefetcher.stop()
        self._done("recover")
        return reached

    def _erase(self, reached: Reached) -> None:
        """Apply the erasures made after the reached moment again, before anybody else can see the data."""
        planned, register = self._planned, self._planned.register
        if register is None:
            return
        # Without a replayed commit the data is that of the backup: at the earliest, of its start.
        wanted = planned.erasures_since(reached.time or planned.backup.started_at)
        confirmed = planned.request.confirm_erasures
        left = unconfirmed(wanted, register.late, confirmed) if planned.request.unconfirmed == "leave_out" else []
        wanted = [e for e in wanted if e not in left]
        for name, exc in register.unread.items():
            self._progress.note(f"the erasure register in repository {name} cannot be read: {exc.message}")
        promoted = planned.request.action == "promote"
        applied = []
        if wanted and promoted:
            require_confirmed(wanted, register.late, confirmed)
            where = server.endpoint(self._data_dir)
            if where is None:
                raise RecoveryFailed("The recovered server has exited.", f"See its log: {self._log}.", log=self._log)
            self._progress.phase(f"erase {len(wanted)} subjects again")
            applied = reapply(local(self._config.connection, *where), wanted)
            self._done("erase")
        if wanted and not promoted:
            self._progress.note(f"{len(wanted)} erasures are pending: lifeboat erasure apply, once it is promoted")
        self._erasures = {
            "applied": [one.as_dict() for one in applied],
            "pending": [] if promoted else [e.id for e in wanted],
            "unread": sorted(register.unread),
            "unconfirmed": [e.id for e in left],
            "left_out": False,
        }

    def _configure_recovery(self, ahead: Optional[Ahead]) -> None:
        planned = self._planned
        command = restore_command(
            self._config.command,
            self._config.source or "",
            ahead,
            self._planned.source.name,
            self._planned.source.without,
            self._planned.source.pieces,
            self._config.as_of,
            planned.request.action == "standby",
        )
        settings = (
            standby_settings(command, self._config.standby.primary_conninfo)
            if planned.request.action == "standby"
            else recovery_settings(planned.target, planned.path.timeline, planned.request.action, command)
        )
        rewrite(self._data_dir, {**self._permanent_settings(), **settings})

    def _start_and_watch(self, settings: Dict[str, str]) -> Reached:
        durable = sync_settings(os.uname())
        if any(t.in_place for t in self._planned.backup.tablespaces):
            # Else recovery ends with PANIC once it is consistent (CheckTablespaceDirectory in xlogrecovery.c).
            durable["allow_in_place_tablespaces"] = "on"
        # Requested settings are in the configuration, which the command line would override.
        settings = {**{k: v for k, v in durable.items() if k not in self._planned.request.settings}, **settings}
        server.start(self._config.bin_dir, self._data_dir, self._config.config_file, settings, self._log, wait=False)
        reached = watch(self._config, self._planned, self._log, self._progress)
        if self._planned.request.action != "standby":
            cut = ends_within_a_record(self._config, self._planned, reached)
            require_reached(self._planned, reached, cut)
            if cut:
                self._warnings.append(
                    f"the archive ends within a WAL record longer than a segment, which begins at"
                    f" {format_lsn(reached.lsn)}: it is not complete, and recovery ended before it"
                )
        return reached

    def _follow(self) -> None:
        """Restart the standby with its own log settings, and read how far it and its repository are."""
        config = self._config
        self._progress.phase("start")
        server.stop(config.bin_dir, self._data_dir)
        server.start(config.bin_dir, self._data_dir, config.config_file, {}, self._log, wait=True)
        where = server.endpoint(self._data_dir)
        try:
            if where is not None:
                self._standby = standby_status.read(config, local(config.connection, *where)).as_dict()
        except LifeboatError as exc:
            self._warnings.append(f"the lag of the standby is unknown: {exc.message}")

    def finish(self, reached: Reached) -> RestoreResult:
        planned, config = self._planned, self._config
        state = {
            "promote": "stopped",
            "pause": "paused",
            "shutdown": "shut down in recovery",
            "standby": "following the repository",
        }[planned.request.action]
        if planned.request.action == "promote":
            rewrite(self._data_dir, self._permanent_settings())
            set_signal(self._data_dir, None)
            if planned.request.leave == "running":
                self._progress.phase("start")
                server.start(config.bin_dir, self._data_dir, config.config_file, {}, self._log, wait=True)
                state = "running"
        elif planned.request.action == "standby":
            self._follow()
        self._done("finish")
        self._timings["total"] = round(planned.seconds + clock.monotonic() - self._begin, 3)
        result = RestoreResult(
            label=planned.backup.label,
            target=planned.target.describe(),
            reached_lsn=format_lsn(reached.lsn),
            reached_time=format_time(reached.time) if reached.time else None,
            timeline=reached.timeline,
            parent_timeline=reached.parent,
            data_dir=self._data_dir,
            repository=planned.repository,
            moved_aside=tuple(self._aside),
            bytes_stored=planned.bytes_to_fetch,
            bytes_restored=self._bytes,
            segments=reached.segments,
            state=state,
            log=self._log,
            timings=dict(self._timings),
            chain=tuple(b.label for b in planned.chain),
            files_kept=self._files_kept,
            commit_rate=planned.commit_rate,
            erasures=self._erasures,
            warnings=(*planned.warnings, *self._warnings),
            standby=self._standby,
        )
        done = {"finished": True, "timeline": reached.timeline, "result": result.as_dict()}
        write_marker(self._data_dir, {**self._marker, **done})
        self._marked = False
        return result
