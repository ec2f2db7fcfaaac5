# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Erased subjects stay erased: a restore to an earlier time erases them again before anybody can see them."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base import clock
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.records.model import format_time
from lifeboat.repository.repository import Repositories
from support.installations import Installation
from support.lost import flip
from support.postgres import Cluster, Site, Sites, restore_arguments
from support.processes import run_program

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """Three people in a cluster backed up into S3 and a directory."""
    (tmp_path / "cold").mkdir()
    site = sites(
        newest_postgres, s3_options, DirectoryOptions(str(tmp_path / "cold")), segment_mb=1,
        options={"audit": {"file": "", "syslog": ""}},
    )  # fmt: skip
    site.cluster.execute(
        "CREATE TABLE people (id int PRIMARY KEY, mail text)",
        "INSERT INTO people VALUES (4711, 'anna@example.org'), (4712, 'berta@example.org'), (4713, 'carl@example.org')",
    )
    site.backup()
    return site


def add(site: Site, key: str, *arguments: str, status: int = 0) -> Dict[str, Any]:
    done = subprocess.run(
        [site.command, "--config", site.config_file, "--json", "erasure", "add", *arguments],
        input=key, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done
    return dict(json.loads(done.stdout if not status else done.stderr.splitlines()[-1]))


def people(cluster: Cluster) -> List[int]:
    return [row[0] for row in cluster.rows("SELECT id FROM people ORDER BY id")]


def later(site: Site) -> str:
    """A moment with everybody in it that a restore can reach, and commits after it."""
    moment = str(site.cluster.value("SELECT clock_timestamp()::text"))
    site.cluster.execute("CREATE TABLE IF NOT EXISTS filler ()", "DROP TABLE filler")
    return moment


def test_a_subject_that_came_back_is_erased_again(site: Site) -> None:
    words = ("--table", "people", "--column", "id")
    site.cluster.execute("DELETE FROM people WHERE id = 4711")
    first = add(site, "4711", *words)
    site.cluster.execute("INSERT INTO people VALUES (4711, 'anna@example.org')")
    between = later(site)
    site.cluster.execute("DELETE FROM people WHERE id = 4711")
    # Without a time it is the one that is known, and the answer says how to add another.
    assert not add(site, "4711", *words)["changed"]
    again = add(site, "4711", *words, "--erased-at", str(site.cluster.value("SELECT clock_timestamp()::text")))
    assert again["changed"] and again["erasure"]["id"] != first["erasure"]["id"]
    site.cluster.switch_wal()
    clone = site.clone("between")
    site.lifeboat(*restore_arguments(clone, "--time", between))
    assert 4711 not in people(clone)
    clone.stop()


def test_a_row_that_comes_back_is_erased_before_the_server_is_open(site: Site, tmp_path: Path) -> None:
    before = later(site)
    # Anna by the hash of her key, Berta by her key and a statement of her own.
    site.cluster.execute("DELETE FROM people WHERE id IN (4711, 4712)")
    anna = add(site, "4711\n", "--table", "people", "--column", "id", "--reference", "DSR-1")
    statement, parameters = tmp_path / "forget.sql", tmp_path / "parameters.json"
    statement.write_text("DELETE FROM people WHERE id = %(key)s::int AND mail = %(mail)s")
    parameters.write_text(json.dumps({"mail": "berta@example.org"}))
    own = ("--statement-file", str(statement), "--parameters-file", str(parameters), "--clear-key")
    berta = add(site, "4712", "--table", "people", "--column", "id", *own)
    # One of a table that is made later, and one of another database that there never was.
    add(site, "1", "--table", "later", "--column", "id")
    add(site, "1", "--table", "people", "--column", "id", "--database", "other")
    site.cluster.switch_wal()
    assert anna["changed"] and anna["repositories"] == ["repo0", "repo1"]
    # The same again is the same.
    assert not add(site, "4711", "--table", "people", "--column", "id", "--reference", "DSR-1")["changed"]
    assert len(site.lifeboat("erasure", "list").data["erasures"]) == 4

    clone = site.clone("clone")
    # Berta's statement is run for those who know it: before anything is touched, it is shown.
    error = site.lifeboat(*restore_arguments(clone, "--time", before), status=1).error
    assert error["error_code"] == "erasures_unconfirmed" and not clone.data_dir.exists()
    (asked,) = error["details"]["unconfirmed"]
    assert asked["statement"] == statement.read_text() in error["message"] and asked["confirm"] in error["message"]
    assert asked == berta["erasure"] and "berta@example.org" not in json.dumps(error)
    confirmed = ("--confirm-erasures", asked["confirm"])
    result = site.lifeboat(*restore_arguments(clone, "--time", before), *confirmed).data["restore"]
    assert people(clone) == [4713]
    applied = {e["id"]: (e["rows"], e["absent"]) for e in result["erasures"]["applied"]}
    assert applied[anna["erasure"]["id"]] == (1, False) and applied[berta["erasure"]["id"]] == (1, False)
    assert sorted(applied.values()) == [(0, True), (0, True), (1, False), (1, False)]
    assert result["erasures"] == {**result["erasures"], "pending": [], "unread": [], "left_out": False}
    # It is on record, and nowhere does a key stand.
    (event,) = site.lifeboat("audit", "list", "--what", "restore").data["events"]
    assert sorted(event["details"]["erasures_applied"]) == sorted(applied)
    log = Path(result["log"]).read_text() if Path(result["log"]).exists() else clone.log.read_text()
    assert "berta@example.org" not in log and "4712" not in log
    registered = "".join(p.read_text() for p in Path(site.repositories[1]["path"]).glob("main/erasures/*"))
    assert "4712" in registered and "4711" not in registered
    clone.stop()

    # By name only it is left out: then they are back.
    clone = site.clone("all")
    result = site.lifeboat(*restore_arguments(clone, "--time", before), "--without-erasures").data["restore"]
    assert people(clone) == [4711, 4712, 4713] and result["erasures"] == {"left_out": True}
    clone.stop()


def test_erasures_contained_in_the_target_are_not_repeated(site: Site) -> None:
    add(site, "4711", "--table", "people", "--column", "id", "--erased-at", "2020-01-01 00:00:00+00")
    site.cluster.switch_wal()
    clone = site.clone("clone")
    result = site.lifeboat(*restore_arguments(clone)).data["restore"]
    assert result["erasures"]["applied"] == [] and people(clone) == [4711, 4712, 4713]


def test_a_failing_erasure_keeps_the_server_closed(site: Site, tmp_path: Path) -> None:
    before = later(site)
    statement = tmp_path / "wrong.sql"
    statement.write_text("DELETE FROM people WHERE nothing = %(key)s")
    added = add(site, "4711", "--table", "people", "--column", "id", "--clear-key", "--statement-file", str(statement))
    site.cluster.switch_wal()
    clone = site.clone("clone")
    confirmed = ("--confirm-erasures", added["erasure"]["confirm"])
    error = site.lifeboat(*restore_arguments(clone, "--time", before), *confirmed, status=1).error
    assert error["error_code"] == "erasure_failed" and added["erasure"]["id"] in error["message"]
    assert "42703" in error["message"] and "--without-erasures" in error["hint"]
    assert not clone.running and "4711" not in json.dumps(error)
    assert not any("4711" in p.read_text(errors="replace") for p in clone.data_dir.glob("*.log"))
    # The next one begins afresh.
    site.lifeboat(*restore_arguments(clone, "--time", before), "--without-erasures")
    assert people(clone) == [4711, 4712, 4713]


def set_apart(site: Site, key: str) -> None:
    """As somebody who may delete does it by hand."""
    repositories = Repositories.open(site.config)
    for repository in repositories.items:
        assert not repository.store.delete([f"{repository.layout.cluster}/{key}"])
    repositories.close()


def test_the_hint_for_a_failing_erasure_works(site: Site, tmp_path: Path) -> None:
    before = later(site)
    wrong, right = tmp_path / "wrong.sql", tmp_path / "right.sql"
    wrong.write_text("DELETE FROM people WHERE nothing = %(key)s")
    right.write_text("DELETE FROM people WHERE id = %(key)s::int")
    own = ("--table", "people", "--column", "id", "--clear-key", "--statement-file")
    bad, good = (add(site, "4711", *own, str(path))["erasure"] for path in (wrong, right))
    other = add(site, "4712", "--table", "people", "--column", "id")["erasure"]
    site.cluster.switch_wal()
    clone = site.clone("clone")
    confirmed = ("--confirm-erasures", good["confirm"])
    asked = (*restore_arguments(clone, "--time", before), *confirmed)
    error = site.lifeboat(*asked, "--confirm-erasures", bad["confirm"], status=1).error
    # Registered anew is not enough: the register keeps both.
    key = f"erasures/{bad['id']}.json"
    assert error["error_code"] == "erasure_failed" and key in error["hint"]
    set_apart(site, key)
    site.lifeboat(*asked)
    assert people(clone) == [4713]

    # That it is gone is to be noted, and the note stands for it alone.
    findings = site.lifeboat("verify", status=1).data["findings"]
    noted = {f["hint"].split("lifeboat audit note ", 1)[1] for f in findings}
    assert noted == {f"prune --object erasures/{bad['id']}"}
    site.lifeboat("audit", "note", *noted.pop().split())
    assert site.lifeboat("verify").data["intact"]
    set_apart(site, f"erasures/{other['id']}.json")
    findings = site.lifeboat("verify", status=1).data["findings"]
    assert {f["key"] for f in findings} == {f"main/erasures/{other['id']}.json"}


def test_the_hint_for_an_erasure_damaged_everywhere_works(site: Site) -> None:
    site.write(repositories=site.repositories[1:])
    site.backup()
    damaged = add(site, "4711", "--table", "people", "--column", "id")["erasure"]["id"]
    (path,) = Path(site.repositories[1]["path"]).glob("main/erasures/*")
    flip(path)
    (repaired,) = site.lifeboat("verify", "--repair", status=1).data["repaired"]
    error = repaired["error"]
    assert error["error_code"] == "repair_refused" and "lifeboat erasure add" in error["hint"]
    path.unlink()
    again = add(site, "4711", "--table", "people", "--column", "id")["erasure"]["id"]
    assert [e["id"] for e in site.lifeboat("erasure", "list").data["erasures"]] == [again] != [damaged]


def test_a_register_that_cannot_be_read_stops_the_restore(site: Site) -> None:
    before = later(site)
    add(site, "4711", "--table", "people", "--column", "id")
    site.cluster.switch_wal()
    (path,) = Path(site.repositories[1]["path"]).glob("main/erasures/*")
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole.replace(b"people", b"nobody"))
    clone = site.clone("clone")
    error = site.lifeboat(*restore_arguments(clone, "--time", before), status=1).error
    assert error["error_code"] == "erasure_failed" and path.name in error["message"]
    assert not clone.running
    # Gone from one repository, the other one still tells it.
    path.unlink()
    site.lifeboat(*restore_arguments(clone, "--time", before))
    assert people(clone) == [4712, 4713]
    clone.stop()
    # And sync brings it back.
    site.lifeboat("sync", "--to", "repo1")
    assert path.read_bytes() == whole


