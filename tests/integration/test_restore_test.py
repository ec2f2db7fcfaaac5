# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore tests: good backups pass, faults are reported, and nothing of the scratch cluster is left."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites, entry
from support.processes import alive, until
from support.stores import keys

pytestmark = pytest.mark.integration

QUERIES = [
    {"database": "postgres", "query": "SELECT count(*) FROM things", "minimum": 1000},
    {"database": "postgres", "query": "SHOW archive_mode", "name": "archives nothing", "equals": "off"},
    {"database": "postgres", "query": "SHOW listen_addresses", "name": "no network", "equals": ""},
]
COUNTED = [{"database": "postgres", "table": "things"}]


def states(report: Dict[str, Any]) -> Dict[str, str]:
    return {f["name"]: f["state"] for f in report["findings"]}


def details(report: Dict[str, Any]) -> Dict[str, str]:
    return {f["name"]: f["detail"] for f in report["findings"]}


def scratches(parent: Path) -> List[Path]:
    return [*parent.glob("lifeboat-verify-*")]


def make(site: Site, scratch: Path, **verify: Any) -> None:
    scratch.mkdir(exist_ok=True)
    site.write(verify={"scratch_dir": str(scratch), "queries": QUERIES, "count_tables": COUNTED, **verify})


@pytest.fixture
def site(postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    made = sites(postgres, s3_options, segment_mb=1)
    make(made, tmp_path / "scratch")
    made.cluster.execute(
        "CREATE TABLE things (id int PRIMARY KEY, note text)",
        "INSERT INTO things SELECT n, repeat('x', 500) FROM generate_series(1, 3000) n",
    )
    return made


def test_a_backup_is_proven_and_nothing_is_left(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    site.cluster.execute("INSERT INTO things SELECT n, 'y' FROM generate_series(3001, 3100) n")
    site.cluster.switch_wal()
    before = {name: sorted(found) for name, found in keys(site.config).items()}
    planned = site.lifeboat("verify", "--restore", "--plan").data
    assert planned["label"] == label and not planned["archiving"] and not scratches(tmp_path / "scratch")
    report = site.lifeboat("verify", "--restore", "--report-dir", str(tmp_path / "report")).data
    assert report["proven"] and report["label"] == label
    assert set(states(report).values()) == {"held"}, report["findings"]
    # To the end of the archive, and compared with the backup's own counts.
    assert details(report)["SELECT count(*) FROM things"] == "returns 3100"
    lines = next(f["lines"] for f in report["findings"] if f["name"] == "contents")
    assert "table things of postgres: 3100 rows, 3000 when the backup was made" in lines
    assert not scratches(tmp_path / "scratch") and site.cluster.running
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "The backup can be restored" in page and "every B-tree index" in page
    # New in the repository: the report, the verification, the lease. Nothing was archived by the scratch.
    (after,) = keys(site.config).values()
    new = {key.split("/")[1] for key in set(after) - set(before["repo0"])}
    assert new <= {"restore_tests", "verifications", "restores", "wal"} and {"restore_tests", "verifications"} <= new
    assert not [key for key in after if "/00000002" in key]
    listed = site.lifeboat("list").data["backups"]
    assert listed[0]["verified_at"]
    # It stays, and other repositories get it.
    assert not [r for r in site.lifeboat("prune", "--plan").data["repositories"][0]["removals"] if "tests" in r["key"]]


def test_failed_checks_are_named(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(store)), segment_mb=1)
    make(site, tmp_path / "scratch", max_shrink=5)
    site.cluster.execute(
        "CREATE TABLE things (id int PRIMARY KEY, note text)",
        "INSERT INTO things SELECT n, repeat('x', 500) FROM generate_series(1, 3000) n",
        "CREATE TABLE other (id int PRIMARY KEY)", "INSERT INTO other SELECT generate_series(1, 1000)",
        # A row that its index does not know: what a lost write leaves. A checksum does not tell of it.
        "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'other_pkey'::regclass",
        "INSERT INTO other VALUES (5000)",
        "UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'other_pkey'::regclass",
    )  # fmt: skip
    label = site.backup()["label"]
    site.cluster.execute("DELETE FROM things WHERE id > 900")
    site.cluster.switch_wal()
    ran = site.lifeboat("verify", "--restore", status=1)
    found = details(ran.data)
    assert not ran.data["proven"] and states(ran.data)["restore"] == "held"
    assert "other_pkey" in found["amcheck"] or "other_pkey" in str(ran.data["findings"])
    assert "table things of postgres: 900 rows, 3000 when the backup was made" in found["contents"]
    assert found["SELECT count(*) FROM things"] == "returns 900 instead of at least 1000"
    assert not scratches(tmp_path / "scratch")
    # What was not proven is not on record as verified.
    assert not site.lifeboat("list").data["backups"][0]["verified_at"]

    # A backup that cannot be restored is a finding too; a repository beside does not hide it.
    (tmp_path / "far").mkdir()
    site.repositories = [*site.repositories, {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}]
    make(site, tmp_path / "scratch", amcheck=False)
    site.lifeboat("sync")
    flip(store / "main" / "backups" / label / "base.tar.zst")
    ran = site.lifeboat("verify", "--restore", status=1)
    assert states(ran.data) == {"restore": "broken"} and "base.tar.zst" in details(ran.data)["restore"]
    assert not scratches(tmp_path / "scratch")
    far = site.lifeboat("verify", "--restore", "--repository", "repo1", status=1).data
    assert states(far)["restore"] == "held" and states(far)["amcheck"] == "left out"


def test_without_room_or_place_nothing_begins(
    newest_postgres: Installation, sites: Sites, installed: Path, tmp_path: Path
) -> None:
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path)), segment_mb=1)
    site.backup()
    site.write(verify={"scratch_dir": str(tmp_path / "nowhere")})
    error = site.lifeboat("verify", "--restore", status=1).error
    assert error["error_code"] == "config_invalid" and "nowhere" in error["message"]
    assert site.lifeboat("verify", "--restore", "--repository", "x", status=1).error["error_code"] == "config_invalid"
    site.write(verify={"scratch_dir": str(tmp_path), "queries": [{"query": "SELECT 1"}]})
    error = site.lifeboat("verify", "--restore", status=1).error
    assert "verify.queries[0].database is missing" in error["message"]


