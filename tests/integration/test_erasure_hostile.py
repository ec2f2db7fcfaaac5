# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No erasure runs code as a superuser: neither a registered statement nor code of the table's owner."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base import clock
from lifeboat.base.errors import ErasureFailed
from lifeboat.config.load import S3Options
from lifeboat.erasure.reapply import reapply
from lifeboat.records.model import format_time
from lifeboat.repository.erasures import Erasure, ErasureRequest, default_statement, make_erasure
from lifeboat.store.s3.client import checksum_params, connect
from support.hostile import DATABASE, OWNER, act, gained, plant
from support.installations import Installation
from support.postgres import Cluster, Site, Sites, restore_arguments

pytestmark = pytest.mark.integration

TABLE = (
    "CREATE TYPE public.word AS ENUM ('anna', 'berta', 'carl')",
    "CREATE FUNCTION public.spell(public.word) RETURNS text LANGUAGE plpgsql AS"
    " $$BEGIN PERFORM trap.strike('cast'); RETURN pg_catalog.enum_out($1); END$$",
    "CREATE CAST (public.word AS text) WITH FUNCTION public.spell(public.word)",
    "CREATE TABLE public.people (id int PRIMARY KEY, name public.word)",
    "INSERT INTO public.people VALUES (4711, 'anna'), (4712, 'berta'), (4713, 'carl')",
    "CREATE TABLE public.orders (who int REFERENCES public.people ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO public.orders VALUES (4711), (4713)",
)
TRIGGER = (
    "CREATE FUNCTION public.act() RETURNS trigger LANGUAGE plpgsql AS"
    " $$BEGIN PERFORM trap.strike('trigger'); RETURN coalesce(NEW, OLD); END$$",
    "CREATE TRIGGER before BEFORE DELETE OR UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION public.act()",
    "CREATE CONSTRAINT TRIGGER late AFTER DELETE OR UPDATE ON public.people DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION public.act()",
)
ANNA = ErasureRequest(DATABASE, "people", "id", "4711")


@pytest.fixture
def site(postgres: Installation, sites: Sites) -> Site:
    """A cluster with a database whose owner wants to become superuser."""
    made = sites(postgres, segment_mb=1)
    plant(made.cluster)
    act(made.cluster, *TABLE, *TRIGGER)
    return made


def erasure(request: ErasureRequest, **changes: Any) -> Erasure:
    return replace(make_erasure(request, clock.now(), "me"), **changes)


def run(site: Site, *erasures: Erasure) -> List[int]:
    return [one.rows for one in reapply(site.config.connection, erasures)]


def left(cluster: Cluster) -> Dict[str, List[int]]:
    found = {}
    for table, column in (("people", "id"), ("orders", "who")):
        rows = cluster.rows(f"SELECT {column} FROM public.{table} ORDER BY 1", dbname=DATABASE)
        found[table] = [row[0] for row in rows]
    return found


def test_a_deletion_runs_triggers_and_casts_of_the_owner_as_the_owner(site: Site) -> None:
    by_cast = ErasureRequest(DATABASE, "public.people", "name", "berta", hash_key=False)
    assert run(site, erasure(ANNA), erasure(by_cast)) == [1, 1]
    assert left(site.cluster) == {"people": [4713], "orders": [4713]} and gained(site.cluster) == []
    # Nothing stays behind.
    assert not site.cluster.rows("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname ~ '^lifeboat'", dbname=DATABASE)
    assert not site.cluster.rows("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname ~ '^lifeboat'")


WAYS_UP = (
    "DELETE FROM people; ALTER ROLE mallory SUPERUSER",
    "RESET ROLE; ALTER ROLE mallory SUPERUSER",
    "RESET SESSION AUTHORIZATION; ALTER ROLE mallory SUPERUSER",
    "DO $$BEGIN SET ROLE postgres; ALTER ROLE mallory SUPERUSER; END$$",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "DECLARE later CURSOR WITH HOLD FOR SELECT trap.strike('held')",
    "SET CONSTRAINTS ALL DEFERRED; DELETE FROM public.people",
    "DELETE FROM pg_catalog.pg_authid WHERE rolname = 'mallory'",
    "COMMIT; ALTER ROLE mallory SUPERUSER",
    "CREATE TEMP TABLE pg_class ()",
    "SELECT %(nothing)s",
)


def test_no_statement_leads_to_a_superuser(site: Site) -> None:
    before = left(site.cluster)
    for owner in (OWNER, "postgres"):
        site.cluster.execute(f"ALTER TABLE public.people OWNER TO {owner}", dbname=DATABASE)
        for statement in WAYS_UP:
            with pytest.raises(ErasureFailed):
                run(site, erasure(ANNA, statement=statement))
            assert left(site.cluster) == before and gained(site.cluster) == [], statement
    assert not site.cluster.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'mallory'")


