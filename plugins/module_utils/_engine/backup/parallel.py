# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full backup that several threads read from the data directory while the server is in backup mode.

Reading, checksums, compression and uploads release Python's lock, so that the threads use all cores; of the checksums
of pages only those by numpy do. The result is the same as that of ``BASE_BACKUP``: the same files, and a
``backup_manifest`` in PostgreSQL's own format, from which the server can make incremental backups.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..base import clock
from ..base.errors import PostgresError
from ..base.progress import Progress
from ..codec.age import Seal
from ..config.load import Config
from ..postgres.backup_mode import BackupMode, Stopped, backup_mode
from ..postgres.facts import ServerFacts
from ..postgres.left_out import CONTROL_FILE, LABEL_FILE, MAP_FILE
from ..postgres.manifest_writer import CopiedFile, manifest
from ..records.model import ArchiveFile
from ..repository.repository import Repository
from .copying import END, Findings, PageRules, copy_file, member, padding
from .grouping import Listed, group
from .method import Place
from .scan import Contents, Directory, scan
from .stream import RepositorySink

# Seconds between reports of progress, and between questions whether the session still exists.
_REPORT, _ASK = 0.5, 5.0
# As many damaged pages as the server names.
_NAMED = 5


class _Stopped(Exception):
    """Another thread has failed."""


class _Meter:
    """Counts what is read, keeps the configured rate (kB per second), and ends all threads."""

    def __init__(self, rate_kb: Optional[int]) -> None:
        self._rate = rate_kb * 1000 if rate_kb else None
        self._lock, self._begun = threading.Lock(), clock.monotonic()
        self.done, self.stop = 0, threading.Event()

    def count(self, size: int) -> None:
        """Some bytes more; waits if they are too many, and raises _Stopped once ``stop`` is set."""
        with self._lock:
            self.done += size
            due = self._begun + self.done / self._rate if self._rate else 0.0
        if self.stop.wait(max(0.0, due - clock.monotonic())):
            raise _Stopped


@dataclass(frozen=True)
class _Volume:
    """What an archive has: files of one tablespace, or of the data directory (None), and all directories of it."""

    tablespace: Optional[str]
    files: Tuple[Listed, ...]
    directories: Tuple[Directory, ...]

    def name(self, path: str) -> str:
        """The name of a member: relative to the tablespace's directory."""
        return path.split("/", 2)[2] if self.tablespace else path


def copy(
    config: Config,
    label: str,
    facts: ServerFacts,
    place: Place,
    required: Tuple[Repository, ...],
    progress: Progress,
    seal: Seal,
) -> Tuple[List[ArchiveFile], bytes]:
    """Copy the cluster into every required repository; returns the files and the ``backup_manifest``.

    PostgresError if the session ends, a standby is promoted, or pages are damaged; then nothing counts as a backup.
    Memory: for each thread the stores' bounds and about 8 MiB, and 600 bytes for each file of the cluster.
    """
    with backup_mode(config.connection, label, config.backup.checkpoint == "fast") as mode:
        contents = scan(place.data_dir, facts.version_num)
        rules = PageRules(mode.start, place.block_size, place.segment_blocks) if place.checksums else None
        crew = _Crew(config, label, place.data_dir, rules, required, seal)
        return crew.work(contents, facts, mode, progress)


