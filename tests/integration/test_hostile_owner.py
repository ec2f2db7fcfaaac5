# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of a database gains nothing from what Lifeboat does in it as a superuser."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from lifeboat.base.errors import PostgresError
from lifeboat.postgres.connection import PATH_OPTION, session
from lifeboat.postgres.relations import count_rows, refuse_code
from lifeboat.records.model import seal_record
from support.hostile import DATABASE, act, gained, plant
from support.installations import Installation
from support.postgres import Site, Sites
from support.stores import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture
def site(postgres: Installation, sites: Sites) -> Site:
    """A cluster with a database whose owner shadows PostgreSQL's own names."""
    made = sites(postgres, segment_mb=1)
    plant(made.cluster)
    return made


def test_the_trap_springs_in_a_session_that_takes_the_databases_path(site: Site) -> None:
    site.cluster.rows("SELECT datname FROM pg_database WHERE datname <> 'x'", dbname=DATABASE)
    assert "pg_database" in gained(site.cluster) and "<>" in gained(site.cluster)


def people(site: Site) -> None:
    act(site.cluster, "CREATE TABLE public.people (id int PRIMARY KEY)", "INSERT INTO public.people VALUES (1), (2)")


def test_a_backup_uses_no_name_of_the_owner(site: Site) -> None:
    people(site)
    site.write(verify={"count_tables": [{"database": DATABASE, "table": "public.people"}]})
    contents = site.backup()["contents"][DATABASE]
    assert gained(site.cluster) == [] and contents["rows"] == {"public.people": 2}


def test_a_dump_uses_no_name_of_the_owner(site: Site) -> None:
    people(site)
    site.lifeboat("dump", "create", DATABASE)
    assert gained(site.cluster) == []
    site.lifeboat("dump", "restore", DATABASE, "--replace", "--with-globals")
    assert gained(site.cluster) == []


def test_a_table_that_comes_back_uses_no_name_of_the_owner(site: Site) -> None:
    people(site)
    site.backup()
    site.cluster.switch_wal()
    before = gained(site.cluster)
    site.lifeboat("table", "restore", DATABASE, "public.people", "--latest", "--suffix", "_then")
    assert gained(site.cluster) == before == []


def test_a_table_that_became_a_view_is_not_counted(site: Site) -> None:
    """The owner chose the moment: a view runs the owner's code with the rights of its reader."""
    act(site.cluster, "CREATE VIEW public.people AS SELECT 1 AS id WHERE trap.strike('view')")
    site.write(verify={"count_tables": [{"database": DATABASE, "table": "public.people"}]})
    contents = site.backup()["contents"][DATABASE]
    assert gained(site.cluster) == [] and "public.people" in contents["error"]
    with session(site.config.connection, DATABASE) as sql:
        refuse_code(sql)
        with pytest.raises(PostgresError, match="people"):
            count_rows(sql, "public.people")
    assert gained(site.cluster) == []


def test_questions_of_a_restore_test_are_not_asked_by_a_superuser(site: Site) -> None:
    act(
        site.cluster,
        "CREATE TABLE public.orders (id int)",
        "INSERT INTO public.orders VALUES (1), (2)",
        "CREATE VIEW public.people AS SELECT id FROM public.orders WHERE trap.strike('view')",
        "ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON public.orders USING (trap.strike('policy'))",
        f"REVOKE CONNECT ON DATABASE {DATABASE} FROM PUBLIC",
    )
    site.write(
        verify={
            "queries": [
                {"database": DATABASE, "query": "SELECT count(*) FROM people", "equals": "2", "name": "people"},
                {"database": DATABASE, "query": "SHOW is_superuser", "equals": "off", "name": "me"},
                {"database": DATABASE, "query": "RESET SESSION AUTHORIZATION; SELECT rolsuper FROM pg_catalog.pg_roles"
                                                " WHERE rolname = current_user", "equals": "False", "name": "reset"},
            ]
        }
    )  # fmt: skip
    site.backup()
    site.cluster.switch_wal()
    report = site.lifeboat("verify", "--restore").data
    assert gained(site.cluster) == []
    states = {f["name"]: f["state"] for f in report["findings"]}
    assert states["people"] == states["me"] == states["reset"] == "held"


