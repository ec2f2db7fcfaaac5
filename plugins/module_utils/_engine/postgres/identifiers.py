# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of objects and databases, quoted for statements and for libpq. Pure."""

from __future__ import annotations

# The longest name that PostgreSQL does not truncate (NAMEDATALEN - 1 bytes).
_LONGEST = 63


def quoted(name: str) -> str:
    """The name as a quoted identifier ("Identifiers and Key Words")."""
    return '"{}"'.format(name.replace('"', '""'))


def with_end(name: str, end: str) -> str:
    """``name`` followed by ``end``; if both are too long, the name is cut between characters."""
    return name.encode()[: _LONGEST - len(end.encode())].decode(errors="ignore") + end


def conninfo(database: str) -> str:
    """A connection string for this database: libpq would parse a name with ``=`` as one."""
    return "dbname='{}'".format(database.replace("\\", "\\\\").replace("'", "\\'"))
