# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore tables to a point in time: recover a scratch cluster, and load them beside the live ones.

The live tables are not changed: restored tables have other names, or go into another database. All are loaded in one
transaction, so that a failure leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .. import restore
from ..audit.scope import audited
from ..base import clock
from ..base.errors import BackupCorrupt, ConfigError, TableRefused
from ..base.process import Drain, Feed
from ..base.progress import Progress, Silent
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import libpq_environment, session
from ..postgres.controldata import program
from ..postgres.identifiers import conninfo, quoted, with_end
from ..records.model import Target, parse_time
from ..restore import LOG, RestorePlan, RestoreResult
from ..scratch import clear_dead, scratch_config, scratch_place, scratch_plan, scratch_server
from .found import Relation, count, find_tables, rename, stand_alone
from .naming import suffix_of


@dataclass(frozen=True)
class TableRequest:
    """Which ``tables`` of which ``database``, as they were at ``target``.

    They are restored beside the live ones with ``suffix`` after their names (None: the time, as ``_20261122_1402``), or
    with their own names ``into`` another database, which is created if missing. ``owner`` and ``privileges``: whether
    to restore owners and grants. ``confirm_erasures`` as for a restore.
    """

    database: str
    tables: Tuple[str, ...]
    target: Target = Target()
    label: Optional[str] = None
    into: Optional[str] = None
    suffix: Optional[str] = None
    owner: bool = True
    privileges: bool = True
    confirm_erasures: Tuple[str, ...] = ()


@dataclass(frozen=True)
class TablesRestored:
    """Restored tables. ``rows`` are row counts by the quoted new names; ``dropped`` are triggers and foreign keys that
    were left out. ``reached_time`` is that of the last included commit.
    """

    database: str
    rows: Dict[str, int]
    dropped: Tuple[str, ...]
    label: str
    repository: str
    reached_lsn: str
    reached_time: Optional[str]
    seconds: float

    def as_dict(self) -> Dict[str, Any]:
        return {**self.__dict__, "dropped": list(self.dropped)}


@dataclass(frozen=True)
class TablesPlan:
    """The tables to load into ``database``, and the plan of the ``scratch`` cluster to load them from."""

    database: str
    tables: Tuple[str, ...]
    scratch: RestorePlan

    def as_dict(self) -> Dict[str, Any]:
        return {"database": self.database, "tables": list(self.tables), **self.scratch.as_dict()}


def plan(config: Config, request: TableRequest) -> TablesPlan:
    """Plan the restore. Whether the tables exist is known only once the scratch cluster is restored."""
    _require_sense(config, request)
    with scratch_place(config) as place:
        planned = scratch_plan(config, place, request.label, request.target, request.confirm_erasures)
        return TablesPlan(request.into or request.database, request.tables, planned)


def apply(config: Config, request: TableRequest, progress: Optional[Progress] = None) -> TablesRestored:
    """Recover, load, compare row counts, drop the scratch cluster.

    TableMissing, TableRefused if a name is taken, and the errors of a restore and of ``pg_restore``; then the live
    database is unchanged. Memory: about 2 MiB; disk as for a restore, in ``verify.scratch_dir``.
    """
    with audited(config, "table restore") as note:
        note.details.update(database=request.database, tables=list(request.tables), into=request.into)
        done = _apply(config, request, progress or Silent())
        note.objects.append(done.label)
        note.details.update(rows=done.rows, reached_lsn=done.reached_lsn)
        return done


def _require_sense(config: Config, request: TableRequest) -> None:
    if not request.tables:
        raise ConfigError("No table was given.", "Give one with its schema: public.orders.")
    if request.into == request.database or (request.into and request.suffix is not None):
        raise ConfigError(
            f"The tables would have their own names in {request.into!r}.",
            "Choose a database other than theirs and no suffix, or only a suffix.",
        )
    if request.suffix == "":
        raise ConfigError("The suffix is empty.", "Give one: restored tables need other names than the live ones.")
    with session(config.connection) as sql:
        if not sql.rows("SELECT 1 FROM pg_database WHERE datname = %s", [request.database]) and not request.into:
            raise TableRefused(
                f"Database {request.database!r} no longer exists, so the tables cannot be loaded there.",
                "Load them into another database (--into), or restore the database from a dump.",
                database=request.database,
            )


