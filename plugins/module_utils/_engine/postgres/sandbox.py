# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a statement as an ordinary role in a superuser's session, so that it cannot regain the superuser's rights.

``SET ROLE`` is no boundary: code that the statement calls (a trigger, a cast, a function) can reset it. PostgreSQL's
boundary for code of others that a superuser has to run is the "security-restricted operation" of REFRESH MATERIALIZED
VIEW: it runs as the owner of the view, neither role nor session user can be set, and nothing is left behind that runs
later (miscinit.c, matview.c). So the statement is run by a function that a materialized view of that role calls.
"""

from __future__ import annotations

import secrets
from typing import Any, Mapping

from .connection import driver
from .identifiers import quoted
from .relations import Named

# The statement with its parameters filled in is a setting, not an argument, so that it is in no catalog.
_RUN = """
CREATE FUNCTION {schema}.run() RETURNS pg_catalog.int8 LANGUAGE plpgsql AS $lifeboat$
DECLARE met pg_catalog.int8;
BEGIN
  PERFORM pg_catalog.set_config('search_path', pg_catalog.current_setting('lifeboat.search_path'), true);
  EXECUTE pg_catalog.current_setting('lifeboat.statement');
  GET DIAGNOSTICS met = ROW_COUNT;
  RETURN met;
END $lifeboat$
"""


def run_as_owner(cursor: Any, table: Named, statement: str, values: Mapping[str, Any], path: str) -> int:
    """Run ``statement`` as the owner of ``table`` with the search path ``path``; returns its row count.

    If a superuser owns the table, a temporary role is used, which can read and write all tables but PostgreSQL's own.
    The cursor is a superuser's, in a transaction in which only the commit follows. Constraints are checked immediately:
    deferred ones would run after the role is dropped. Raises the errors of psycopg2.
    """
    schema = "lifeboat_" + secrets.token_hex(8)
    role = _stand_in(cursor, schema) if table.owner_is_superuser else quoted(table.owner)
    unforced = table.forces_row_security and not table.owner_is_superuser
    if unforced:
        # The owner must see every row, as a superuser does.
        cursor.execute(f"ALTER TABLE {table.quoted} NO FORCE ROW LEVEL SECURITY")
    text = cursor.mogrify(statement, values).decode(driver().extensions.encodings[cursor.connection.encoding])
    for name, value in (("statement", text), ("search_path", path)):
        cursor.execute("SELECT set_config(%s, %s, true)", (f"lifeboat.{name}", value))
    # The superuser owns the schema and the function, so that nobody can replace them; only the view is the role's.
    for step in (
        f"CREATE SCHEMA {schema}",
        _RUN.format(schema=schema),
        f"CREATE MATERIALIZED VIEW {schema}.result AS SELECT {schema}.run() AS met WITH NO DATA",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"ALTER MATERIALIZED VIEW {schema}.result OWNER TO {role}",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "SET LOCAL row_security = off",
        f"REFRESH MATERIALIZED VIEW {schema}.result",
        f"SELECT met FROM {schema}.result",  # noqa: S608
    ):
        cursor.execute(step)
    met = int(cursor.fetchone()[0])
    cursor.execute(f"DROP SCHEMA {schema} CASCADE")
    if table.owner_is_superuser:
        cursor.execute(f"DROP OWNED BY {role}")
        cursor.execute(f"DROP ROLE {role}")
    if unforced:
        cursor.execute(f"ALTER TABLE {table.quoted} FORCE ROW LEVEL SECURITY")
    return met


def _stand_in(cursor: Any, name: str) -> str:
    """Create a role for this transaction, because no user's statement runs as a superuser, whoever owns the table."""
    cursor.execute(f"CREATE ROLE {name} NOLOGIN BYPASSRLS IN ROLE pg_read_all_data, pg_write_all_data")
    return name
