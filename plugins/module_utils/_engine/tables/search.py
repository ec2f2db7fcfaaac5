# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search the archived WAL for when rows of a table were deleted or updated, or the table truncated or dropped.

WAL names files, not tables. The file of a table is looked up in the catalog of a scratch cluster that is recovered to
the beginning of the span.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from .. import restore
from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError
from ..base.progress import Progress, Silent
from ..base.wal_names import format_lsn, parse_lsn
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import Session, session
from ..records.model import Target, format_time
from ..repository.repository import Repositories
from ..restore import LOG, RestorePlan
from ..scratch import clear_dead, scratch_config, scratch_place, scratch_plan, scratch_server
from .found import find_tables
from .trace import Event, Trace, joined, trace
from .waldump import lines

_FILE = """
SELECT format('%%s/%%s/%%s', CASE c.reltablespace WHEN 0 THEN d.dattablespace ELSE c.reltablespace END, d.oid,
              pg_relation_filenode(c.oid))
  FROM pg_class c, pg_database d WHERE c.oid = %s::oid AND d.datname = current_database()
"""


@dataclass(frozen=True)
class SearchRequest:
    """Which ``tables`` of which ``database``, and the span (aware times; ``until`` None for the end of the archive)."""

    database: str
    tables: Tuple[str, ...]
    since: datetime
    until: Optional[datetime] = None


@dataclass(frozen=True)
class Searched:
    """``events`` in order, between the LSNs ``begin`` and ``end``. ``lost`` are rewritten tables, by the time from
    which they could not be followed.
    """

    events: Tuple[Event, ...]
    begin: int
    end: int
    segments: int
    seconds: float
    lost: Dict[str, datetime]

    def as_dict(self) -> Dict[str, Any]:
        return {
            "events": [event.as_dict() for event in self.events],
            "begin_lsn": format_lsn(self.begin),
            "end_lsn": format_lsn(self.end),
            "segments": self.segments,
            "seconds": self.seconds,
            "lost": {table: format_time(at) for table, at in self.lost.items()},
        }


def search(config: Config, request: SearchRequest, progress: Optional[Progress] = None) -> Searched:
    """Recover a scratch cluster to the beginning, read the WAL from there. Disk as for a restore, and nine segments.

    TableMissing if a table did not exist at the beginning; else the errors of a restore.
    """
    if request.until is not None and request.until <= request.since:
        raise ConfigError(
            f"The span ends at {format_time(request.until)}, but begins at {format_time(request.since)}.",
            "Give the earlier time first.",
        )
    with audited(config, "table search") as note:
        note.details.update(database=request.database, tables=list(request.tables))
        return _search(config, request, progress or Silent())


def _search(config: Config, request: SearchRequest, progress: Progress) -> Searched:
    began = clock.monotonic()
    moment = Target("time", format_time(request.since), inclusive=False)
    clear_dead(config, progress)
    with scratch_place(config) as place:
        planned = scratch_plan(config, place, None, moment)
        own = scratch_config(config, planned)
        result = restore.apply(own, planned, progress)
        with scratch_server(own, planned.data_dir, os.path.join(planned.data_dir, LOG)) as where:
            with session(where, request.database) as sql:
                tracer = _tracer(sql, where, request)
    start = parse_lsn(result.reached_lsn)
    segments = [s for s in planned.run.segments if s.end > start]
    progress.phase(f"search {len(segments)} WAL segments")
    events = _events(config, planned, tracer, request, progress, start)
    return Searched(
        tuple(events), start, planned.run.end, len(segments), round(clock.monotonic() - began, 3), dict(tracer.lost)
    )


def _tracer(sql: Session, where: ConnectionConfig, request: SearchRequest) -> Trace:
    moment = f"in {request.database} at {format_time(request.since)}"
    tables = find_tables(sql, where, request.database, request.tables, moment)
    files = {str(sql.value(_FILE, [t.oid])): f"{t.schema}.{t.name}" for t in tables if t.kind == "r"}
    catalog = str(sql.value(_FILE, [sql.value("SELECT 'pg_class'::regclass::oid")]))
    return Trace(files, catalog)


def _events(
    config: Config, planned: RestorePlan, tracer: Trace, request: SearchRequest, progress: Progress, start: int
) -> List[Event]:
    segments = [s for s in planned.run.segments if s.end > start]
    repositories = Repositories.open(config)
    try:
        repository = repositories.named(str(planned.source.name)) or repositories.readable()
        said = lines(repository, config.bin_dir, planned.backup.system_identifier, segments, progress)
        # Changes that the scratch cluster already has are before the start.
        found = [e for e in trace(said, tracer, request.until) if e.lsn >= start]
    finally:
        repositories.close()
    return joined(found)
