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
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..base import clock
from ..base.errors import PostgresError
from ..base.progress import Progress
from ..codec.age import Seal
from ..config.load import Config
from ..postgres.backup_mode import BackupMode, Stopped, backup_mode
from ..postgres.facts import ServerFacts
from ..postgres.left_out import CONTROL_FILE, LABEL_FILE, MAP_FILE, first_block
from ..postgres.manifest_writer import CopiedFile, manifest
from ..records.model import ArchiveFile
from ..repository.repository import Repository
from .copying import END, Findings, PageRules, Take, copied, copy_file, member, open_file, padding, read_checked
from .frames import PIECE, Line, batches, frame, volume_size
from .method import Place, require_server_of
from .scan import Contents, Directory, Listed, scan
from .stream import RepositorySink

# Seconds between reports of progress, and between questions whether the session still exists.
_REPORT, _ASK = 0.5, 5.0
# Reads of the control file until two in a row are equal.
_CONTROL_ATTEMPTS = 50
# Archives at once: each has an upload, and its own pieces in memory.
_ARCHIVES = 3
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
class _Archive:
    """What a volume has: files of one tablespace, or of the data directory (None), and all directories of it.

    So that volumes can be unpacked in any order, and directories get their modes; ``volume`` is 0 for the only one.
    """

    tablespace: Optional[str]
    files: Tuple[Listed, ...]
    directories: Tuple[Directory, ...]
    volume: int = 0

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
    Memory: the stores' bounds for three uploads, 32 MiB for each thread, and 600 bytes for each file of the cluster.
    """
    here = partial(require_server_of, data_dir=place.data_dir)
    with backup_mode(config.connection, label, config.backup.checkpoint == "fast", here) as mode:
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
        self._workers = config.backup.parallel or os.cpu_count() or 1
        self._findings: List[Findings] = []

    def work(
        self, contents: Contents, facts: ServerFacts, mode: BackupMode, progress: Progress
    ) -> Tuple[List[ArchiveFile], bytes]:
        """Store all archives; the one with the control file ends after ``pg_backup_stop``."""
        total = sum(f.size for f in contents.files)
        *others, last = _archives(contents, volume_size(total, self._backup.volume_size))
        with ExitStack() as opened:
            sink = opened.enter_context(self._sink())
            threads = opened.enter_context(ThreadPoolExecutor(min(len(others) + 1, _ARCHIVES)))
            readers = opened.enter_context(ThreadPoolExecutor(self._workers))
            opened.callback(self._meter.stop.set)
            opened.callback(readers.shutdown, wait=False, cancel_futures=True)
            opened.callback(threads.shutdown, wait=False, cancel_futures=True)
            closing = threads.submit(self._begin, sink, last, readers)
            jobs = [threads.submit(self._store, archive, readers) for archive in others]
            self._await({*jobs, closing}, mode, lambda: progress.advance(self._meter.done, total))
            found = closing.result()
            end: List[bytes] = []
            self._copy_control(end, found)
            self._require_whole_pages()
            stopped = mode.stop()
            added = _add_label(end.append, stopped)
            self._end(sink, b"".join(end))
        files = [file for job in jobs for file in job.result()] + sink.files
        listed = [*added, *(file for part in self._findings for file in part.files)]
        return files, manifest(facts.version_num, facts.system_identifier, listed, stopped.wal)

    def _copy_control(self, end: List[bytes], out: Findings) -> None:
        """Copy the control file as it is twice in a row: the server may be writing it."""
        before = ""
        for _attempt in range(_CONTROL_ATTEMPTS):
            found = Findings()
            end.clear()
            copy_file(self._data_dir, CONTROL_FILE, CONTROL_FILE, end.append, None, found)
            if found.files and found.files[0].checksum == before:
                out.files += found.files
                return
            before = found.files[0].checksum if found.files else ""
        raise PostgresError(
            f"{CONTROL_FILE} is written all the time: no two reads of it are equal.",
            "Start the backup again; nothing was recorded.",
        )

    def _sink(self) -> RepositorySink:
        return RepositorySink(self._label, self._required, self._backup, False, 0, self._seal)

    def _store(self, archive: _Archive, readers: ThreadPoolExecutor) -> List[ArchiveFile]:
        with self._sink() as sink:
            self._begin(sink, archive, readers)
            self._end(sink, b"")
            return sink.files

    def _end(self, sink: RepositorySink, last: bytes) -> None:
        sink.data(self._frame(last + END))
        sink.end()

    def _begin(self, sink: RepositorySink, archive: _Archive, readers: ThreadPoolExecutor) -> Findings:
        """Store the members of an archive, which remains open."""
        found = Findings()
        self._findings.append(found)
        sink.begin(archive.tablespace, archive.volume)
        sink.data(self._frame(b"".join(member(archive.name(d.path), d.found) for d in archive.directories)))

        def take(done: Tuple[bytes, Findings]) -> None:
            found.files += done[1].files
            found.bad += done[1].bad
            sink.data(done[0])

        with Line(readers, self._workers) as line:
            for batch in batches(archive.files):
                if batch[0].size > PIECE:
                    self._large(line, sink, archive, batch[0].path, found)
                else:
                    line.put(partial(self._small, archive, batch), take)
            line.finish()
        return found

    def _small(self, archive: _Archive, batch: Tuple[Listed, ...]) -> Tuple[bytes, Findings]:
        found = Findings()
        parts: List[bytes] = []

        def take(data: bytes) -> None:
            self._meter.count(len(data))
            parts.append(data)

        for file in batch:
            # A relation that has grown since the scan is copied as it was: its new blocks are in the WAL. So is memory
            # bounded by the size of the batch.
            limit = file.size if first_block(file.path, 1) is not None else None
            copy_file(self._data_dir, file.path, archive.name(file.path), take, self._rules, found, limit)
        return self._frame(b"".join(parts)), found

    def _large(self, line: Line, sink: RepositorySink, archive: _Archive, path: str, out: Findings) -> None:
        """Read a file in pieces, of which each has a frame; its checksum is computed in their order."""
        stream = open_file(self._data_dir, path)
        if stream is None:
            return
        line.keep(stream)
        found, digest = os.fstat(stream.fileno()), hashlib.sha256()
        head_of_file = member(archive.name(path), found, found.st_size)

        def piece(offset: int) -> Tuple[bytes, bytes, List[Tuple[str, int]]]:
            size = min(PIECE, found.st_size - offset)
            self._meter.count(size)
            data, bad = read_checked(stream.fileno(), path, offset, size, self._rules)
            head = b"" if offset else head_of_file
            tail = padding(found.st_size) if offset + size == found.st_size else b""
            return data, self._frame(head + data + tail), bad

        def take(done: Tuple[bytes, bytes, List[Tuple[str, int]]]) -> None:
            digest.update(done[0])
            out.bad += done[2]
            sink.data(done[1])

        def end(_nothing: None) -> None:
            stream.close()
            out.files.append(copied(path, found.st_size, found, digest.hexdigest()))

        for offset in range(0, found.st_size, PIECE) or (0,):
            line.put(partial(piece, offset), take)
        line.put(lambda: None, end)

    def _frame(self, data: bytes) -> bytes:
        return frame(self._backup.compression, self._backup.compression_level, data) if data else b""

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


def _archives(contents: Contents, most: int) -> List[_Archive]:
    """The volumes to store. The last one is of the data directory: the control file comes into it."""
    directories: Dict[Optional[str], List[Directory]] = {oid: [] for oid in (*contents.tablespaces, None)}
    for directory in contents.directories:
        directories[directory.tablespace].append(directory)
    files: Dict[Optional[str], List[Listed]] = {oid: [] for oid in directories}
    for file in contents.files:
        files[file.tablespace].append(file)
    volumes: List[_Archive] = []
    for oid, found in directories.items():
        parts = list(batches(files[oid], most)) or [()]
        volumes += [
            _Archive(oid, part, tuple(found), number if len(parts) > 1 else 0) for number, part in enumerate(parts, 1)
        ]
    return volumes


def _add_label(take: Take, stopped: Stopped) -> List[CopiedFile]:
    """Add the files that the server wrote for the backup."""
    now = clock.now().timestamp()
    added = []
    for name, content in ((LABEL_FILE, stopped.label_file), (MAP_FILE, stopped.map_file)):
        if content:
            # The mode of a file of the server, pg_file_create_mode.
            found = os.stat_result((0o100600, 0, 0, 1, os.geteuid(), os.getegid(), len(content), now, now, now))
            take(member(name, found, len(content)) + content + padding(len(content)))
            added.append(CopiedFile(name.encode(), len(content), now, hashlib.sha256(content).hexdigest()))
    return added
