# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of single databases and their restores: under another name, in place of a used one, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import psycopg2
import pytest
from lifeboat.base.progress import Silent
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.dump import make
from lifeboat.records.model import seal_record
from support.age import make_key, needs_age
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites, entry
from support.processes import run_program

pytestmark = pytest.mark.integration

# A name that is a connection string to libpq, a path to a file system and needs quotes in SQL.
NAME = "dbname=x Shop/é'\"%"


def fill(site: Site) -> None:
    cluster = site.cluster
    cluster.execute(
        "CREATE ROLE keeper", "CREATE ROLE reader",
        "CREATE DATABASE \"dbname=x Shop/é'\"\"%\" OWNER keeper",
        "ALTER DATABASE \"dbname=x Shop/é'\"\"%\" SET search_path = \"Sales Dept\", public",
        "ALTER DATABASE \"dbname=x Shop/é'\"\"%\" SET work_mem = '7MB'",
        "REVOKE ALL ON DATABASE \"dbname=x Shop/é'\"\"%\" FROM PUBLIC",
        "GRANT CONNECT ON DATABASE \"dbname=x Shop/é'\"\"%\" TO reader",
        "ALTER DATABASE \"dbname=x Shop/é'\"\"%\" CONNECTION LIMIT 7",
        "COMMENT ON DATABASE \"dbname=x Shop/é'\"\"%\" IS 'it''s the shop''s \\\n own'",
        "ALTER ROLE reader IN DATABASE \"dbname=x Shop/é'\"\"%\" SET search_path = \"Sales Dept\", public",
        "ALTER ROLE reader IN DATABASE \"dbname=x Shop/é'\"\"%\" SET work_mem = '9MB'",
    )  # fmt: skip
    cluster.execute(
        'CREATE SCHEMA "Sales Dept" AUTHORIZATION keeper',
        'CREATE TABLE "Sales Dept"."Order" (id serial PRIMARY KEY, note text)',
        "INSERT INTO \"Sales Dept\".\"Order\" (note) SELECT repeat(md5(n::text), 20) FROM generate_series(1, 5000) n",
        'ALTER TABLE "Sales Dept"."Order" OWNER TO keeper',
        'GRANT SELECT ON "Sales Dept"."Order" TO reader',
        'ALTER TABLE "Sales Dept"."Order" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        "CREATE TABLE public.parts (n int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE public.parts_2026 PARTITION OF public.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "INSERT INTO public.parts SELECT n, '2026-01-01'::date + n FROM generate_series(1, 300) n",
        "CREATE TABLE public.empty ()",
        dbname=NAME,
    )  # fmt: skip


@pytest.fixture
def site(postgres: Installation, sites: Sites, s3_options: S3Options) -> Site:
    made = sites(postgres, s3_options, segment_mb=1)
    fill(made)
    return made