def test_an_interrupted_one_leaves_nothing(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path / "store")), segment_mb=1)
    site.backup()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    sleeps = {"database": "postgres", "query": "SELECT pg_sleep(600)"}
    site.write(verify={"scratch_dir": str(scratch), "queries": [sleeps], "amcheck": False})
    argv = [site.command, "--config", site.config_file, "verify", "--restore"]
    # Not by a shell that ignores it: a process in the background would inherit that.
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any("check it" in line for line in process.stderr)
        until(lambda: bool(list(scratch.glob("*/data/postmaster.pid"))), "the scratch server runs")
        pid = int(next(scratch.glob("*/data/postmaster.pid")).read_text().split()[0])
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
    assert not alive(pid) and not scratches(scratch)


def test_leftovers_of_a_killed_test_are_cleared_by_the_next(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path / "store")), segment_mb=1)
    site.backup()
    scratch = tmp_path / "scratch"
    sleeps = {"database": "postgres", "query": "SELECT pg_sleep(600)"}
    make(site, scratch, queries=[sleeps], count_tables=[], amcheck=False)
    argv = [site.command, "--config", site.config_file, "verify", "--restore"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("check it" in line for line in process.stderr)
        until(lambda: "ready" in _postmaster_file(scratch), "the scratch server runs")
        lines = _postmaster_file(scratch).splitlines()
        pid, sockets = int(lines[0]), Path(lines[4])
        process.kill()
    (dead,) = scratches(scratch)
    assert alive(pid) and sockets.is_dir()
    # Of somebody else, by all that can be known here.
    (scratch / "lifeboat-verify-mine").mkdir()
    (scratch / "lifeboat-verify-mine" / "notes.txt").write_text("mine")

    make(site, scratch, queries=[], count_tables=[], amcheck=False)
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert f"{dead} was left by a killed process and has been cleared" in ran.stderr
    assert not alive(pid) and not sockets.exists() and site.cluster.running
    assert [p.name for p in scratch.glob("**/*")] == ["lifeboat-verify-mine", "notes.txt"]
    assert "lifeboat-verify-mine has no lock of a scratch cluster" in ran.stderr


def _postmaster_file(scratch: Path) -> str:
    found = [*scratch.glob("*/data/postmaster.pid")]
    return found[0].read_text() if found else ""