def test_a_paused_server_has_them_pending_until_it_is_promoted(site: Site) -> None:
    before = later(site)
    added = add(site, "4711", "--table", "people", "--column", "id")
    site.cluster.switch_wal()
    clone = site.clone("clone")
    result = site.lifeboat(*restore_arguments(clone, "--time", before), "--action", "pause").data["restore"]
    assert result["erasures"]["pending"] == [added["erasure"]["id"]] and people(clone) == [4711, 4712, 4713]
    clone.execute("SELECT pg_promote()")
    here = site.write(
        site.root / "clone.yml",
        connection={"host": str(clone.socket_dir), "port": clone.port, "user": "postgres"},
    )
    done = site.lifeboat("erasure", "apply", config_file=here).data
    assert [(e["rows"], e["id"]) for e in done["applied"]] == [(1, added["erasure"]["id"])]
    assert people(clone) == [4712, 4713]
    assert not site.lifeboat("erasure", "apply", config_file=here).data["changed"]


def test_retention_never_takes_the_register(site: Site) -> None:
    long_ago = format_time(clock.now() - timedelta(days=4000))
    add(site, "4711", "--table", "people", "--column", "id", "--erased-at", long_ago)
    site.write(retention={"full_days": 0, "wal_days": 0, "keep_last": 1, "audit_days": 0, "settle_hours": 0})
    site.backup()
    site.lifeboat("prune", "--allow", "share")
    assert len(site.lifeboat("erasure", "list").data["erasures"]) == 1
    words = run_program(str(site.command), "--config", str(site.config_file), "erasure", "list")
    assert "people.id" in words and "4711" not in words


def test_a_restored_dump_reapplies_erasures(site: Site) -> None:
    site.lifeboat("dump", "create", "postgres")
    site.cluster.execute("DELETE FROM people WHERE id = 4711")
    erased = add(site, "4711", "--table", "people", "--column", "id")["erasure"]["id"]
    done = site.lifeboat("dump", "restore", "postgres", "--into", "copy").data
    assert done["erased"] == [erased] and done["rows"] >= 3
    site.lifeboat("dump", "restore", "postgres", "--into", "all", "--without-erasures")
    ids = "SELECT array_agg(id ORDER BY id) FROM people"
    assert site.cluster.value(ids, dbname="copy") == [4712, 4713]
    assert site.cluster.value(ids, dbname="all") == [4711, 4712, 4713]