class Then(Silent):
    """Do something when the rows are counted: ``pg_dump`` has ended, and its locks are gone."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what, self.done = what, False

    def phase(self, name: str) -> None:
        if "count rows" in name and not self.done:
            self.done = True
            self._what()


def test_a_table_that_was_truncated_meanwhile_makes_no_dump_worthless(site: Site) -> None:
    """In the snapshot it is empty then, but not in the dump."""
    cluster = site.cluster

    def meanwhile() -> None:
        cluster.execute('TRUNCATE "Sales Dept"."Order"', "DROP TABLE public.empty", dbname=NAME)
        cluster.execute("CREATE TABLE public.empty AS SELECT 1 AS n", dbname=NAME)

    then = Then(meanwhile)
    (made,) = make.apply(site.config, make.plan(site.config, make.DumpsRequest((NAME,))), then)
    assert then.done and made.rows == {"public.parts_2026": 300}
    site.lifeboat("dump", "restore", NAME, "--into", "again")
    assert orders(site, "again") == 5000


def test_a_server_that_ends_idle_sessions_is_dumped(site: Site) -> None:
    names = ["idle_in_transaction_session_timeout"]
    names += ["transaction_timeout"] if site.cluster.installation.major >= 17 else []
    for name in names:
        site.cluster.execute(f"ALTER ROLE postgres SET {name} = '50ms'")
    assert site.lifeboat("dump", "create", NAME).status == 0


def databases(site: Site) -> List[str]:
    found = site.cluster.rows("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
    return [row[0] for row in found]


def orders(site: Site, database: str) -> int:
    return int(site.cluster.value('SELECT count(*) FROM "Sales Dept"."Order"', dbname=database))


def seen(site: Site, database: str) -> Dict[str, Any]:
    """What a dump must restore in addition to rows."""
    value = site.cluster.value
    return {
        "owner": value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", database),
        "grants": value(
            "SELECT array_agg(pg_get_userbyid(grantee) || ' ' || privilege_type ORDER BY 1)::text"
            " FROM pg_database, aclexplode(datacl) WHERE datname = %s", database),
        "limit, comment": value(
            "SELECT (datconnlimit, shobj_description(oid, 'pg_database'))::text FROM pg_database"
            " WHERE datname = %s", database),
        "roles": value(
            "SELECT array_agg(setrole::regrole || setconfig::text ORDER BY 1)::text FROM pg_db_role_setting"
            " WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)", database),
        "locale": value("SELECT (encoding, datcollate, datctype, datlocprovider)::text FROM pg_database"
                        " WHERE datname = %s", database),
        "search_path": value("SHOW search_path", dbname=database),
        "work_mem": value("SHOW work_mem", dbname=database),
        "table": value("SELECT (relowner::regrole, relacl, relforcerowsecurity)::text FROM pg_class"
                       " WHERE relname = 'Order'", dbname=database),
        "sequence": value("SELECT last_value FROM \"Sales Dept\".\"Order_id_seq\"", dbname=database),
    }  # fmt: skip


def test_a_dump_comes_back_beside_and_in_place_of_what_is_in_use(site: Site) -> None:
    before = seen(site, NAME)
    planned = site.lifeboat("dump", "create", "--plan").data
    assert planned["changed"] and set(planned["databases"]) == {NAME, "postgres"}
    assert site.lifeboat("dump", "list").data["dumps"] == []
    made = {d["database"]: d for d in site.lifeboat("dump", "create").data["dumps"]}
    assert set(made) == {NAME, "postgres"}
    dump = made[NAME]
    assert dump["rows"] == {'"Sales Dept"."Order"': 5000, "public.parts_2026": 300, "public.empty": 0}
    assert dump["data_size"] > 10 * dump["data"]["size"] and {"keeper", "reader"} <= set(dump["roles"])
    listed = site.lifeboat("dump", "list", NAME).data["dumps"]
    assert [d["label"] for d in listed] == [dump["label"]]

    # Beside, by several jobs.
    planned = site.lifeboat("dump", "restore", NAME, "--into", "Copy", "--plan").data
    assert (planned["into"], planned["kept_as"]) == ("Copy", None) and "Copy" not in databases(site)
    done = site.lifeboat("dump", "restore", NAME, "--into", "Copy", "--jobs", "2").data
    assert (done["tables"], done["rows"]) == (3, 5300)
    assert seen(site, "Copy") == before and orders(site, "Copy") == 5000

    # In place: a session that writes is ended, the old database is kept.
    session = site.cluster.connect(NAME)
    site.cluster.execute('DELETE FROM "Sales Dept"."Order" WHERE id > 10', dbname=NAME)
    refused = site.lifeboat("dump", "restore", NAME, status=1).error
    assert refused["error_code"] == "database_refused" and "--replace" in refused["hint"]
    done = site.lifeboat("dump", "restore", NAME, "--replace").data
    assert (orders(site, NAME), orders(site, done["kept_as"])) == (5000, 10)
    assert seen(site, NAME) == before
    assert databases(site) == sorted(["Copy", NAME, done["kept_as"], "postgres"])
    with pytest.raises(psycopg2.Error), session.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_the_database_that_sessions_begin_in_is_replaced_too(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    """With ``connection.dbname``: no session can rename its own database."""
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path)), segment_mb=1)
    site.cluster.execute("CREATE TABLE kept AS SELECT 1 AS n")
    site.lifeboat("dump", "create", "postgres")
    site.cluster.execute("DROP TABLE kept")
    assert "--replace" in site.lifeboat("dump", "restore", "postgres", status=1).error["hint"]
    done = site.lifeboat("dump", "restore", "postgres", "--replace").data
    assert site.cluster.value("SELECT n FROM kept") == 1
    assert databases(site) == sorted(["postgres", done["kept_as"]])
    assert site.cluster.value("SELECT bool_and(datallowconn) FROM pg_database WHERE datname <> 'template0'")


def test_a_frozen_database_comes_back_frozen(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path)), segment_mb=1)
    site.cluster.execute("CREATE DATABASE archive")
    site.cluster.execute("CREATE TABLE old AS SELECT 1 AS n", dbname="archive")
    site.cluster.execute("ALTER DATABASE archive SET default_transaction_read_only = on")
    site.lifeboat("dump", "create", "archive")
    site.lifeboat("dump", "restore", "archive", "--into", "again")
    assert site.cluster.value("SELECT n FROM old", dbname="again") == 1
    assert site.cluster.value("SHOW default_transaction_read_only", dbname="again") == "on"


def test_a_failure_leaves_the_old_database_unchanged(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path / "near")), segment_mb=1)
    fill(site)
    label = site.lifeboat("dump", "create", NAME).data["dumps"][0]["label"]
    site.cluster.execute('DELETE FROM "Sales Dept"."Order" WHERE id > 10', dbname=NAME)
    (data,) = tmp_path.glob(f"near/main/dumps/*/{label}/data.pgdump.zst")
    good = data.read_bytes()
    there = databases(site)

    # Damaged in the store.
    flip(data)
    assert site.lifeboat("dump", "restore", NAME, "--replace", status=1).error["error_code"] == "object_corrupt"
    data.chmod(0o600)
    data.write_bytes(good)
    # Roles that are gone; a program that cannot be.
    site.cluster.execute("DROP OWNED BY reader", 'REVOKE CONNECT ON DATABASE "dbname=x Shop/é\'""%" FROM reader')
    site.cluster.execute("DROP OWNED BY reader", dbname=NAME)
    site.cluster.execute("DROP ROLE reader")
    error = site.lifeboat("dump", "restore", NAME, "--replace", status=1).error
    assert error["error_code"] == "database_refused"
    assert "roles that this server lacks: reader" in error["message"]
    error = site.lifeboat("dump", "restore", NAME, "--jobs", "0", status=1).error
    assert error["error_code"] == "database_refused"
    error = site.lifeboat("dump", "restore", "nothing", status=1).error
    assert error["error_code"] == "backup_missing" and "'nothing'" in error["message"]
    error = site.lifeboat("dump", "create", "nothing", status=1).error
    assert error["error_code"] == "config_invalid" and "postgres" in error["hint"]
    assert databases(site) == there and orders(site, NAME) == 10

    # Without them, and with what the dump itself brings.
    site.lifeboat("dump", "restore", NAME, "--into", "plain", "--no-owner", "--no-privileges", "--single-transaction")
    assert orders(site, "plain") == 5000
    site.lifeboat("dump", "restore", NAME, "--replace", "--with-globals")
    assert orders(site, NAME) == 5000
    assert site.cluster.value("SELECT count(*) FROM pg_roles WHERE rolname = 'reader'") == 1

    # Another repository gets it, whole.
    site.repositories = [*site.repositories, {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}]
    site.write()
    (synced,) = site.lifeboat("sync").data["repositories"]
    assert synced["failed"] == [] and any(what.startswith("dump ") for what in synced["lacking_of"])
    assert (tmp_path / "far" / data.relative_to(tmp_path / "near")).read_bytes() == good


def test_rows_that_differ_from_the_dump_s_snapshot_stop_the_restore(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path)), segment_mb=1)
    fill(site)
    label = site.lifeboat("dump", "create", NAME).data["dumps"][0]["label"]
    (record,) = tmp_path.glob(f"main/dumps/*/{label}/manifest.json")
    rewrite(record, 5000, 5001)
    error = site.lifeboat("dump", "restore", NAME, "--into", "copy", status=1).error
    assert error["error_code"] == "backup_corrupt" and "5000 instead of 5001" in error["message"]
    assert "copy" not in databases(site)


def rewrite(record: Path, before: int, after: int) -> None:
    """Change the number of rows in a dump's record, with a new checksum."""
    data = json.loads(record.read_bytes())
    data["rows"] = {name: after if rows == before else rows for name, rows in data["rows"].items()}
    record.chmod(0o600)
    record.write_bytes(seal_record(data))


@needs_age
def test_a_sealed_dump_is_opened_by_its_identity_alone(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "key")
    (tmp_path / "store").mkdir()
    site = sites(
        newest_postgres, DirectoryOptions(str(tmp_path / "store")), segment_mb=1,
        options={"seal": {"recipients": [key.recipient]}},
    )  # fmt: skip
    fill(site)
    site.lifeboat("dump", "create", NAME)
    stored = [p.name for p in tmp_path.glob("store/main/dumps/*/*/*")]
    assert sorted(stored) == ["data.pgdump.zst.age", "globals.sql.zst.age", "manifest.json"]
    assert site.lifeboat("dump", "restore", NAME, "--into", "copy", status=1).error["error_code"] == "identity_missing"
    assert "copy" not in databases(site)
    site.write(seal={"recipients": [key.recipient], "identity_file": str(key.file)})
    words = run_program(str(site.command), "--config", str(site.config_file), "dump", "restore", NAME, "--into", "copy")
    assert "5300 rows in 3 tables, as in the dump" in words