def test_a_statement_runs_on_tables_of_a_superuser_too(site: Site) -> None:
    site.cluster.execute(
        "ALTER TABLE public.people OWNER TO postgres", "ALTER TABLE public.orders OWNER TO postgres",
        "ALTER TABLE public.people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", dbname=DATABASE,
    )  # fmt: skip
    both = "DELETE FROM people WHERE id::text = %(key)s; DELETE FROM orders WHERE who = 4713"
    clear = replace(ANNA, hash_key=False, statement=both)
    assert run(site, erasure(clear)) == [1]
    assert left(site.cluster) == {"people": [4712, 4713], "orders": []} and gained(site.cluster) == []


def test_row_security_hides_nobody(site: Site) -> None:
    act(
        site.cluster,
        "ALTER TABLE public.people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "CREATE POLICY nobody ON public.people USING (trap.strike('policy') AND false)",
    )
    assert run(site, erasure(ANNA)) == [1]
    assert left(site.cluster)["people"] == [4712, 4713] and gained(site.cluster) == []
    forced = "SELECT relforcerowsecurity FROM pg_catalog.pg_class WHERE oid = 'public.people'::regclass"
    assert site.cluster.value(forced, dbname=DATABASE)


def test_a_deletion_from_the_catalogue_is_refused(site: Site) -> None:
    forged = ErasureRequest(DATABASE, "pg_catalog.pg_authid", "rolname", OWNER, hash_key=False)
    with pytest.raises(ErasureFailed, match="PostgreSQL's own"):
        run(site, erasure(forged))


def test_a_record_whose_words_differ_from_its_deletion_is_a_statement_of_its_own() -> None:
    made = make_erasure(ANNA, clock.now(), "me")
    assert made.is_default
    other = default_statement(made.table, made.column, hash_key=False)
    for changed in (made.statement + " ", made.statement + "; SELECT 1", other):
        assert not replace(made, statement=changed).is_default
    # What was confirmed is what is run.
    assert replace(made, statement="SELECT 1").confirmation != replace(made, statement="SELECT 2").confirmation


def put(site: Site, made: Erasure) -> None:
    """As somebody with the writer's keys."""
    path = Path(site.repository_dir) / "erasures" / f"{made.id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(made.record())


def test_a_forged_record_runs_nothing_in_a_restore(site: Site) -> None:
    site.backup()
    site.cluster.switch_wal()
    put(site, erasure(ANNA, statement="COPY (SELECT 1) TO PROGRAM 'true'\x1b[8m"))
    clone = site.clone("clone")
    error = site.lifeboat(*restore_arguments(clone), status=1).error
    assert error["error_code"] == "erasures_unconfirmed" and not clone.data_dir.exists()
    assert "TO PROGRAM 'true'\\u001b[8m" in error["message"] and "\x1b" not in error["message"]
    assert site.lifeboat("erasure", "apply", status=1).error["error_code"] == "erasures_unconfirmed"
    # A test of the restore goes on, and tells it.
    report = site.lifeboat("verify", "--restore").data
    (found,) = (f for f in report["findings"] if f["name"] == "erasures")
    assert found["state"] == "left out" and report["proven"]


def test_as_of_a_moment_what_came_later_is_confirmed_first(
    newest_postgres: Installation, sites: Sites, s3_options: S3Options
) -> None:
    options = replace(s3_options, bucket=f"past-{secrets.token_hex(4)}")
    admin = connect(options)
    admin.call("create_bucket")
    admin.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    site = sites(newest_postgres, options, segment_mb=1)
    plant(site.cluster)
    act(site.cluster, *TABLE)
    site.backup()
    site.cluster.switch_wal()
    # The store tells the time of a version to the second.
    time.sleep(2)
    moment = format_time(clock.now())
    time.sleep(2)
    late = erasure(ANNA)
    body = late.record()
    key = f"{options.prefix.strip('/')}/main/erasures/{late.id}.json"
    admin.call("put_object", key, Body=body, **checksum_params(body))
    admin.close()
    clone = site.clone("clone")
    arguments = restore_arguments(clone)
    assert site.lifeboat(*arguments, "--plan").data["erasures"] == [late.shown()]
    error = site.lifeboat("--as-of", moment, *arguments, status=1).error
    assert error["error_code"] == "erasures_unconfirmed" and "later than as_of" in error["message"]
    assert not clone.data_dir.exists()
    confirmed = ("--confirm-erasures", late.confirmation)
    done = site.lifeboat("--as-of", moment, *arguments, *confirmed).data["restore"]
    assert [one["rows"] for one in done["erasures"]["applied"]] == [1]
    assert left(clone) == {"people": [4712, 4713], "orders": [4713]}
