# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Impossible incremental backups, the reason, and what is made instead; chains across changes of a server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from lifeboat.base.errors import BackupCorrupt
from lifeboat.config.load import DirectoryOptions, load
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.repository import Repositories
from lifeboat.restore.combine import STAGING, combine, extract_links
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import until

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites) -> Site:
    """A summarizing cluster with a directory and one full backup."""
    made = sites(newest_postgres, segment_mb=1, summarize_wal="on", track_commit_timestamp="on")
    made.backup()
    return made


def recorded(site: Site) -> List[str]:
    return sorted(p.parent.name for p in site.repository_dir.glob("backups/*/manifest.json"))


def refused(site: Site, reason: str, *says: str, kind: str = "incremental", **options: Any) -> Dict[str, Any]:
    """A backup of this kind that must be refused for this reason, and leaves nothing behind."""
    known = recorded(site)
    error = site.lifeboat("backup", "--type", kind, status=1, **options).error
    assert (error["error_code"], error["details"]["reason"]) == ("incremental_impossible", reason), error
    for words in says:
        assert words in error["message"], error
    assert "full" in error["hint"]
    assert recorded(site) == known
    return error


AUTO = ("--type", "auto")
ALLOWED = ("--type", "incremental", "--fallback", "full")


def falls_back(site: Site, words: Tuple[str, ...], *says: str) -> None:
    """A full backup is made instead, with this reason."""
    done = site.lifeboat("backup", *words).data
    assert (done["backup"]["type"], done["backup"]["parent"]) == ("full", None)
    (note,) = [n for n in done["notes"] if "a full backup instead" in n]
    for part in says:
        assert part in note


