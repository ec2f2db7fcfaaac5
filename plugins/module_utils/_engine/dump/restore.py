# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a dump into a new database, or in place of an existing one, which is renamed and kept.

The dump is restored into a new database first. Only when all of it is there, and its tables have the rows that were
counted in the dump's snapshot, does it take the old one's place; whatever fails before leaves the old one untouched.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupCorrupt, DatabaseRefused
from ..base.process import Feed, run
from ..base.progress import Progress, Silent
from ..codec.zstd import decompress_stream
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..erasure import read_register, reapply, require_confirmed
from ..postgres.connection import Session, libpq_environment, session
from ..postgres.controldata import program
from ..postgres.identifiers import conninfo, quoted, with_end
from ..repository.dumps import Dump, find_dump
from ..repository.erasures import Erasure, due
from ..repository.repository import Repositories, Repository
from . import directory
from .create import (
    create_database,
    give_properties,
    lacking_extensions,
    lacking_roles,
    limit_connections,
    require_properties,
)
from .facts import count_rows


@dataclass(frozen=True)
class DumpRequest:
    """What to restore. ``into``: the database's name (None: the original one).

    ``replace`` allows replacing an existing database. ``owner`` and ``privileges``: whether objects belong
    to whom they belonged to, and are granted as they were. ``with_globals`` makes roles and tablespaces first. ``jobs``
    restores tables and indexes in parallel, from a file in ``staging_dir``; ``single_transaction`` all or nothing.
    ``erasures`` applies those again that were registered after the dump; ``confirm_erasures`` as for a restore.
    """

    database: str
    label: Optional[str] = None
    into: Optional[str] = None
    replace: bool = False
    owner: bool = True
    privileges: bool = True
    with_globals: bool = False
    jobs: int = 1
    single_transaction: bool = False
    staging_dir: Optional[str] = None
    erasures: bool = True
    confirm_erasures: Tuple[str, ...] = ()


