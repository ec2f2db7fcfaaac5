# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a dump with ``pg_dump``: store it in every required repository, read it back completely, then record it.

The custom format is streamed; the directory format, which several processes write, is staged (:mod:`.directory`).
"""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupCorrupt, DumpsIncomplete, LifeboatError, ProcessFailed
from ..base.process import Drain, Feed, run
from ..base.progress import Progress, Silent
from ..codec.zstd import decompress_stream
from ..config.load import Config
from ..postgres.connection import libpq_environment, session
from ..postgres.controldata import program
from ..postgres.facts import read_facts
from ..records.model import ArchiveFile
from ..repository.dumps import Dump
from ..repository.free import free_second
from ..repository.labels import make_label
from ..repository.layout import DUMP_DATA, DUMP_DIRECTORY, DUMP_GLOBALS, MANIFEST, clear_name
from ..repository.leases import writing
from ..repository.presence import put_records
from ..repository.repository import Repositories, Repository
from ..repository.stored_stream import store_stream
from . import directory
from .facts import count_rows, read_extensions, read_properties, read_roles, require_databases, snapshot


@dataclass(frozen=True)
class DumpsRequest:
    """The databases to dump; empty: the configured ones, or else all. Other options are in ``config.dumps``."""

    databases: Tuple[str, ...] = ()


@dataclass(frozen=True)
class DumpsPlan:
    """The databases that will be dumped, one after the other, and the locations of the required repositories."""

    databases: Tuple[str, ...]
    repositories: Tuple[str, ...]
    system_identifier: str

    def as_dict(self) -> Dict[str, Any]:
        return {
            "databases": list(self.databases),
            "repositories": list(self.repositories),
            "system_identifier": self.system_identifier,
        }


def plan(config: Config, request: DumpsRequest) -> DumpsPlan:
    """Check that the server and every required repository are ready for it. Only reads.

    ConfigError for an unknown database, ForeignRepository, and the errors of missing signing keys or recipients.
    """
    repositories = Repositories.open(config)
    try:
        repositories.seal.require()
        with session(config.connection) as sql:
            system = read_facts(sql).system_identifier
        for repository in repositories.required:
            repository.may_adopt(system, False)
        names = require_databases(config.connection, list(request.databases or config.dumps.databases))
        layout = repositories.items[0].layout
        repositories.require_signing(*(f"dump/{layout.dump_prefix(name).split('/')[-2]}" for name in names))
        return DumpsPlan(tuple(names), tuple(r.location for r in repositories.required), system)
    finally:
        repositories.close()


def apply(config: Config, planned: DumpsPlan, progress: Optional[Progress] = None) -> Tuple[Dump, ...]:
    """Make the planned dumps.

    Each is one snapshot, and exists once its record is in every required repository. Memory: the stores' bounds and
    about 2 MiB. ProcessFailed with the message of ``pg_dump``; for several databases DumpsIncomplete, after all of them
    were tried.
    """
    progress = progress or Silent()
    repositories = Repositories.open(config)
    try:
        for repository in repositories.required:
            repository.adopt(planned.system_identifier)
        made, failed = [], {}
        for name in planned.databases:
            try:
                with audited(config, "dump") as note:
                    note.details["database"] = name
                    made.append(_dump_held(config, repositories, name, progress))
                    note.objects.append(made[-1].label)
            except LifeboatError as exc:
                if len(planned.databases) == 1:
                    raise
                failed[name] = exc
        if failed:
            raise _incomplete(failed, made)
        return tuple(made)
    finally:
        repositories.close()


def _incomplete(failed: Mapping[str, LifeboatError], made: Sequence[Dump]) -> DumpsIncomplete:
    words = "; ".join(f"{name}: {exc.message} [{exc.error_code}]" for name, exc in failed.items())
    done = ", ".join(dump.database for dump in made) or "none"
    return DumpsIncomplete(
        f"{len(failed)} of {len(failed) + len(made)} databases were not dumped: {words}",
        f"Fix the cause, then dump the others by name: lifeboat dump create NAME. Already dumped: {done}.",
        failed={name: exc.as_dict() for name, exc in failed.items()},
        made=[dump.as_dict() for dump in made],
    )


def _dump_held(config: Config, repositories: Repositories, database: str, progress: Progress) -> Dump:
    created = free_second(repositories.required, clock.now, lambda layout: layout.dump_prefix(database))
    label = make_label(created, "dump")
    with writing(repositories.required, [repositories.items[0].layout.dump(database, label, MANIFEST)]):
        return _dump(config, repositories, database, created, label, progress)


def _dump(
    config: Config, repositories: Repositories, database: str, created: datetime, label: str, progress: Progress
) -> Dump:
    required, size = repositories.required, 0

    def key_of(repository: Repository, name: str) -> str:
        return repository.layout.dump(database, label, name)

    def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            progress.advance(size)
            yield chunk

    with snapshot(config.connection, database) as (sql, name):
        facts = read_facts(sql)
        progress.phase(f"dump of {database}")
        words = [f"--snapshot={name}", "--compress=0", "--no-password"]
        if config.dumps.format == "directory":
            needed = int(sql.value("SELECT pg_database_size(current_database())"))
            with directory.place(config.dumps.staging_dir, needed) as place:
                argv = [program(config.bin_dir, "pg_dump"), *words]
                chunks = directory.written(argv, place, config.dumps.jobs, _environment(config, database))
                stored = store_stream(required, repositories.seal, key_of, DUMP_DIRECTORY, counted(chunks))
        else:
            # Compressed only once, on the way to the store.
            chunks = _output(config, "pg_dump", ["--format=custom", *words], database)
            stored = store_stream(required, repositories.seal, key_of, DUMP_DATA, counted(chunks))
        progress.phase(f"dump of {database}: count rows")
        counted_rows = count_rows(sql) if config.dumps.count else {}
        properties, extensions, roles = read_properties(sql), read_extensions(sql), read_roles(sql)
    kept = store_stream(required, repositories.seal, key_of, DUMP_GLOBALS, _globals(config, database))
    progress.phase(f"dump of {database}: read back")
    if repositories.seal.has_identity or not repositories.seal.seals:
        for repository in required:
            _read_back(config, repository, key_of(repository, stored.name), stored, size)
    made = Dump(
        label, database, config.cluster, facts.system_identifier, platform.node(), created, facts.version,
        facts.version_num, size, stored, kept, properties, extensions, roles, counted_rows,
        repositories.seal.recipients,
    )  # fmt: skip
    put_records(required, key_of(required[0], MANIFEST), made.as_dict(), (made.data, made.globals))
    return made


def _globals(config: Config, database: str) -> Iterator[bytes]:
    """Roles, tablespaces and settings of the cluster; password digests only if a superuser dumps."""
    with session(config.connection, database) as sql:
        superuser = sql.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    words = ["--globals-only", "--no-password", *([] if superuser else ["--no-role-passwords"])]
    return _output(config, "pg_dumpall", words, database)


def _output(config: Config, name: str, words: List[str], database: str) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as messages:
        argv = [program(config.bin_dir, name), *words]
        yield from Drain(argv, messages, env=_environment(config, database)).chunks()


def _environment(config: Config, database: str) -> Dict[str, str]:
    return {**libpq_environment(config.connection), "PGDATABASE": database}


def _read_back(config: Config, repository: Repository, key: str, file: ArchiveFile, size: int) -> None:
    """BackupCorrupt unless ``pg_restore`` can read the whole dump; ``size`` is its size in bytes."""
    chunks = decompress_stream(repository.read(key, file), key)
    argv = [program(config.bin_dir, "pg_restore"), "--file=/dev/null"]
    try:
        if clear_name(file.name) == DUMP_DIRECTORY:
            with directory.place(config.dumps.staging_dir, size) as place:
                sum(directory.unpacked(chunks, place))
                run([*argv, "--format=directory", directory.inside(place)])
            return
        with tempfile.TemporaryFile() as messages:
            reader = Feed([*argv, "--format=custom"], messages)
            try:
                sum(reader.pour(chunks))
            finally:
                reader.kill()
    except ProcessFailed as exc:
        raise BackupCorrupt(
            f"The dump {key} in repository {repository.location} cannot be read back: {exc.message}",
            "Make it again; if that fails too, check the server's disk. This dump has no record, so it does not count.",
            key=key,
        ) from exc
