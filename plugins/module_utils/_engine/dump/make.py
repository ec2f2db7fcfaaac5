# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a dump: ``pg_dump --format=custom``, streamed into every required repository, read back whole, then recorded."""

from __future__ import annotations

import platform
import tempfile
from typing import Iterator, List, Optional, Sequence, Tuple

from .. import clock
from ..audit.scope import audited
from ..codec.zstd import decompress_stream
from ..config import Config
from ..errors import BackupCorrupt, ProcessFailed
from ..model import ArchiveFile, seal_record
from ..postgres.connection import libpq_environment, session
from ..postgres.controldata import program
from ..postgres.facts import read_facts
from ..process import Drain, Feed
from ..progress import Progress, Silent
from ..repository.layout import DUMP_DATA, DUMP_GLOBALS, MANIFEST, make_label
from ..repository.repository import Repositories, Repository
from ..stored_stream import store_stream
from .facts import count_rows, read_extensions, read_properties, read_roles, require_databases, snapshot
from .record import Dump


def make_dumps(
    config: Config, databases: Sequence[str] = (), counted: bool = True, progress: Optional[Progress] = None
) -> Tuple[Dump, ...]:
    """Dump these databases, or all of them, one after the other; ``counted`` counts the rows of every table.

    Each is one snapshot, and exists once its record is in every required repository. Memory: the stores' bounds and
    about 2 MiB. Raises ConfigError for a database that there is not, ProcessFailed with the words of ``pg_dump``.
    """
    progress = progress or Silent()
    repositories = Repositories.open(config)
    try:
        repositories.seal.require()
        with session(config.connection) as sql:
            system = read_facts(sql).system_identifier
        for repository in repositories.required:
            repository.adopt(system)
        made = []
        for name in require_databases(config.connection, list(databases)):
            with audited(config, "dump") as note:
                note.details["database"] = name
                made.append(_dump(config, repositories, name, counted, progress))
                note.objects.append(made[-1].label)
        return tuple(made)
    finally:
        repositories.close()


def _dump(config: Config, repositories: Repositories, database: str, counted: bool, progress: Progress) -> Dump:
    created = clock.now()
    label = make_label(created, "dump")
    required, size = repositories.required, 0

    def key_of(repository: Repository, name: str) -> str:
        return repository.layout.dump(database, label, name)

    def data(snapshot_name: str) -> Iterator[bytes]:
        nonlocal size
        # Compressed once, on its way to the store.
        words = ["--format=custom", "--compress=0", f"--snapshot={snapshot_name}", "--no-password"]
        for chunk in _output(config, "pg_dump", words, database):
            size += len(chunk)
            progress.advance(size)
            yield chunk

    with snapshot(config.connection, database) as (sql, name):
        facts = read_facts(sql)
        progress.phase(f"dump of {database}")
        stored = store_stream(required, repositories.seal, key_of, DUMP_DATA, data(name))
        kept = store_stream(required, repositories.seal, key_of, DUMP_GLOBALS, _globals(config, database))
        progress.phase(f"dump of {database}: read back")
        if repositories.seal.has_identity or not repositories.seal.seals:
            for repository in required:
                _read_back(config, repository, key_of(repository, stored.name), stored)
        progress.phase(f"dump of {database}: count rows")
        made = Dump(
            label, database, config.cluster, facts.system_identifier, platform.node(), created, facts.version,
            facts.version_num, size, stored, kept, read_properties(sql), read_extensions(sql), read_roles(sql),
            count_rows(sql) if counted else {}, repositories.seal.recipients,
        )  # fmt: skip
    for repository in required:
        repository.store.put(key_of(repository, MANIFEST), seal_record(made.as_dict()))
    return made


def _globals(config: Config, database: str) -> Iterator[bytes]:
    """Roles, tablespaces and settings of the cluster. Only a superuser may read the digests of passwords."""
    with session(config.connection, database) as sql:
        superuser = sql.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    words = ["--globals-only", "--no-password", *([] if superuser else ["--no-role-passwords"])]
    return _output(config, "pg_dumpall", words, database)


def _output(config: Config, name: str, words: List[str], database: str) -> Iterator[bytes]:
    environment = {**libpq_environment(config.connection), "PGDATABASE": database}
    with tempfile.TemporaryFile() as messages:
        yield from Drain([program(config.bin_dir, name), *words], messages, env=environment).chunks()


def _read_back(config: Config, repository: Repository, key: str, file: ArchiveFile) -> None:
    """BackupCorrupt unless ``pg_restore`` can read all of it."""
    with tempfile.TemporaryFile() as messages:
        reader = Feed([program(config.bin_dir, "pg_restore"), "--format=custom", "--file=/dev/null"], messages)
        try:
            sum(reader.pour(decompress_stream(repository.read(key, file), key)))
        except ProcessFailed as exc:
            raise BackupCorrupt(
                f"The dump {key} in repository {repository.location} cannot be read back: {exc.message}",
                "It has no record, so it does not count. Make it again; if that fails too, check the server's disk.",
                key=key,
            ) from exc
        finally:
            reader.kill()
