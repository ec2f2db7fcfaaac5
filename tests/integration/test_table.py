# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables are restored as they were at a time, beside the live ones, which are not touched."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from support.controller import module
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(newest_postgres: Installation, module_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A shop, backed up; then its orders are damaged, and a table is dropped. ``MOMENTS`` are before that."""
    made = module_sites(
        newest_postgres, DirectoryOptions(str(tmp_path_factory.mktemp("store"))), segment_mb=1,
        track_commit_timestamp="on",
    )  # fmt: skip
    sql = made.cluster.execute
    sql("CREATE ROLE clerk")
    sql("CREATE DATABASE shop")
    sql(
        "CREATE SCHEMA sales",
        "CREATE TABLE customers (id int PRIMARY KEY, name text)",
        "INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 10) n",
        'CREATE TABLE sales."Orders" (id serial PRIMARY KEY, customer int REFERENCES customers, price numeric,'
        " UNIQUE (customer, id))",
        'CREATE INDEX by_price ON sales."Orders" (price)',
        'ALTER TABLE sales."Orders" OWNER TO clerk',
        'INSERT INTO sales."Orders" (customer, price) SELECT 1 + n % 10, n FROM generate_series(1, 500) n',
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
        'CREATE TRIGGER guard BEFORE DELETE ON sales."Orders" FOR EACH ROW EXECUTE FUNCTION refuse()',
        "CREATE TABLE events (at date, what text) PARTITION BY RANGE (at)",
        "CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01')",
        "CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2027-01-01')",
        "INSERT INTO events SELECT date '2026-01-01' + n, 'e' FROM generate_series(0, 299) n",
        dbname="shop",
    )
    made.backup()
    sql('INSERT INTO sales."Orders" (customer, price) SELECT 3, n FROM generate_series(1, 20) n', dbname="shop")
    time.sleep(1.1)
    MOMENTS["time"] = str(made.cluster.value("SELECT clock_timestamp()::text"))
    MOMENTS["stamp"] = str(
        made.cluster.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', '_YYYYMMDD_HH24MISS')")
    )
    time.sleep(1.1)
    MOMENTS["lsn"] = str(made.cluster.value("SELECT pg_current_wal_insert_lsn()::text"))
    sql('UPDATE sales."Orders" SET price = 0', "TRUNCATE events", dbname="shop")
    sql('ALTER TABLE sales."Orders" DISABLE TRIGGER guard', "DROP TABLE customers CASCADE", dbname="shop")
    made.cluster.switch_wal()
    return made


MOMENTS: Dict[str, str] = {}


def value(site: Site, sql: str, dbname: str = "shop") -> Any:
    return site.cluster.value(sql, dbname=dbname)


def scratches(site: Site) -> List[str]:
    return [name for name in os.listdir(site.cluster.data_dir.parent) if name.startswith("lifeboat-verify-")]


def test_a_table_comes_back_beside_the_live_one(site: Site) -> None:
    words = ("table", "restore", "shop", 'sales."Orders"', "--time", MOMENTS["time"])
    planned = site.lifeboat(*words, "--plan").data
    assert planned["changed"] and not value(site, "SELECT count(*) FROM pg_class WHERE relname LIKE 'Orders_2%'")
    done = site.lifeboat(*words).data["restored"]
    ((name, rows),) = done["rows"].items()
    suffix = MOMENTS["stamp"][:-2] if MOMENTS["stamp"].endswith("00") else MOMENTS["stamp"]
    assert (name, rows) == (f'"sales"."Orders{suffix}"', 520)
    assert value(site, f"SELECT sum(price) FROM {name}") == 125250 + 210
    assert value(site, 'SELECT sum(price) FROM sales."Orders"') == 0
    # With its indexes, its key, its own sequence and its owner; without what acts or refers.
    assert value(site, f"SELECT count(*) FROM pg_index WHERE indrelid = '{name}'::regclass") == 3
    assert value(site, f"SELECT pg_get_serial_sequence('{name}', 'id')") != value(
        site, "SELECT pg_get_serial_sequence('sales.\"Orders\"', 'id')"
    )
    assert value(site, f"SELECT relowner::regrole::text FROM pg_class WHERE oid = '{name}'::regclass") == "clerk"
    assert value(site, f"SELECT count(*) FROM pg_trigger WHERE tgrelid = '{name}'::regclass") == 0
    assert {word.split()[-1] for word in done["dropped"]} == {"sales.Orders"} and len(done["dropped"]) == 2
    assert scratches(site) == []
    error = site.lifeboat(*words, status=1).error
    assert error["error_code"] == "table_refused" and name in error["message"]


def test_what_was_dropped_or_truncated_comes_back_with_its_partitions(installed: Path, site: Site) -> None:
    options = {
        "config_file": str(site.config_file), "database": "shop", "tables": ["customers", "events"],
        "target": "lsn", "target_value": MOMENTS["lsn"], "suffix": "_found",
    }  # fmt: skip
    assert module(installed, "pg_restore_table", check=True, **options)["changed"]
    done = module(installed, "pg_restore_table", **options)["restored"]
    assert done["rows"] == {
        '"public"."customers_found"': 10, '"public"."events_old_found"': 181, '"public"."events_new_found"': 119,
    }  # fmt: skip
    assert value(site, "SELECT count(*) FROM events_found WHERE at < '2026-02-01'") == 31
    assert value(site, "SELECT count(*) FROM events") == 0
    refused = module(installed, "pg_restore_table", status=2, **options)
    assert refused["error_code"] == "table_refused" and "customers_found" in refused["msg"]


def test_tables_go_into_another_database_with_their_own_names(site: Site) -> None:
    words = ("table", "restore", "shop", "customers", 'sales."Orders"', "--lsn", MOMENTS["lsn"], "--into", "look=here")
    done = site.lifeboat(*words, "--no-owner").data["restored"]
    assert done["rows"] == {'"public"."customers"': 10, '"sales"."Orders"': 520}
    assert value(site, "SELECT count(*) FROM customers", "look=here") == 10
    # Both are there, so that the one refers to the other; who acts is left out.
    assert [word.split()[0] for word in done["dropped"]] == ["trigger"]
    assert value(site, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'", "look=here") == 1
    # A suffix and a database exclude each other.
    error = site.lifeboat(*words, status=1).error
    assert error["error_code"] == "table_refused" and "--into" in error["hint"] and "--suffix" not in error["hint"]


def test_an_unknown_table_is_refused_with_the_known_ones(site: Site) -> None:
    error = site.lifeboat("table", "restore", "shop", "orders", "--lsn", MOMENTS["lsn"], status=1).error
    assert error["error_code"] == "table_missing"
    assert "no table orders in shop" in error["message"] and 'sales."Orders"' in error["message"]
    # After it was dropped it is not there.
    error = site.lifeboat("table", "restore", "shop", "customers", "--latest", status=1).error
    assert error["error_code"] == "table_missing" and "customers" in error["message"]
    error = site.lifeboat("table", "restore", "nowhere", "t", "--latest", status=1).error
    assert error["error_code"] == "table_refused" and "'nowhere'" in error["message"]
    error = site.lifeboat("table", "restore", "shop", "t", "--latest", "--into", "shop", status=1).error
    assert error["error_code"] == "config_invalid"
    assert scratches(site) == []


def test_a_failure_leaves_nothing_behind(site: Site) -> None:
    site.cluster.execute("ALTER ROLE clerk RENAME TO manager")
    try:
        words = ("table", "restore", "shop", 'sales."Orders"', "--lsn", MOMENTS["lsn"], "--suffix", "_x")
        error = site.lifeboat(*words, status=1).error
        assert error["error_code"] == "process_failed" and "clerk" in str(error)
        assert not value(site, "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_x'")
        assert site.lifeboat(*words, "--no-owner").data["restored"]["rows"] == {'"sales"."Orders_x"': 520}
    finally:
        site.cluster.execute("ALTER ROLE manager RENAME TO clerk")
    assert scratches(site) == []


def happened(site: Site, *words: str, **options: Any) -> Any:
    return site.lifeboat("table", "search", "shop", *words, **options).data


def told(found: Any) -> List[Tuple[str, str, Any]]:
    return [(e["table"], e["what"], e["rows"]) for e in found["events"]]


def test_the_wal_tells_what_happened_and_when_to_stop(installed: Path, site: Site) -> None:
    sql, since = site.cluster.execute, str(value(site, "SELECT clock_timestamp()::text"))
    sql("CREATE TABLE things AS SELECT n FROM generate_series(1, 1000) n", "CREATE TABLE other (n int)", dbname="shop")
    site.cluster.switch_wal()
    # Where a search begins, a later commit must be there, and the tables too.
    begin = str(value(site, "SELECT clock_timestamp()::text"))
    sql("INSERT INTO other VALUES (1)", "DELETE FROM other", dbname="shop")
    sql("DELETE FROM things WHERE n <= 300", dbname="shop")
    sql("BEGIN", "DELETE FROM things", "ROLLBACK", dbname="shop")
    sql(
        "BEGIN", "DELETE FROM things WHERE n <= 310", "SAVEPOINT s", "DELETE FROM things WHERE n <= 400",
        "ROLLBACK TO s", "SAVEPOINT s2", "DELETE FROM things WHERE n <= 320", "RELEASE s2", "COMMIT", dbname="shop",
    )  # fmt: skip
    # Many segments, so that records cross from one into the next.
    for _ in range(3):
        sql("UPDATE things SET n = n", dbname="shop")
        sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1500000))", dbname="shop")
    sql("TRUNCATE things", dbname="shop")
    sql("INSERT INTO things SELECT generate_series(1, 7)", "DELETE FROM things WHERE n < 3", dbname="shop")
    sql("VACUUM FULL things", dbname="shop")
    after = str(value(site, "SELECT clock_timestamp()::text"))
    time.sleep(0.1)
    sql("DROP TABLE things", dbname="shop")
    site.cluster.switch_wal()

    found = happened(site, "things", "--from", begin)
    assert told(found) == [
        ("public.things", "deleted", 300),
        ("public.things", "deleted", 20),
        ("public.things", "updated", 680),
        ("public.things", "updated", 680),
        ("public.things", "updated", 680),
        ("public.things", "truncated", None),
        ("public.things", "deleted", 2),
        ("public.things", "rewritten", None),
    ]
    assert list(found["lost"]) == ["public.things"] and found["segments"] > 4
    assert told(happened(site, "things", "--from", after)) == [("public.things", "dropped", None)]
    # Up to a time; and of several tables, in their order.
    both = happened(site, "things", "other", "--from", begin, "--to", found["events"][1]["at"])
    assert told(both) == [
        ("public.other", "deleted", 1), ("public.things", "deleted", 300), ("public.things", "deleted", 20),
    ]  # fmt: skip

    # Pasted into a restore it is the moment just before.
    config = {"config_file": str(site.config_file)}
    same = module(installed, "pg_wal_search", database="shop", tables=["things"], since=after, **config)
    assert not same["changed"] and same["events"][0]["xid"] > 0
    for event, rows in ((same["events"][0], 5), (found["events"][5], 680), (found["events"][0], 1000)):
        done = module(
            installed, "pg_restore_table", database="shop", tables=["things"], suffix=f"_{event['xid']}",
            **event["just_before"], **config,
        )["restored"]  # fmt: skip
        assert list(done["rows"].values()) == [rows]

    error = site.lifeboat("table", "search", "shop", "things", "--from", since, status=1).error
    assert error["error_code"] == "table_missing"
    error = site.lifeboat("table", "search", "shop", "things", "--from", "noon", status=1).error
    assert error["error_code"] == "config_invalid" and "--from is 'noon'" in error["message"]
    assert scratches(site) == []
