# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last contact of a streaming standby with its primary, saved on the standby's host.

``pg_stat_wal_receiver`` (PostgreSQL manual, "The Cumulative Statistics System") is empty once the primary is gone, just
when it is needed. ``lifeboat check``, which runs every minute for the metrics, and ``lifeboat standby`` save it.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from ..base.errors import LifeboatError
from ..base.files import make_directory, open_to_read, replace_file
from ..base.wal_names import format_lsn, parse_lsn
from ..config.load import Config
from ..postgres.connection import Session
from ..records.fields import MOST_SMALL, Fields, parse_object
from ..records.model import format_time

_FILE = "lifeboat_primary.json"
_SQL = """
SELECT latest_end_lsn::text, received_tli, greatest(last_msg_receipt_time, latest_end_time)
  FROM pg_stat_wal_receiver WHERE latest_end_lsn IS NOT NULL AND received_tli IS NOT NULL
"""


@dataclass(frozen=True)
class Contact:
    """The end of the primary's WAL as last reported, its timeline, and the time of the primary's last message."""

    lsn: int
    timeline: int
    at: datetime


def newer(known: Optional[Contact], live: Optional[Contact]) -> Optional[Contact]:
    """Both combined: the later timeline, or more WAL of the same one, and the time of the later message. Pure."""
    if known is None or live is None:
        return live or known
    most = max(known, live, key=lambda c: (c.timeline, c.lsn))
    return Contact(most.lsn, most.timeline, max(known.at, live.at))


def read_live(sql: Session) -> Optional[Contact]:
    """The contact of this standby's WAL receiver; None if none runs, or the role may not see it."""
    rows = sql.rows(_SQL)
    return Contact(parse_lsn(rows[0][0]), int(rows[0][1]), rows[0][2]) if rows and rows[0][2] else None


def read_kept(config: Config) -> Optional[Contact]:
    """The saved contact; None if there is none, or it cannot be read."""
    path = _path(config)
    with contextlib.suppress(OSError, ValueError, LifeboatError), open_to_read(path) as stream:
        found = Fields(parse_object(stream.read(MOST_SMALL)), path)
        return Contact(found.lsn("lsn"), found.integer("timeline"), found.moment("at"))
    return None


def update(config: Config, sql: Session) -> Optional[Contact]:
    """Save the WAL receiver's contact, and return it combined with the saved one.

    Only the owner of the data directory writes. After a failure an older contact remains.
    """
    known, live = read_kept(config), read_live(sql)
    found = newer(known, live)
    if found is not None and found != known:
        with contextlib.suppress(OSError, LifeboatError):
            if os.stat(config.data_dir or "").st_uid == os.geteuid():
                if config.spool_dir:
                    make_directory(config.spool_dir)
                record = {"lsn": format_lsn(found.lsn), "timeline": found.timeline, "at": format_time(found.at)}
                replace_file(_path(config), json.dumps(record).encode())
    return found


def _path(config: Config) -> str:
    """In the spool, where the metrics' user may write; else in pg_wal, which no base backup contains."""
    return os.path.join(config.spool_dir or os.path.join(config.data_dir or "", "pg_wal"), _FILE)
