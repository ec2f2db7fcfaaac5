# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases whose collation came with another version of its library (PostgreSQL, Collation Support, since 15).

The order of text differs between versions of the C library and ICU, so that an index that was built with one is wrong
with another: after an upgrade of the operating system, and on a standby or a restored server on another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from .connection import Session


@dataclass(frozen=True)
class ChangedCollation:
    """A database, the version that its indexes were built with, and that of this host."""

    database: str
    recorded: str
    present: str


def changed_collations(session: Session) -> Tuple[ChangedCollation, ...]:
    """Databases whose default collation has another version here, by name."""
    rows = session.rows(
        "SELECT datname, datcollversion, version FROM pg_database,"
        " LATERAL pg_database_collation_actual_version(oid) AS version"
        " WHERE datallowconn AND datconnlimit <> -2 AND datcollversion <> version ORDER BY datname"
    )
    return tuple(ChangedCollation(*row) for row in rows)