class _Crew:
    """The threads of one backup and what they share."""

    def __init__(
        self,
        config: Config,
        label: str,
        data_dir: str,
        rules: Optional[PageRules],
        required: Tuple[Repository, ...],
        seal: Seal,
    ) -> None:
        self._backup, self._label, self._data_dir, self._rules = config.backup, label, data_dir, rules
        self._required, self._seal = required, seal
        self._meter = _Meter(config.backup.max_rate_kb)
        self._findings: List[Findings] = []

    def work(
        self, contents: Contents, facts: ServerFacts, mode: BackupMode, progress: Progress
    ) -> Tuple[List[ArchiveFile], bytes]:
        """Store all volumes; the one with the control file ends after ``pg_backup_stop``."""
        *others, last = _volumes(contents)
        total = sum(f.size for f in contents.files)
        with ExitStack() as opened:
            sink = opened.enter_context(self._sink())
            pool = opened.enter_context(ThreadPoolExecutor(self._backup.parallel or os.cpu_count() or 1))
            opened.callback(self._meter.stop.set)
            opened.callback(pool.shutdown, wait=False, cancel_futures=True)
            jobs = [pool.submit(self._store, volume) for volume in others]
            closing = pool.submit(self._begin, sink, last)
            self._await({*jobs, closing}, mode, lambda: progress.advance(self._meter.done, total))
            found = closing.result()
            copy_file(self._data_dir, CONTROL_FILE, CONTROL_FILE, sink.data, None, found)
            self._require_whole_pages()
            stopped = mode.stop()
            added = _add_label(sink, stopped)
            sink.data(END)
            sink.end()
        files = [file for job in jobs for file in job.result()] + sink.files
        listed = [*added, *(file for part in self._findings for file in part.files)]
        return files, manifest(facts.version_num, facts.system_identifier, listed, stopped.wal)

    def _sink(self) -> RepositorySink:
        return RepositorySink(self._label, self._required, self._backup, True, 0, self._seal)

    def _store(self, volume: _Volume) -> List[ArchiveFile]:
        with self._sink() as sink:
            self._begin(sink, volume)
            sink.data(END)
            sink.end()
            return sink.files

    def _begin(self, sink: RepositorySink, volume: _Volume) -> Findings:
        """Store the members of a volume, which remains open."""
        found = Findings()
        self._findings.append(found)
        sink.begin(volume.tablespace)

        def take(data: bytes) -> None:
            self._meter.count(len(data))
            sink.data(data)

        for directory in volume.directories:
            take(member(volume.name(directory.path), directory.found))
        for file in volume.files:
            copy_file(self._data_dir, file.path, volume.name(file.path), take, self._rules, found)
        return found

    def _await(self, jobs: Set[Future[Any]], mode: BackupMode, report: Callable[[], None]) -> None:
        """Wait for the threads; the first error ends all of them."""
        asked = clock.monotonic()
        while jobs:
            done, jobs = wait(jobs, _REPORT, FIRST_COMPLETED)
            for job in done:
                job.result()
            report()
            if clock.monotonic() - asked >= _ASK:
                mode.require()
                asked = clock.monotonic()

    def _require_whole_pages(self) -> None:
        bad = [page for part in self._findings for page in part.bad]
        if bad:
            named = "; ".join(f"file {path}, block {block}" for path, block in bad[:_NAMED])
            raise PostgresError(
                f"Damaged pages were found during the backup, {len(bad)} in all: {named}.",
                "Run pg_amcheck, and restore from an older backup: the database itself is corrupt.",
                pages=len(bad),
                sqlstate="XX001",
            )


def _volumes(contents: Contents) -> List[_Volume]:
    """The archives to store, that with the control file last."""
    directories: Dict[Optional[str], List[Directory]] = {oid: [] for oid in (*contents.tablespaces, None)}
    for directory in contents.directories:
        directories[directory.tablespace].append(directory)
    made = [
        _Volume(files[0].tablespace, files, tuple(directories[files[0].tablespace]))
        for files in group(contents.files, 2**62)
    ]
    with_files = {volume.tablespace for volume in made}
    made += [_Volume(oid, (), tuple(found)) for oid, found in directories.items() if oid not in with_files]
    last = next(volume for volume in reversed(made) if volume.tablespace is None)
    return [*(volume for volume in made if volume is not last), last]


def _add_label(sink: RepositorySink, stopped: Stopped) -> List[CopiedFile]:
    """Store the files that the server wrote for the backup."""
    now = clock.now().timestamp()
    added = []
    for name, content in ((LABEL_FILE, stopped.label_file), (MAP_FILE, stopped.map_file)):
        if content:
            # The mode of a file of the server, pg_file_create_mode.
            found = os.stat_result((0o100600, 0, 0, 1, os.geteuid(), os.getegid(), len(content), now, now, now))
            sink.data(member(name, found, len(content)) + content + padding(len(content)))
            added.append(CopiedFile(name.encode(), len(content), now, hashlib.sha256(content).hexdigest()))
    return added
