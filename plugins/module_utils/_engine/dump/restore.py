# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a dump into a new database, or in place of an existing one, which is renamed and kept.

The dump is restored into a new database first, which replaces the old one only once it is complete and its tables have
the row counts of the dump's snapshot. A failure before that leaves the old one unchanged.
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
    """The restore of a dump. ``into`` is the database's name (None for the original one).

    ``replace`` allows replacing an existing database. ``owner`` and ``privileges``: whether to restore owners and
    grants. ``with_globals`` creates roles and tablespaces first. ``jobs`` restores tables and indexes in parallel, from
    a file in ``staging_dir``; ``single_transaction`` restores all or nothing.
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
    """A checked restore: ``dump`` is restored into the database ``into``.

    ``aside`` is the name under which an existing database is kept. ``erasures`` are applied again in the new one.
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
    """A finished restore. ``rows`` is the row count of the compared ``tables``; ``erased`` are the applied erasures."""

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
                f"Database {into!r} already exists.",
                "Restore under another name (--into), or replace it (--replace): the existing one is renamed and kept.",
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
            f"--jobs is {request.jobs}{' with --single-transaction' if request.single_transaction else ''}.",
            "Use at least 1 job, and exactly 1 with --single-transaction.",
        )


def _require_fit(sql: Session, dump: Dump, request: DumpRequest) -> None:
    version = int(sql.value("SHOW server_version_num"))
    if version // 10000 < dump.server_version_num // 10000:
        raise DatabaseRefused(
            f"The dump was made by PostgreSQL {dump.server_version}, but this server is older ({version // 10000}).",
            "Restore it into the same major version or a newer one.",
        )
    extensions = lacking_extensions(sql, dump)
    if extensions:
        raise DatabaseRefused(
            f"The dump needs extensions that this server lacks: {', '.join(extensions)}.",
            "Install their packages, then run this again. Nothing was changed.",
            extensions=extensions,
        )
    roles = [] if request.with_globals else lacking_roles(sql, dump, request.owner, request.privileges)
    if roles:
        raise DatabaseRefused(
            f"The dump needs roles that this server lacks: {', '.join(roles)}.",
            "Restore them too (--with-globals), create them yourself, or restore without owners and grants (--no-owner"
            " --no-privileges). Nothing was changed.",
            roles=roles,
        )


def _aside(name: str) -> str:
    return with_end(name, f"_before_{clock.now():%Y%m%dt%H%M%Sz}")


def apply(config: Config, planned: DumpPlan, progress: Optional[Progress] = None) -> DumpRestored:
    """Restore into a new database, compare its rows, and rename it to the requested name.

    ProcessFailed with the message of ``pg_restore``, BackupCorrupt if the rows differ, DiskFull; then the new database
    is dropped, and the old one is unchanged.
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
                # A killed run may have left it.
                sql.rows(f"DROP DATABASE IF EXISTS {quoted(fresh)} WITH (FORCE)")
            # Outside the block that drops it: do not drop a database that somebody else created meanwhile.
            create_database(sql, dump, fresh, request.owner)
        try:
            with session(config.connection) as sql:
                give_properties(sql, dump, fresh, request.privileges)
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
    """Restore roles, tablespaces and settings with ``psql``, which reports existing objects and continues."""
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
    """The path of the dump: a file, in which several jobs can seek, or a directory if it was dumped as one."""
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
    """Compare row counts with the dump's snapshot; returns how many tables and rows. BackupCorrupt if they differ."""
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
            f"Tables restored from {dump.label} differ from the dumped ones: {'; '.join(wrong[:10])}.",
            "Restore another dump, or use point-in-time recovery beside the server. The new database was dropped,"
            " nothing else was changed.",
            tables=wrong,
        )
    return len(dump.rows), sum(dump.rows.values())


def _swap(connection: ConnectionConfig, name: str, fresh: str, aside: str) -> None:
    """Rename the old database aside and the new one to ``name``, ending the old one's sessions. Undone on failure."""
    # A session cannot rename its own database.
    with session(connection, "template1" if name == connection.dbname else None) as sql:
        sql.rows(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS false")
        holder = name
        try:
            _end_sessions(sql, name)
            sql.rows(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)}")
            holder = aside
            sql.rows(f"ALTER DATABASE {quoted(fresh)} RENAME TO {quoted(name)}")
        except BaseException:
            # Also after an interrupt: a database has the name again.
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
