# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a base backup: ``plan`` looks at the server and the repositories, ``apply`` streams.

The backup exists from the moment its ``manifest.json`` is put, which happens last: after every WAL segment between its
start and its stop was found in every required repository.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import clock
from .codec.zstd import Compressor
from .config import BackupConfig, Config
from .errors import BackupRunning, ConfigError, ServerNotReady, WalGap
from .model import ArchiveFile, BackupManifest, Tablespace, dump_manifest
from .postgres import basebackup, requirements
from .postgres.connection import Session, session
from .postgres.facts import ServerFacts, WalRange, archiver_state, manifest_wal_range, read_facts, require_backup_ready
from .postgres.wal_names import Segment, segments_between
from .progress import Progress, Silent
from .repository.catalog import load_catalog
from .repository.layout import SERVER_MANIFEST, make_label
from .repository.repository import Repositories, Repository
from .store.protocol import ObjectWriter, Written
from .version import VERSION
from .wal.inventory import absent

# Any constant does, as long as every Lifeboat uses the same one: "lifeboat" in ASCII.
_ADVISORY_LOCK = int.from_bytes(b"lifeboat", "big") >> 1


@dataclass(frozen=True)
class BackupRequest:
    """What is asked. ``max_age`` (seconds): a finished backup younger than that is good enough."""

    type: str = "full"
    max_age: Optional[float] = None
    accept_new_system: bool = False


@dataclass(frozen=True)
class BackupPlan:
    """What would be done. ``fresh`` is a backup that is young enough, so that nothing would be."""

    request: BackupRequest
    facts: ServerFacts
    repositories: Tuple[str, ...]
    fresh: Optional[BackupManifest] = None

    def as_dict(self) -> Dict[str, Any]:
        """For check mode and ``--json``."""
        return {
            "type": self.request.type,
            "system_identifier": self.facts.system_identifier,
            "server_version": self.facts.version,
            "from_standby": self.facts.in_recovery,
            "size": self.facts.size,
            "tablespaces": [t.location for t in self.facts.tablespaces],
            "repositories": list(self.repositories),
            "fresh": self.fresh.label if self.fresh else None,
        }


def plan(config: Config, request: BackupRequest) -> BackupPlan:
    """Check the server and find out whether a backup is due. Reads only."""
    if request.type != "full":
        raise ConfigError(f"The backup type {request.type!r} cannot be made.", "Choose full.")
    with session(config.connection) as sql:
        facts = read_facts(sql)
    require_backup_ready(facts)
    repositories = Repositories.open(config)
    try:
        fresh = _fresh(repositories.required, facts.system_identifier, request.max_age)
        return BackupPlan(request, facts, tuple(r.location for r in repositories.required), fresh)
    finally:
        repositories.close()


def _fresh(required: Tuple[Repository, ...], system: str, max_age: Optional[float]) -> Optional[BackupManifest]:
    """The newest backup that every required repository has, if it is young enough."""
    if max_age is None:
        return None
    found: List[BackupManifest] = []
    for repository in required:
        ours = load_catalog(repository).of_system(system)
        if not ours:
            return None
        found.append(max(ours, key=lambda b: b.finished_at))
    oldest = min(found, key=lambda b: b.finished_at)
    return oldest if (clock.now() - oldest.finished_at).total_seconds() <= max_age else None


def apply(config: Config, planned: BackupPlan, progress: Optional[Progress] = None) -> BackupManifest:
    """Make the planned backup (or give the fresh one). Memory: the stores' bounds plus the server's manifest."""
    if planned.fresh:
        return planned.fresh
    progress = progress or Silent()
    repositories = Repositories.open(config)
    try:
        with session(config.connection) as sql, _exclusive(sql, config):
            for repository in repositories.required:
                repository.adopt(planned.facts.system_identifier, planned.request.accept_new_system)
            return _make(config, planned, repositories.required, sql, progress)
    finally:
        repositories.close()


