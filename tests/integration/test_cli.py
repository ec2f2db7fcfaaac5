# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host command with a real repository: output, checks, progress, and plans that change nothing."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Dict, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.repository.layout import Layout
from support.installations import Installation
from support.listed import copy_of, labels, segments, statuses, tree, two_backups, words
from support.postgres import Site, Sites, entry

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(module_sites: Sites, newest_postgres: Installation) -> Site:
    return two_backups(module_sites, newest_postgres)


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Tuple[Path, Path]:
    return copy_of(site, tmp_path)


# --- list and show ----------------------------------------------------------------------------------------------


def test_list_shows_backups_and_the_window(site: Site) -> None:
    data = site.lifeboat("list").data
    first, second = (b["label"] for b in data["backups"])
    text, errors = words(site, "list")
    lines = text.splitlines()
    assert lines[0] == f"cluster main in repository repo0 ({site.repository_dir})"
    head = next(line for line in lines if line.startswith("label"))
    for backup in data["backups"]:
        row = next(line for line in lines if line.startswith(backup["label"]))
        assert row.index(backup["stop_lsn"]) == head.index("stop LSN")
    (window,) = data["windows"]
    assert (window["label"], window["timeline"], window["missing"]) == (first, 1, [])
    assert f"window on timeline 1: {window['start']} to {window['end']}" in text
    assert (data["gaps"], data["damaged"], data["unfinished"], data["passed_over"]) == ([], [], [], [])
    assert all(b["restorable"] for b in data["backups"])
    assert second > first
    assert errors == ""


def test_list_of_an_unused_repository_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "unused").mkdir()
    config = site.write(tmp_path / "x.yml", repositories=[entry(0, DirectoryOptions(str(tmp_path / "unused")))])
    error = site.lifeboat("list", config_file=config, status=1).error
    assert (error["error_code"], str(tmp_path / "unused") in error["message"]) == ("repository_foreign", True)


def test_list_passes_over_a_repository_that_is_down(site: Site, tmp_path: Path) -> None:
    down = entry(0, DirectoryOptions(str(tmp_path / "unmounted")))
    config = site.write(tmp_path / "x.yml", repositories=[down, {**site.repositories[0], "name": "repo1"}])
    data = site.lifeboat("list", config_file=config).data
    assert data["repository"].startswith("repo1 ")
    assert data["passed_over"][0]["error_code"] == "bucket_missing"
    assert f"skipped repo0: {tmp_path / 'unmounted'} is not a directory" in words(site, "list", config_file=config)[0]


def test_show_tells_everything_of_one_backup(site: Site) -> None:
    label = labels(site)[0]
    data = site.lifeboat("show", label).data
    text, _ = words(site, "show", label)
    for file in data["files"]:
        assert file["sha256"] in text
    assert f"system identifier {site.cluster.system_identifier}" in text
    assert "max_connections = 20" in text
    assert data["by_hand"] in text
    assert "recovery.signal" in data["by_hand"]


def test_show_of_an_unknown_label_names_the_newest(site: Site) -> None:
    error = site.lifeboat("show", "20000101T000000Z-full", status=1).error
    assert error["error_code"] == "backup_missing"
    assert "'20000101T000000Z-full'" in error["message"]
    assert labels(site)[-1] in error["message"]
    out, err = words(site, "show", "20000101T000000Z-full", status=1)
    assert out == ""
    assert re.fullmatch(
        r"lifeboat: Repository .* has no backup .*\n  -> Choose a label from lifeboat list\. \[backup_missing\]\n", err
    )