def _apply(config: Config, request: TableRequest, progress: Progress) -> TablesRestored:
    begin = clock.monotonic()
    _require_sense(config, request)
    clear_dead(config, progress)
    with scratch_place(config) as place:
        planned = scratch_plan(config, place, request.label, request.target, request.confirm_erasures)
        own = scratch_config(config, planned)
        result = restore.apply(own, planned, progress)
        log = os.path.join(planned.data_dir, LOG)
        with scratch_server(own, planned.data_dir, log) as where:
            progress.phase("load the tables")
            rows, dropped = _load(config, where, request, planned.target, result)
    return TablesRestored(
        request.into or request.database, rows, tuple(dropped), planned.backup.label, planned.repository,
        result.reached_lsn, result.reached_time, round(clock.monotonic() - begin, 3),
    )  # fmt: skip


def _load(
    config: Config, scratch: ConnectionConfig, request: TableRequest, target: Target, result: RestoreResult
) -> Tuple[Dict[str, int], List[str]]:
    with session(scratch, request.database) as sql:
        moment = f"in {request.database} at {result.reached_lsn}"
        tables = find_tables(sql, scratch, request.database, request.tables, moment)
        database = request.into or request.database
        if request.into is None:
            suffix = request.suffix or _suffix(target, result)
            _require_free(config.connection, database, tables, suffix)
            dropped = stand_alone(sql, tables)
            tables = rename(sql, tables, suffix)
        else:
            _make_room(config.connection, database, tables)
            dropped = stand_alone(sql, tables)
        wanted = count(sql, tables)
    _copy(config, scratch, request, tables, database)
    with session(config.connection, database) as sql:
        found = count(sql, tables)
    if found != wanted:
        raise BackupCorrupt(
            f"The row counts loaded into {database} differ from the recovered ones: {found} instead of {wanted}.",
            "Drop the loaded tables and run this again; let nobody write to them before it ends.",
        )
    return found, dropped


def _suffix(target: Target, result: RestoreResult) -> str:
    """The suffix from the requested time, else from the last commit reached, else from the current time."""
    if target.kind == "time":
        return suffix_of(target.moment())
    return suffix_of(parse_time(result.reached_time) if result.reached_time else clock.now())


def _require_free(connection: ConnectionConfig, database: str, tables: Sequence[Relation], suffix: str) -> None:
    with session(connection, database) as sql:
        for table in tables:
            name = f"{quoted(table.schema)}.{quoted(with_end(table.name, suffix))}"
            if sql.value("SELECT to_regclass(%s)::oid", [name]):
                raise TableRefused(
                    f"{name} already exists in {database}.",
                    f"Drop or rename it, or choose another {'--suffix' if suffix else 'database (--into)'}. Nothing was"
                    " loaded.",
                    table=name,
                )
            if not sql.value("SELECT to_regnamespace(%s)::oid", [quoted(table.schema)]):
                sql.rows(f"CREATE SCHEMA {quoted(table.schema)}")


def _make_room(connection: ConnectionConfig, database: str, tables: Sequence[Relation]) -> None:
    with session(connection) as sql:
        if not sql.rows("SELECT 1 FROM pg_database WHERE datname = %s", [database]):
            sql.rows(f"CREATE DATABASE {quoted(database)} TEMPLATE template0")
    _require_free(connection, database, tables, "")


def _copy(
    config: Config, scratch: ConnectionConfig, request: TableRequest, tables: Sequence[Relation], database: str
) -> None:
    """Pipe ``pg_dump`` of the scratch cluster into ``pg_restore`` of the live server, in one transaction."""
    out = [program(config.bin_dir, "pg_dump"), "--format=custom", "--compress=0", "--no-password"]
    out += [f"--table={table.quoted}" for table in tables]
    into = [program(config.bin_dir, "pg_restore"), "--format=custom", "--exit-on-error", "--single-transaction"]
    into += ["--no-password", f"--dbname={conninfo(database)}"]
    into += [] if request.owner else ["--no-owner"]
    into += [] if request.privileges else ["--no-privileges"]
    source = {**libpq_environment(scratch), "PGDATABASE": request.database}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as words:
        feed = Feed(into, words, env=libpq_environment(config.connection))
        try:
            sum(feed.pour(Drain(out, said, env=source).chunks()))
        finally:
            feed.kill()