def test_a_setting_of_the_owner_is_no_statement_in_a_restore(site: Site) -> None:
    text = "x;ALTER/**/ROLE/**/mallory/**/SUPERUSER;--"
    act(
        site.cluster,
        f"SELECT set_config('search_path', '{text}', false)",
        f"ALTER DATABASE {DATABASE} SET search_path FROM CURRENT",
    )
    site.lifeboat("dump", "create", DATABASE)
    site.lifeboat("dump", "restore", DATABASE, "--into", "copy")
    up = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'mallory'"
    assert not site.cluster.value(up)
    # It is what it was: an element that names no schema.
    assert (
        site.cluster.value(
            "SELECT setconfig[1] FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d"
            " ON d.oid = s.setdatabase WHERE datname = 'copy'"
        )
        == f'search_path="{text}"'
    )


def test_a_forged_record_of_a_dump_is_refused(site: Site) -> None:
    site.lifeboat("dump", "create", DATABASE)
    (path,) = site.repository_dir.glob(f"dumps/{DATABASE}/*/manifest.json")
    record = {k: v for k, v in json.loads(path.read_text()).items() if k != "sha256"}
    up = "ALTER ROLE mallory SUPERUSER"
    for changes in (
        {"settings": [f"work_mem={'1MB'}", f'x" = 1; {up}; --=1']},
        {"settings": [f"search_path=a b; {up}; --"]},
        {"settings": ["nothing"]},
        {"grants": [["", f"CONNECT ON DATABASE {DATABASE} TO PUBLIC; {up}; --", False]]},
        {"provider": "x"},
    ):
        forged = {**record, "properties": {**record["properties"], **changes}}
        path.unlink()
        path.write_bytes(seal_record(forged))
        error = site.lifeboat("dump", "restore", DATABASE, "--into", "copy", status=1).error
        assert error["error_code"] == "database_refused" and "impossible properties" in error["message"], changes
    assert not site.cluster.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'mallory'")


def role_sql(site: Site, path: str, **env: str) -> str:
    """The output of psql for a file of a role."""
    cluster = site.cluster
    done = subprocess.run(
        [
            cluster.installation.program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
            "--set=ON_ERROR_STOP=1", f"--host={cluster.socket_dir}", f"--port={cluster.port}", "--username=postgres",
            f"--dbname={DATABASE}", "--file=-",
        ],
        input=(ROOT / "roles" / path).read_text(), capture_output=True, text=True, check=False,
        env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_an_application_is_validated_by_no_superuser(site: Site) -> None:
    act(
        site.cluster,
        "CREATE TABLE public.orders (id int)",
        "INSERT INTO public.orders VALUES (1), (2)",
        "CREATE VIEW public.people AS SELECT id FROM public.orders WHERE trap.strike('view')",
    )
    for query, answer in (
        ("SELECT count(*) FROM people;", "2"),
        ("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", "false"),
        ("SHOW search_path", "trap, pg_catalog, public"),
    ):
        assert role_sql(site, "application/files/ask.sql", LIFEBOAT_QUERY=query) == answer
    assert gained(site.cluster) == []
    assert not site.cluster.rows("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname ~ '^lifeboat'")


def test_collations_are_examined_by_no_name_of_the_owner(site: Site) -> None:
    act(site.cluster, "CREATE COLLATION public.mine (provider = libc, locale = 'C')")
    for name in ("affected.sql", "refresh.sql"):
        role_sql(site, f"restore/files/{name}", PGOPTIONS=PATH_OPTION)
    assert gained(site.cluster) == []


def test_a_dump_that_nobody_trusts_is_restored_by_no_superuser(site: Site) -> None:
    act(
        site.cluster,
        "CREATE FUNCTION public.fine(int) RETURNS boolean LANGUAGE sql AS $$SELECT trap.strike('check')$$",
        "CREATE TABLE public.people (id int CHECK (public.fine(id)), twice int GENERATED ALWAYS AS (id * 2) STORED)",
        "INSERT INTO public.people VALUES (1), (2)",
    )
    site.lifeboat("dump", "create", DATABASE)
    site.cluster.execute("CREATE ROLE restorer LOGIN CREATEDB")
    own = site.write(
        site.root / "untrusted.yml",
        connection={**json.loads(site.config_file.read_text())["connection"], "user": "restorer"},
    )
    words = ("dump", "restore", DATABASE, "--into", "copy", "--no-owner", "--no-privileges", "--without-erasures")
    done = site.lifeboat(*words, config_file=own).data
    assert done["rows"] == 2 and gained(site.cluster) == []