def test_a_healthy_cluster_passes_every_check(site: Site) -> None:
    data = site.lifeboat("check").data
    assert data["status"] == "ok"
    assert {"server", "archiving", "repository repo0: WAL"} <= set(statuses(data))
    text, _ = words(site, "check")
    assert len(text.splitlines()) == len(data["checks"])
    assert all(line.startswith("ok ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("objectives", "status", "named", "says"),
    [
        ({"window": 30}, 1, "window", "shorter than the promised 30 days"),
        ({"rpo": 0.001}, 2, "window", "more than the RPO of 0.001 s"),
        ({"rto": 0.001}, 2, "restore", "more than the RTO of 0.001 s"),
        ({"max_backup_age": 0.001}, 2, "backups", "more than 0 s"),
        ({"window": 0.0, "rpo": 3600, "rto": 3600, "max_backup_age": 3600}, 0, "", ""),
    ],
    ids=["window", "rpo", "rto", "age", "kept"],
)
def test_a_broken_promise_is_reported_by_the_exit_status(
    site: Site, tmp_path: Path, objectives: Dict[str, float], status: int, named: str, says: str
) -> None:
    config = site.write(tmp_path / "x.yml", objectives=objectives)
    data = site.lifeboat("check", config_file=config, status=status).data
    assert data["status"] == {0: "ok", 1: "warning", 2: "critical"}[status]
    bad = [c for c in data["checks"] if c["status"] != "ok"]
    if not named:
        assert not bad
        return
    (found,) = bad
    assert (found["name"], found["status"]) == (f"repository repo0: {named}", data["status"])
    assert says in found["message"]
    assert found["hint"]
    text, _ = words(site, "check", config_file=config, status=status)
    line = re.escape(f"{data['status']:<8}  repository repo0: {named}: ")
    assert re.search(rf"^{line}.*\n          -> {re.escape(found['hint'])}$", text, re.MULTILINE)


def test_check_asks_everything_even_when_much_is_broken(site: Site, tmp_path: Path) -> None:
    down = {**entry(1, DirectoryOptions(str(tmp_path / "unmounted"))), "required": False}
    config = site.write(tmp_path / "x.yml", repositories=[*site.repositories, down])
    found = statuses(site.lifeboat("check", config_file=config, status=1).data)
    assert found["repository repo1"] == "warning"
    config = site.write(
        tmp_path / "x.yml", repositories=[*site.repositories, {**down, "required": True}], connection={"port": 1}
    )
    data = site.lifeboat("check", config_file=config, status=2).data
    assert statuses(data)["server"] == statuses(data)["repository repo1"] == "critical"
    assert statuses(data)["repository repo0: window"] == "ok"
    assert any(str(tmp_path / "unmounted") in c["message"] for c in data["checks"])


def test_check_notices_a_failing_archive_command(site: Site) -> None:
    cluster = site.cluster
    cluster.configure({"archive_command": "exit 1"})
    cluster.pg_ctl("reload")
    try:
        cluster.execute("CREATE TABLE IF NOT EXISTS x ()", "SELECT pg_switch_wal()")
        cluster.execute("DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();"
                        " EXIT WHEN (SELECT failed_count > 0 FROM pg_stat_archiver); END LOOP; END $$")  # fmt: skip
        data = site.lifeboat("check", status=2).data
        (found,) = [c for c in data["checks"] if c["name"] == "archiving"]
        assert found["status"] == "critical"
        assert cluster.value("SELECT last_failed_wal FROM pg_stat_archiver") in found["message"]
    finally:
        cluster.configure({"archive_command": site.archive_command})
        cluster.pg_ctl("reload")
        cluster.switch_wal()


def test_check_notices_wal_that_went_elsewhere(site: Site, copy: Tuple[Path, Path]) -> None:
    repository, config = copy
    segments(repository)[-1].unlink()
    data = site.lifeboat("check", config_file=config, status=2).data
    # By what the server says, and by what is on record.
    found = {c["name"]: c["message"] for c in data["checks"] if c["status"] != "ok"}
    assert set(found) == {"repository repo0: WAL", "repository repo0: lost WAL"}
    assert all(segments(site.repository_dir)[-1].stem in message for message in found.values())


# --- progress and plans -----------------------------------------------------------------------------------------


def test_progress_is_lines_in_a_log_and_silence_for_programs(site: Site) -> None:
    label = labels(site)[0]
    out, err = words(site, "verify", label)
    assert re.fullmatch(f"lifeboat: repo0: {label}\nlifeboat: repo0: [1-9] WAL segments\n", err)
    assert "\r" not in out + err
    assert words(site, "--quiet", "verify", label)[1] == ""
    assert site.lifeboat("verify", label).stderr == ""


def test_progress_is_a_bar_on_a_terminal(site: Site) -> None:
    label = labels(site)[0]
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [site.command, "--config", site.config_file, "verify", label], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=follower, text=True,
        )  # fmt: skip
        os.close(follower)
        shown = b""
        while True:
            try:
                more = os.read(leader, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
        out, _ = process.communicate()
    finally:
        os.close(leader)
    assert process.returncode == 0
    assert "intact" in out
    assert re.search(rb"\r\x1b\[K.*" + label.encode() + rb" \[#+ *\] +\d+% .* of .*B", shown)
    assert shown.endswith(b"\n")


def test_a_plan_changes_nothing(site: Site) -> None:
    before = tree(site.repository_dir), os.listdir(site.root)
    planned = site.lifeboat("backup", "--plan").data
    assert (planned["type"], planned["fresh"]) == ("full", None)
    assert planned["system_identifier"] == site.cluster.system_identifier
    assert planned["repositories"] == [f"repo0 ({site.repository_dir})"]
    clone = site.root / "planned"
    restored = site.lifeboat("restore", "--plan", "--data-dir", str(clone), "--leave", "stopped").data
    assert (restored["label"], restored["archiving"]) == (labels(site)[-1], False)
    assert restored["places"][0]["state"] == "missing"
    assert not clone.exists()
    assert (tree(site.repository_dir), os.listdir(site.root)) == before
    assert "system_identifier: " in words(site, "backup", "--plan")[0]


def test_a_reader_that_stops_early_is_not_an_error(site: Site) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" --config "$1" show "$2" | head -1', site.command, site.config_file, labels(site)[0]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(labels(site)[0])
    assert done.stderr == ""


def test_the_layout_of_a_repository_is_the_documented_one(site: Site) -> None:
    layout, system = Layout("main"), site.cluster.system_identifier
    found = {str(p.relative_to(site.repository_dir.parent)) for p in site.repository_dir.rglob("*") if p.is_file()}
    expected = {layout.repository, layout.system(system)}
    for label in labels(site):
        expected |= {layout.backup(label, n) for n in ("base.tar.zst", "backup_manifest", "manifest.json")}
    assert expected <= found
    # Beside WAL what restores, backups, verifications and the record of all operations have left.
    leases = (layout.leases("restores"), layout.leases("writes"))
    known = (layout.wal_root(system), *leases, layout.verifications, layout.audit)
    assert all(name.startswith(known) for name in found - expected)
