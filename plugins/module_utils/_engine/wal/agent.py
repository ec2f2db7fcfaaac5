# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL agent: a resident process that stores WAL ahead of PostgreSQL's ``archive_command``.

It reads, checks, compresses and stores the files of ``archive_status/*.ready`` in several threads, with connections
that stay open, and acknowledges them in PostgreSQL's order (:mod:`.spool`), each once every required repository has it
together with a record of how far WAL is acknowledged. That record tells whether a hole is the end of the WAL or a loss.
``archive_command`` waits for the acknowledgement; without an agent it pushes itself. An agent that was never asked
stores nothing, because the server may archive elsewhere.

Memory: Python and the S3 client (about 60 MB), and at most ``wal.parallel`` files with their compressed forms, together
at most 192 MiB (or one file's); as much again while they are compared with existing objects. The spool contains no WAL.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import replace
from typing import Callable, Dict, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ConfigError, LifeboatError, WalInvalid
from ..base.progress import Progress
from ..base.wal_names import is_segment
from ..config.load import Config
from ..repository.repository import Repositories
from . import ahead
from .ahead import Job
from .backlog import ready_files, wal_path
from .push import Pusher
from .spool import Spool, configured_at, written_at

# Seconds that a stopping agent waits for uploads in progress.
_GRACE = 10.0
_TICK = 0.1


class Agent:
    """One agent for one configuration. ``stopping`` is called several times a second.

    :raises ConfigError: ``data_dir`` or ``spool_dir`` is not set
    """

    def __init__(self, config: Config, progress: Progress, stopping: Callable[[], bool]) -> None:
        self._config, self._progress, self._stopping = config, progress, stopping
        self._data_dir = _required(config, "data_dir")
        self._spool = Spool(_required(config, "spool_dir"), self._data_dir)
        self._jobs: Dict[str, Job] = {}
        self._ready: Tuple[str, ...] = ()
        self._orders: queue.Queue[str] = queue.Queue()
        self._ended: queue.Queue[Tuple[Tuple[str, ...], object]] = queue.Queue()
        self._marks: queue.Queue[Tuple[str, ...]] = queue.Queue()
        self._threads = 0
        self._failing = ""

    def run(self, on_ready: Callable[[], None]) -> None:
        """Run until ``stopping`` or until the configuration changes; ``on_ready`` is called once at the start.

        AgentRunning if another agent is running. SpoolUnusable, at any time, if nothing can be acknowledged. The agent
        ends then, so that clients push on their own.
        """
        configured = configured_at(self._config)
        with self._spool:
            repositories = Repositories.open(self._config)
            self._pusher = Pusher(self._config, repositories, self._data_dir)
            threading.Thread(target=self._mark, name="lifeboat-wal-mark", daemon=True).start()
            on_ready()
            next_scan = 0.0
            while not self._stopping() and configured_at(self._config) == configured:
                if clock.monotonic() >= next_scan:
                    begun = clock.monotonic()
                    self._look()
                    next_scan = clock.monotonic() + ahead.scan_pause(clock.monotonic() - begun)
                self._start()
                self._collect(_TICK)
            if self._drain():
                repositories.close()

    def _look(self) -> None:
        """Read what is ready, and forget the files that PostgreSQL no longer asks for."""
        self._ready = ready_files(self._data_dir) if self._spool.asked else ()
        for name in ahead.to_forget(self._ready, self._jobs):
            self._forget(name)
        for name, job in list(self._jobs.items()):
            # Another file may have the same name by now.
            if job.state == ahead.ACKNOWLEDGED and self._stamp_of(name) != job.stamp:
                self._forget(name)

    def _forget(self, name: str) -> None:
        del self._jobs[name]
        self._spool.forget(name)

    def _start(self) -> None:
        segment = next((n for n in self._ready if n not in self._jobs and is_segment(n)), "")
        workers = ahead.workers_for(self._config.wal.parallel, _size(wal_path(self._data_dir, segment)))
        for name in ahead.to_start(self._ready, self._jobs, clock.monotonic(), workers):
            self._jobs[name] = replace(self._jobs.get(name, Job()), state=ahead.RUNNING)
            self._orders.put(name)
            if self._threads < sum(job.state == ahead.RUNNING for job in self._jobs.values()):
                self._threads += 1
                # A daemon thread: a store that hangs must not keep the agent from stopping.
                threading.Thread(target=self._work, name=f"lifeboat-wal-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while True:
            name = self._orders.get()
            self._ended.put(((name,), _outcome(name, self._store)))

    def _mark(self) -> None:
        while True:
            names = self._marks.get()
            last = next(name for name in reversed(names) if is_segment(name))
            self._ended.put((names, _outcome(last, self._pusher.acknowledge)))

    def _store(self, name: str) -> int:
        """Push the file and return its modification time in ns."""
        path = wal_path(self._data_dir, name)
        before = self._stamp_of(name)
        self._pusher.push(path)
        if before is None or self._stamp_of(name) != before:
            raise WalInvalid(f"WAL file {path} changed while it was read.", "Wait: it is read again.", name=name)
        return before

    def _stamp_of(self, name: str) -> Optional[int]:
        return written_at(wal_path(self._data_dir, name))

    def _collect(self, seconds: float) -> bool:
        """Wait for a push to end, take all that have ended and acknowledge what can be; False if none ended in time."""
        try:
            ended = [self._ended.get(timeout=seconds)]
            while not self._ended.empty():
                ended.append(self._ended.get())
        except queue.Empty:
            return False
        for names, outcome in ended:
            if isinstance(outcome, int):
                self._jobs[names[0]] = Job(ahead.STORED, stamp=outcome)
            elif isinstance(outcome, LifeboatError):
                for name in names[1:]:
                    self._jobs[name] = replace(self._jobs[name], state=ahead.STORED)
                self._failed(names[0], outcome)
            else:
                self._acknowledge(names)
        names = ahead.to_acknowledge(self._ready, self._jobs)
        if any(is_segment(name) for name in names):
            for name in names:
                self._jobs[name] = replace(self._jobs[name], state=ahead.MARKING)
            # One mark for everything that arrived meanwhile, in parallel with the uploads: it costs no throughput.
            self._marks.put(names)
        else:
            self._acknowledge(names)
        return True

    def _acknowledge(self, names: Sequence[str]) -> None:
        for name in names:
            self._spool.acknowledge(name, self._jobs[name].stamp)
            self._jobs[name] = replace(self._jobs[name], state=ahead.ACKNOWLEDGED)
            if self._failing:
                self._failing = ""
                self._progress.note(f"{name} is archived: archiving works again")

    def _failed(self, name: str, error: LifeboatError) -> None:
        failures = self._jobs[name].failures + 1
        self._jobs[name] = Job(ahead.FAILED, failures, retry_at=clock.monotonic() + ahead.retry_pause(failures))
        self._spool.complain(name, error)
        if error.error_code != self._failing:
            self._failing = error.error_code
            self._progress.note(f"{name} is not archived: {error.message} [{error.error_code}]")

    def _drain(self) -> bool:
        """Wait for uploads in progress; False if some were dropped. That is safe: they were never acknowledged."""
        deadline = clock.monotonic() + _GRACE
        while any(job.state in ahead.ON_THE_WAY for job in self._jobs.values()):
            if clock.monotonic() > deadline:
                return False
            self._collect(_TICK)
        return True


def _outcome(name: str, work: Callable[[str], object]) -> object:
    """The result of the work, or the error that it ended with."""
    try:
        return work(name)
    except LifeboatError as exc:
        return exc
    except Exception as exc:
        return LifeboatError(f"{name}: {type(exc).__name__}: {exc}", "Report this defect of Lifeboat.")


def _required(config: Config, key: str) -> str:
    value = getattr(config, key)
    if not value:
        raise ConfigError(
            f"{config.source or 'configuration'}: {key} is missing.", "Set data_dir and spool_dir for the WAL agent."
        )
    return os.path.abspath(str(value))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