@dataclass(frozen=True)
class DumpPlan:
    """What will be done for ``request``: the dump is restored into the database ``into``.

    ``aside``: the name under which an existing database is kept. ``erasures`` are applied again in the new one.
    """

    request: DumpRequest
    dump: Dump
    repository: str
    into: str
    aside: Optional[str]
    erasures: Tuple[Erasure, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        return {
            "label": self.dump.label,
            "database": self.dump.database,
            "repository": self.repository,
            "into": self.into,
            "kept_as": self.aside,
            "created_at": self.dump.as_dict()["created_at"],
        }


@dataclass(frozen=True)
class DumpRestored:
    """What was done. ``rows``: how many the ``tables`` have that were compared; ``erased``: erasures that applied."""

    plan: DumpPlan
    tables: int
    rows: int
    seconds: float
    erased: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        done = {name: value for name, value in asdict(self).items() if name != "plan"}
        return {**self.plan.as_dict(), **done, "erased": list(self.erased)}


def plan(config: Config, request: DumpRequest) -> DumpPlan:
    """Choose the dump and check that the server can restore it; DatabaseRefused if it cannot."""
    _require_sense(request)
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        dump = find_dump(repository, request.database, request.label)
        require_properties(dump)
        into = request.into or dump.database
        with session(config.connection) as sql:
            there = sql.rows("SELECT 1 FROM pg_database WHERE datname = %s", [into])
            _require_fit(sql, dump, request)
        if there and not request.replace:
            raise DatabaseRefused(
                f"There is a database {into!r}.",
                "Restore under another name (--into), or let this one take its place (--replace): the one that is"
                " there is renamed and kept.",
                database=into,
            )
        aside = _aside(into) if there else None
        return DumpPlan(request, dump, repository.location, into, aside, _erasures(config, request, dump))
    finally:
        repositories.close()


def _erasures(config: Config, request: DumpRequest, dump: Dump) -> Tuple[Erasure, ...]:
    if not request.erasures:
        return ()
    register = read_register(config)
    here = [e for e in due(register.erasures, dump.created_at) if e.database == dump.database]
    require_confirmed(here, register.late, request.confirm_erasures)
    return tuple(here)


def _require_sense(request: DumpRequest) -> None:
    if request.jobs < 1 or (request.jobs > 1 and request.single_transaction):
        raise DatabaseRefused(
            f"{request.jobs} jobs{' in a single transaction' if request.single_transaction else ''} cannot be.",
            "Use at least 1 job; a single transaction takes exactly 1.",
        )


def _require_fit(sql: Session, dump: Dump, request: DumpRequest) -> None:
    version = int(sql.value("SHOW server_version_num"))
    if version // 10000 < dump.server_version_num // 10000:
        raise DatabaseRefused(
            f"The dump is of PostgreSQL {dump.server_version}, this server is older ({version // 10000}).",
            "Restore it into the same major version or a newer one.",
        )
    extensions = lacking_extensions(sql, dump)
    if extensions:
        raise DatabaseRefused(
            f"The dump needs extensions that this server does not have: {', '.join(extensions)}.",
            "Install their packages, then run this again. Nothing was touched.",
            extensions=extensions,
        )
    roles = [] if request.with_globals else lacking_roles(sql, dump, request.owner, request.privileges)
    if roles:
        raise DatabaseRefused(
            f"The dump needs roles that this server does not have: {', '.join(roles)}.",
            "Restore them too (--with-globals), create them yourself, or restore without owners and grants (--no-owner"
            " --no-privileges). Nothing was touched.",
            roles=roles,
        )


def _aside(name: str) -> str:
    return with_end(name, f"_before_{clock.now():%Y%m%dt%H%M%Sz}")


def apply(config: Config, planned: DumpPlan, progress: Optional[Progress] = None) -> DumpRestored:
    """Restore into a new database, compare its rows, and rename it to the requested name.

    ProcessFailed with the message of ``pg_restore``, BackupCorrupt if the rows differ, DiskFull; the new database is
    dropped then, and the old one is as it was.
    """
    with audited(config, "dump restore", [planned.dump.label]) as note:
        note.details.update(planned.as_dict())
        return _apply(config, planned, progress or Silent())


def _apply(config: Config, planned: DumpPlan, progress: Progress) -> DumpRestored:
    begin = clock.monotonic()
    request, dump = planned.request, planned.dump
    fresh = with_end(planned.into, "_lifeboat_new") if planned.aside else planned.into
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        if request.with_globals:
            progress.phase("roles and tablespaces")
            _restore_globals(config, repository, dump)
        with session(config.connection) as sql:
            if planned.aside:
                # Left by a killed run.
                sql.rows(f"DROP DATABASE IF EXISTS {quoted(fresh)} WITH (FORCE)")
            # Outside the block that drops it: a database that somebody created meanwhile is theirs.
            create_database(sql, dump, fresh, request.owner)
        try:
            with session(config.connection) as sql:
                give_properties(sql, dump, fresh, request.owner, request.privileges)
            progress.phase(f"{dump.label} into {fresh}")
            _restore_data(config, repository, request, dump, fresh, progress)
            tables, rows = _compare(config.connection, dump, fresh, progress)
            # Before it replaces any database.
            done = reapply(config.connection, [replace(e, database=fresh) for e in planned.erasures])
            erased = tuple(one.id for one in done if not one.absent)
            with session(config.connection, fresh) as sql:
                progress.phase("statistics")
                sql.rows("ANALYZE")
                limit_connections(sql, dump, fresh)
            if planned.aside:
                progress.phase(f"in place of {planned.into}")
                _swap(config.connection, planned.into, fresh, planned.aside)
        except BaseException:
            with session(config.connection) as sql:
                sql.rows(f"DROP DATABASE IF EXISTS {quoted(fresh)} WITH (FORCE)")
            raise
    finally:
        repositories.close()
    return DumpRestored(planned, tables, rows, round(clock.monotonic() - begin, 3), erased)


def _chunks(repository: Repository, dump: Dump, name: str) -> Iterator[bytes]:
    key = repository.layout.dump(dump.database, dump.label, name)
    file = dump.data if name == dump.data.name else dump.globals
    return decompress_stream(repository.read(key, file), key)


def _restore_globals(config: Config, repository: Repository, dump: Dump) -> None:
    """Restore them with ``psql``, which reports existing objects and continues."""
    with tempfile.TemporaryFile() as words:
        argv = [program(config.bin_dir, "psql"), "--no-psqlrc", "--quiet", "--no-password", "--file=-"]
        environment = {**libpq_environment(config.connection), "PGDATABASE": config.connection.dbname}
        psql = Feed(argv, words, env=environment)
        try:
            sum(psql.pour(_chunks(repository, dump, dump.globals.name)))
        finally:
            psql.kill()


def _restore_data(
    config: Config, repository: Repository, request: DumpRequest, dump: Dump, into: str, progress: Progress
) -> None:
    argv = [program(config.bin_dir, "pg_restore"), "--exit-on-error", "--no-password", f"--dbname={conninfo(into)}"]
    argv += [] if request.owner else ["--no-owner"]
    argv += [] if request.privileges else ["--no-privileges"]
    argv += ["--single-transaction"] if request.single_transaction else []
    environment = libpq_environment(config.connection)
    if request.jobs > 1 or dump.is_directory:
        with _staged(repository, request, dump, progress) as path:
            run([*argv, f"--jobs={request.jobs}", path], env=environment)
        return
    done = 0
    with tempfile.TemporaryFile() as words:
        feed = Feed([*argv, "--format=custom"], words, env=environment)
        try:
            for size in feed.pour(_chunks(repository, dump, dump.data.name)):
                done += size
                progress.advance(done, dump.data_size)
        finally:
            feed.kill()


@contextmanager
def _staged(repository: Repository, request: DumpRequest, dump: Dump, progress: Progress) -> Iterator[str]:
    """The dump as a file, in which several jobs can seek, or as the directory that it was."""
    chunks = _chunks(repository, dump, dump.data.name)
    with directory.place(request.staging_dir, dump.data_size) as place:
        done = 0
        if dump.is_directory:
            for size in directory.unpacked(chunks, place):
                done += size
                progress.advance(done, dump.data_size)
            yield directory.inside(place)
            return
        path = os.path.join(place, "data.pgdump")
        with open(path, "wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
                done += len(chunk)
                progress.advance(done, dump.data_size)
        yield path


def _compare(connection: ConnectionConfig, dump: Dump, database: str, progress: Progress) -> Tuple[int, int]:
    """How many tables and rows were compared with the dump's snapshot; BackupCorrupt where they differ."""
    if not dump.rows:
        return 0, 0
    progress.phase("count rows")
    with session(connection, database) as sql:
        found = count_rows(sql)
    wrong: List[str] = [
        f"{name}: {found.get(name, 'no such table')} instead of {rows}"
        for name, rows in dump.rows.items()
        if found.get(name) != rows
    ]
    if wrong:
        raise BackupCorrupt(
            f"What was restored from {dump.label} is not what was dumped: {'; '.join(wrong[:10])}.",
            "The new database was dropped, nothing else was touched. Restore another dump, or by point-in-time"
            " recovery beside the server.",
            tables=wrong,
        )
    return len(dump.rows), sum(dump.rows.values())


def _swap(connection: ConnectionConfig, name: str, fresh: str, aside: str) -> None:
    """The new one takes the name; sessions of the old one are ended. Where that fails the old one has its name."""
    # No session renames its own database.
    with session(connection, "template1" if name == connection.dbname else None) as sql:
        sql.rows(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS false")
        holder = name
        try:
            _end_sessions(sql, name)
            sql.rows(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)}")
            holder = aside
            sql.rows(f"ALTER DATABASE {quoted(fresh)} RENAME TO {quoted(name)}")
        except BaseException:
            # An interrupt too: the name is somebody's again.
            if holder == aside:
                sql.rows(f"ALTER DATABASE {quoted(aside)} RENAME TO {quoted(name)}")
                holder = name
            raise
        finally:
            sql.rows(f"ALTER DATABASE {quoted(holder)} ALLOW_CONNECTIONS true")


def _end_sessions(sql: Session, name: str) -> None:
    """Terminate all sessions and wait for them, at most 30 s, because a rollback takes time."""
    deadline = clock.monotonic() + 30.0
    ask = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
    while sql.value(ask, [name]) and clock.monotonic() < deadline:
        clock.sleep(0.2)