def setting(site: Site, name: str, value: str) -> None:
    site.cluster.execute(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")
    until(lambda: site.cluster.value(f"SHOW {name}") == value, "the reload")


def restored(site: Site, name: str, ledger: Ledger, *words: str) -> Dict[str, Any]:
    """Restore to the latest moment; the ledger is complete."""
    clone = site.clone(name)
    done = site.lifeboat(*restore_arguments(clone, *words)).data
    assert rows(clone) == expected(ledger.entries)
    clone.stop()
    return dict(done["restore"])


# --- no incremental backup ------------------------------------------------------------------------------------------


def test_an_older_server_makes_full_backups_only(oldest_postgres: Installation, sites: Sites) -> None:
    if oldest_postgres.major >= 17:
        pytest.skip("no PostgreSQL before 17 is here")
    site = sites(oldest_postgres, segment_mb=1)
    site.backup()
    for kind in ("incremental", "differential"):
        refused(site, "version", f"PostgreSQL {oldest_postgres.version.split()[0]}", "version 17", kind=kind)
    falls_back(site, AUTO, "version 17")
    falls_back(site, ALLOWED, "version 17")


def test_without_any_backup_there_is_no_parent(newest_postgres: Installation, sites: Sites) -> None:
    site = sites(newest_postgres, segment_mb=1, summarize_wal="on")
    refused(site, "no_parent", "No full backup can be the parent of a differential one", kind="differential")
    refused(site, "no_parent", "No backup can be the parent of an incremental one")
    assert site.lifeboat("backup", "--type", "auto", "--plan").data["type"] == "full"
    falls_back(site, AUTO, "No backup can be the parent of an incremental one")


def test_summaries_that_are_off_or_were_off(site: Site) -> None:
    setting(site, "summarize_wal", "off")
    assert site.lifeboat("backup", *AUTO, "--plan").data["type"] == "full"
    error = refused(site, "summarize_wal", "summarize_wal is off")
    assert "ALTER SYSTEM SET summarize_wal = on" in error["hint"]
    site.cluster.execute("CREATE TABLE unseen AS SELECT generate_series(1, 100) AS n")
    site.cluster.switch_wal()
    site.cluster.execute("CHECKPOINT")
    # What was summarized before is gone, as it is after wal_summary_keep_time.
    for summary in (site.cluster.data_dir / "pg_wal" / "summaries").iterdir():
        summary.unlink()
    setting(site, "summarize_wal", "on")
    site.cluster.execute("CHECKPOINT")
    state = "SELECT count(*) FROM pg_available_wal_summaries()"
    until(lambda: site.cluster.value(state) > 0, "a new summary")
    refused(site, "summaries_missing", "The server has no WAL summary from", recorded(site)[0])
    falls_back(site, AUTO, "no WAL summary")
    # The full one is a parent again.
    assert site.backup("--type", "incremental")["parent"] == recorded(site)[-2]


def test_a_summarizer_that_is_late_is_waited_for(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    site = sites(newest_postgres, summarize_wal="on")
    site.backup()
    config = site.write(tmp_path / "x.yml", backup={"wal_timeout": 60, "summary_timeout": 1.5})
    pid = site.cluster.value("SELECT summarizer_pid FROM pg_get_wal_summarizer_state()")
    os.kill(pid, signal.SIGSTOP)
    try:
        site.cluster.execute(
            "CREATE TABLE much AS SELECT n, repeat('x', 900) AS filler FROM generate_series(1, 85000) n"
        )
        error = refused(site, "summaries_late", "has made no progress for 1.5 s", config_file=config)
        assert error["details"]["pending"] in error["message"]
        # One that wakes up in time is all right.
        waiting = subprocess.Popen(
            [site.command, "--config", site.config_file, "--json", "backup", "--type", "incremental"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until(lambda: locks(site) or waiting.poll() is not None, "the backup to begin")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    out, err = waiting.communicate()
    assert waiting.returncode == 0, err
    assert json.loads(out)["backup"]["type"] == "incremental"


def test_a_parent_whose_manifest_is_damaged(site: Site) -> None:
    label = recorded(site)[0]
    flip(site.repository_dir / "backups" / label / "backup_manifest")
    refused(site, "parent_damaged", label, "backup_manifest")
    falls_back(site, ALLOWED, label)


def test_a_parent_that_cannot_be_restored_is_passed_over(site: Site) -> None:
    first = recorded(site)[0]
    lost = site.backup("--type", "incremental")["label"]
    child = site.backup("--type", "incremental")["label"]
    (site.repository_dir / "backups" / lost / "base.tar.zst").unlink()
    planned = site.lifeboat("backup", "--type", "incremental", "--plan").data
    assert (planned["type"], planned["parent"]) == ("incremental", first)
    reasons = " ".join(planned["notes"])
    assert f"not based on {child}" in reasons
    assert f"{lost}, which {child} needs, lacks its file base.tar.zst" in reasons
    assert site.backup("--type", "incremental")["parent"] == first


def test_a_repository_without_the_parent_makes_it_none(site: Site, tmp_path: Path) -> None:
    second = entry(1, DirectoryOptions(str(tmp_path / "second")))
    (tmp_path / "second").mkdir()
    site.repositories.append(second)
    site.write()
    site.cluster.switch_wal()
    refused(site, "no_parent", "repository repo1 does not have it")
    full = site.backup("--type", "auto")
    assert full["type"] == "full"
    assert site.backup("--type", "auto")["parent"] == full["label"]


def test_a_fresh_backup_is_one_of_that_type_or_a_fuller_one(site: Site) -> None:
    full = recorded(site)[0]
    for kind in ("incremental", "differential", "auto"):
        fresh = site.lifeboat("backup", "--type", kind, "--max-age", "3600").data
        assert (fresh["changed"], fresh["backup"]["label"]) == (False, full)
    made = site.backup("--type", "incremental")["label"]
    fresh = site.lifeboat("backup", "--type", "incremental", "--max-age", "3600").data
    assert (fresh["changed"], fresh["backup"]["label"]) == (False, made)
    assert site.lifeboat("backup", "--type", "full", "--max-age", "3600").data["backup"]["label"] == full
    shutil.rmtree(site.repository_dir / "backups" / full)
    # What cannot be restored is not fresh.
    assert site.lifeboat("backup", "--type", "auto", "--max-age", "3600").data["backup"]["type"] == "full"


def test_an_unprivileged_role_makes_them_too(site: Site, tmp_path: Path) -> None:
    site.cluster.execute("CREATE ROLE keeper LOGIN REPLICATION", "GRANT pg_monitor TO keeper")
    there = {"host": str(site.cluster.socket_dir), "port": site.cluster.port, "user": "keeper"}
    config = site.write(tmp_path / "x.yml", connection=there)
    done = site.lifeboat("backup", "--type", "incremental", config_file=config).data
    assert done["backup"]["type"] == "incremental"


# --- interrupted, and beside another --------------------------------------------------------------------------------


def locks(site: Site) -> int:
    return int(site.cluster.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


@contextlib.contextmanager
def slow_incremental(site: Site, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A running incremental backup of about 8 MB, at 500 kB per second."""
    site.cluster.execute("CREATE TABLE much AS SELECT n, md5(n::text) AS filler FROM generate_series(1, 100000) n")
    config = site.write(path, backup={"wal_timeout": 120, "max_rate_kb": 500})
    process = subprocess.Popen(
        [site.command, "--config", config, "--json", "backup", "--type", "incremental"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    streaming = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 0"
    try:
        until(lambda: site.cluster.value(streaming) or process.poll() is not None, "the stream to begin")
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_an_incremental_that_is_killed_never_existed_and_the_next_one_works(site: Site, tmp_path: Path) -> None:
    ledger = Ledger(site.cluster)
    ledger.write(2)
    full = recorded(site)
    with slow_incremental(site, tmp_path / "slow.yml") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert recorded(site) == full
    until(lambda: not locks(site), "the lock to go")
    made = site.backup("--type", "incremental")
    assert made["parent"] == full[0]
    ledger.write(2)
    site.cluster.switch_wal()
    assert restored(site, "after a kill", ledger)["chain"] == [full[0], made["label"]]


def test_two_at_once_is_one_too_many(site: Site, tmp_path: Path) -> None:
    with slow_incremental(site, tmp_path / "slow.yml") as process:
        process.send_signal(signal.SIGSTOP)
        for kind in ("incremental", "auto", "full"):
            error = site.lifeboat("backup", "--type", kind, status=1).error
            assert error["error_code"] == "backup_running"
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_a_restore_of_a_chain_that_is_killed_starts_afresh(site: Site) -> None:
    ledger = Ledger(site.cluster)
    ledger.write(2)
    site.backup("--type", "incremental")
    ledger.write(2)
    site.cluster.switch_wal()
    clone = site.clone("killed")
    process = subprocess.Popen(
        [site.command, "--config", site.config_file, *restore_arguments(clone)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: (clone.data_dir / "lifeboat_chain" / "0" / "PG_VERSION").exists(), "the first link")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (clone.data_dir / "lifeboat_chain").exists()
    assert [p["state"] for p in site.lifeboat(*restore_arguments(clone), "--plan").data["places"]] == ["unfinished"]
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)
    assert not (clone.data_dir / "lifeboat_chain").exists()
    clone.stop()


# --- another timeline -----------------------------------------------------------------------------------------------


def test_a_chain_continues_through_a_change_of_timeline(site: Site) -> None:
    cluster = site.cluster
    # The ledger reads its commits from pg_wal.
    cluster.execute("ALTER SYSTEM SET wal_keep_size = '64MB'", "SELECT pg_reload_conf()")
    ledger = Ledger(cluster)
    ledger.write(2)
    first = site.backup("--type", "incremental")
    ledger.write(2)
    cluster.stop()
    (cluster.data_dir / "standby.signal").touch()
    cluster.start()
    cluster.pg_ctl("promote", "-w")
    ledger.write(2)
    second = site.backup("--type", "incremental")
    assert (first["timeline"], second["timeline"]) == (1, 2)
    assert second["parent"] == first["label"]
    ledger.write(2)
    cluster.switch_wal()
    cluster.stop()
    assert restored(site, "across", ledger)["chain"] == [*recorded(site)]


def test_after_a_restore_the_server_makes_what_it_can_and_says_so(site: Site) -> None:
    """Summaries are not part of a backup: the restored server itself knows whether it has them."""
    cluster = site.cluster
    ledger = Ledger(cluster)
    ledger.write(2)
    site.backup("--type", "incremental")
    ledger.write(2)
    cluster.switch_wal()
    cluster.kill9()
    shutil.rmtree(cluster.data_dir)
    site.lifeboat("restore")
    ledger.write(2)
    # A backup that lies behind the fork is no parent, one before it may be.
    made = site.lifeboat("backup", "--type", "auto").data
    assert made["backup"]["timeline"] == 2
    assert made["backup"]["type"] == "incremental" or "no WAL summary" in made["notes"][0]
    print(made["backup"]["type"], made["notes"])
    ledger.write(2)
    cluster.switch_wal()
    cluster.stop()
    assert restored(site, "after a restore", ledger)["label"] == made["backup"]["label"]


# --- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in_place", "pg_combinebackup"])
def test_a_link_with_a_changed_byte_is_found_although_it_can_be_combined(
    site: Site, tmp_path: Path, how: str
) -> None:
    site.cluster.execute("CREATE TABLE wide AS SELECT n, repeat('x', 300) FROM generate_series(1, 5000) n")
    site.backup()
    site.cluster.execute("DELETE FROM wide WHERE n < 10")
    label = site.backup("--type", "incremental")["label"]
    config = load(str(site.config_file))
    repositories = Repositories.open(config)
    chain = load_catalog(repositories.items[0]).chains().whole[label]
    data = tmp_path / "data"
    extract_links(repositories.items[0], chain, str(data), {}, lambda done: None)
    repositories.close()
    flip(data / STAGING / "0" / site.cluster.value("SELECT pg_relation_filepath('wide')"))
    with pytest.raises(BackupCorrupt, match=f"{chain[0].label} fails pg_verifybackup"):
        combine(config.bin_dir, chain, str(data), {}, how)
    assert not (data / "PG_VERSION").exists()
    # Without it they are combined, and the directory is the server's.
    flip(data / STAGING / "0" / site.cluster.value("SELECT pg_relation_filepath('wide')"))
    shutil.rmtree(data / STAGING / "result", ignore_errors=True)
    combine(config.bin_dir, chain, str(data), {}, how)
    assert (data / "PG_VERSION").exists() and not (data / STAGING).exists()


# --- visibility maps ------------------------------------------------------------------------------------------------


def test_an_index_only_scan_of_a_restored_chain_counts_what_is_there(site: Site) -> None:
    """WAL summaries miss cleared bits of a visibility map: the maps must be sent whole."""
    cluster = site.cluster
    cluster.execute(
        "CREATE EXTENSION pg_visibility",
        "CREATE TABLE seen (n int PRIMARY KEY, filler text)",
        "INSERT INTO seen SELECT n, repeat('x', 300) FROM generate_series(1, 20000) n",
        "VACUUM (FREEZE, ANALYZE) seen",
    )
    site.backup()
    for first in (1, 8000):
        cluster.execute(f"UPDATE seen SET filler = 'changed' WHERE n BETWEEN {first} AND {first + 500}")
        site.backup("--type", "incremental")
    cluster.execute("DELETE FROM seen WHERE n > 19000")
    site.backup("--type", "differential")
    cluster.switch_wal()
    clone = site.clone("seen")
    for label in [b["label"] for b in site.lifeboat("list").data["backups"] if b["type"] != "full"]:
        shutil.rmtree(clone.data_dir, ignore_errors=True)
        site.lifeboat(*restore_arguments(clone, "--label", label, "--immediate"))
        wrong = clone.value("SELECT count(*) FROM pg_check_visible('seen')")
        frozen = clone.value("SELECT count(*) FROM pg_check_frozen('seen')")
        there = 19000 if label.endswith("diff") else 20000
        assert (wrong, frozen, clone.value("SELECT count(*) FROM seen")) == (0, 0, there), label
        assert clone.value("SELECT count(*) FROM pg_visibility_map('seen') WHERE all_visible") > 0
        clone.stop()