@contextmanager
def _exclusive(sql: Session, config: Config) -> Iterator[None]:
    """One backup of a server at a time, from any host: the server holds the lock, and drops it with the session."""
    if not sql.value("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK]):
        holder = sql.rows(
            "SELECT a.pid, coalesce(a.client_addr::text, 'a local socket'), a.backend_start"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = %s",
            [_ADVISORY_LOCK],
        )
        who = (
            f"server process {holder[0][0]}, from {holder[0][1]}, since {holder[0][2]:%Y-%m-%d %H:%M:%S %Z}"
            if holder
            else "another session"
        )
        raise BackupRunning(
            f"Another backup of cluster {config.cluster} is running ({who}).",
            "Wait for it. A dead one frees the lock with its connection; pg_terminate_backend() ends one that hangs.",
        )
    yield


def _make(
    config: Config, planned: BackupPlan, required: Tuple[Repository, ...], sql: Session, progress: Progress
) -> BackupManifest:
    facts = planned.facts
    started_at, label = _free_label(sql, planned.request.type, required)
    begin = clock.monotonic()
    progress.phase(f"backup {label}")
    needs = requirements.collect(sql, config.connection)
    files, raw = _stream(config, label, facts, required, progress)
    finished_at, streamed = sql.value("SELECT clock_timestamp()"), clock.monotonic()
    wal = manifest_wal_range(raw)
    sizes = _extracted_sizes(raw)
    for repository in required:
        repository.store.put(repository.layout.backup(label, SERVER_MANIFEST), raw)
    files.append(ArchiveFile(SERVER_MANIFEST, len(raw), hashlib.sha256(raw).hexdigest()))
    progress.phase("wait for WAL")
    _await_wal(config.backup, required, facts, wal, sql)
    manifest = BackupManifest(
        label=label,
        type=planned.request.type,
        cluster=config.cluster,
        system_identifier=facts.system_identifier,
        timeline=wal.timeline,
        start_lsn=wal.start,
        stop_lsn=wal.stop,
        segment_size=facts.segment_size,
        started_at=started_at,
        finished_at=finished_at,
        server_version=facts.version,
        server_version_num=facts.version_num,
        files=tuple(files),
        data_size=sum(sizes.values()),
        tablespaces=_tablespaces(facts, read_facts(sql), files, sizes),
        from_standby=facts.in_recovery,
        requirements=needs,
        timings={"stream": round(streamed - begin, 3), "wal": round(clock.monotonic() - streamed, 3)},
        lifeboat_version=VERSION,
    )
    body = dump_manifest(manifest)
    for repository in required:
        repository.store.put(repository.layout.manifest(label), body)
    progress.note(f"backup {label} is complete: {manifest.stored_size} bytes stored for {manifest.data_size}")
    return manifest


def _free_label(sql: Session, backup_type: str, required: Tuple[Repository, ...]) -> Tuple[datetime, str]:
    """The server's time and the label made of it; waits for the next second where this one's label is taken."""
    while True:
        now: datetime = sql.value("SELECT clock_timestamp()")
        label = make_label(now, backup_type)
        if not any(next(r.store.list(r.layout.backup(label, "")), None) for r in required):
            return now, label
        clock.sleep(0.2)


def _tablespaces(
    before: ServerFacts, after: ServerFacts, files: List[ArchiveFile], sizes: Dict[str, int]
) -> Tuple[Tablespace, ...]:
    """The tablespaces that have an archive; one may have been created or dropped since the plan was made."""
    known = {t.oid: t for t in (*before.tablespaces, *after.tablespaces)}
    return tuple(replace(known[f.tablespace], size=sizes.get(f.tablespace, 0)) for f in files if f.tablespace)


def _await_wal(
    config: BackupConfig, required: Tuple[Repository, ...], facts: ServerFacts, wal: WalRange, sql: Session
) -> None:
    """Wait until every repository has all WAL of the backup; WalGap tells which segment does not come, and why.

    A long queue is no failure: the time runs from the last segment that the server archived.
    """
    pending = {r.name: list(segments_between(wal.timeline, wal.start, wal.stop, facts.segment_size)) for r in required}
    deadline = clock.monotonic() + config.wal_timeout
    last = ""
    pause = 0.1
    while True:
        for repository in required:
            missing = absent(repository, facts.system_identifier, pending[repository.name])
            pending[repository.name] = [s for s in pending[repository.name] if s.name in missing]
        if not any(pending.values()):
            return
        newest = archiver_state(sql).last_archived
        if newest != last:
            last, deadline = newest, clock.monotonic() + config.wal_timeout
        if clock.monotonic() > deadline:
            raise _never_archived(config, pending, facts, sql)
        clock.sleep(pause)
        pause = min(pause * 1.5, 2.0)


def _never_archived(
    config: BackupConfig, pending: Dict[str, List[Segment]], facts: ServerFacts, sql: Session
) -> WalGap:
    names = sorted({s.name for segments in pending.values() for s in segments})
    where = ", ".join(name for name, segments in pending.items() if segments)
    state = archiver_state(sql)
    why = (
        f"archive_command fails: {state.failed_count} times, last on {state.last_failed}."
        if state.failing
        else "archive_command did not fail."
    )
    if facts.in_recovery:
        why += (
            " This is a standby: the primary must archive its current segment"
            " (archive_timeout, or pg_switch_wal() there)."
        )
    return WalGap(
        f"The backup needs WAL that did not reach {where}; nothing was archived for {config.wal_timeout:g} s:"
        f" {', '.join(names[:5])}. {why}",
        "No backup was recorded. Look at the server's log for archive_command's words, then run the backup again.",
        missing=names,
        repositories=[name for name, segments in pending.items() if segments],
    )


_FILE_SIZE = re.compile(rb'"(?:Encoded-)?Path": "([^"]*)", "Size": (\d+)')


def _extracted_sizes(manifest: bytes) -> Dict[str, int]:
    """Bytes by tablespace OID ("" for the data directory), summed over a ``backup_manifest``."""
    sizes: Dict[str, int] = {}
    for match in _FILE_SIZE.finditer(manifest):
        parts = match.group(1).split(b"/", 2)
        oid = parts[1].decode() if parts[0] == b"pg_tblspc" and len(parts) == 3 else ""
        sizes[oid] = sizes.get(oid, 0) + int(match.group(2))
    return sizes


def _stream(
    config: Config, label: str, facts: ServerFacts, required: Tuple[Repository, ...], progress: Progress
) -> Tuple[List[ArchiveFile], bytes]:
    """Stream into every required repository; falls back to compressing here where the server cannot."""
    backup = config.backup
    workers = min(os.cpu_count() or 1, 4)
    places = [backup.compress_at] if backup.compress_at != "auto" else ["server", "client"]
    for place in places:
        options = basebackup.StreamOptions(
            label, backup.checkpoint, place == "server", backup.compression_level, workers, backup.max_rate_kb
        )
        sink = _RepositorySink(
            label, required, facts.size, None if place == "server" else backup.compression_level, workers
        )
        with sink:
            try:
                raw = basebackup.stream(
                    config.connection, options, sink, lambda done: progress.advance(done, facts.size)
                )
                return sink.files, raw
            except ServerNotReady as exc:
                if place == places[-1] or not exc.details.get("unsupported_compression"):
                    raise
                progress.note("the server is built without zstd: compressing here")
    raise AssertionError("unreachable")


class _RepositorySink:
    """Writes each archive to every repository at once, compressing it where the server did not."""

    def __init__(
        self, label: str, repositories: Tuple[Repository, ...], size: int, level: Optional[int], threads: int
    ) -> None:
        self._label, self._repositories, self._size = label, repositories, size
        self._level, self._threads = level, threads
        self._writers: List[ObjectWriter] = []
        self._compressor: Optional[Compressor] = None
        self._tablespace: Optional[str] = None
        self.files: List[ArchiveFile] = []

    def __enter__(self) -> _RepositorySink:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.abort)

    def begin(self, tablespace: Optional[str]) -> None:
        self._tablespace = tablespace
        self._writers = [
            r.store.writer(r.layout.backup(self._label, self._name), self._size) for r in self._repositories
        ]
        self._compressor = None if self._level is None else Compressor(self._level, self._threads)

    @property
    def _name(self) -> str:
        return f"{self._tablespace or 'base'}.tar.zst"

    def data(self, chunk: bytes) -> None:
        out = self._compressor.feed(chunk) if self._compressor else chunk
        if out:
            for writer in self._writers:
                writer.write(out)

    def end(self) -> None:
        if self._compressor:
            rest = self._compressor.finish()
            for writer in self._writers:
                writer.write(rest)
        written: List[Written] = [writer.commit() for writer in self._writers]
        self._writers = []
        self.files.append(ArchiveFile(self._name, written[0].size, written[0].sha256, self._tablespace))
