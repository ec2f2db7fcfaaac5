# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differential and incremental backups of real servers, and restores of their chains."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import pytest
from lifeboat import restore
from lifeboat.base.errors import DiskFull
from lifeboat.config.load import DirectoryOptions, load
from seaweedfs import SeaweedFS
from support.choice import represented
from support.installations import Installation
from support.ledger import Entry, Ledger, expected, rows
from support.lost import flip
from support.postgres import Cluster, Ran, Site, Sites, entry, restore_arguments
from support.processes import alive, until
from support.stores import s3_options_for

pytestmark = pytest.mark.integration

NAMES = ["old", "full", "diff", "incr", "last"]
CHAIN = NAMES[1:]


@dataclass
class Story:
    """A lost cluster. In two stores: an old full backup, a full one, a differential one, two incremental ones.

    Three entries of the ledger come before each backup and three behind the last; ``far`` gets one each time. The
    tablespace ``gone`` is only in the full backups, ``late`` came after them. ``near`` is a configuration with the
    second store alone, a directory.
    """

    site: Site
    backups: Dict[str, Dict[str, Any]]
    entries: List[Entry]
    directory: Path
    near: Path

    def spaces(self, clone: Cluster, second: str = "late") -> List[tuple[str, str]]:
        return [(str(self.site.root / name), f"{clone.data_dir} = {name}") for name in ("spaces", second)]

    def label(self, name: str) -> str:
        return str(self.backups[name]["label"])

    def labels(self, *names: str) -> List[str]:
        return [self.label(name) for name in names]

    def restore(
        self, clone: Cluster, *words: str, config_file: Optional[Path] = None, status: int = 0, second: str = "late"
    ) -> Ran:
        arguments = restore_arguments(clone, *words, tablespaces=self.spaces(clone, second))
        return self.site.lifeboat(*arguments, config_file=config_file or self.near, status=status)

    def copy(self, root: Path) -> Copy:
        """A copy of the directory, to be damaged, and a configuration for it."""
        shutil.copytree(self.directory, root / "copy")
        config = self.site.write(root / "copy.yml", repositories=[entry(0, DirectoryOptions(str(root / "copy")))])
        return Copy(root / "copy" / "main" / "backups", config)


@dataclass
class Copy:
    """The backups of a copy of the directory."""

    backups: Path
    config_file: Path


@pytest.fixture(scope="module")
def story(
    newest_postgres: Installation,
    module_sites: Sites,
    seaweedfs: SeaweedFS,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    directory = tmp_path_factory.mktemp("near")
    site = module_sites(
        newest_postgres, s3_options_for(seaweedfs, bucket, f"chain {secrets.token_hex(4)}"),
        DirectoryOptions(str(directory)), name="chain",
        summarize_wal="on", track_commit_timestamp="on",
    )  # fmt: skip
    near = site.write(site.root / "near.yml", repositories=site.repositories[1:])
    cluster = site.cluster
    for name in ("spaces", "gone", "late"):
        (site.root / name).mkdir()
    cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{site.root / 'spaces'}'",
        f"CREATE TABLESPACE gone LOCATION '{site.root / 'gone'}'",
        "CREATE TABLE dropped TABLESPACE gone AS SELECT generate_series(1, 5000) AS n",
        "CREATE TABLE still (n int, filler text)",
        "INSERT INTO still SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n",
    )
    ledger = Ledger(cluster)
    far = Ledger(cluster, "far", tablespace="spacious")
    made: Dict[str, Dict[str, Any]] = {}
    for name, kind in zip(NAMES, ("full", "full", "differential", "incremental", "auto")):
        ledger.write(3)
        far.write(1)
        made[name] = site.backup("--type", kind)
        if name == "full":
            cluster.execute(
                "DROP TABLE dropped",
                "DROP TABLESPACE gone",
                f"CREATE TABLESPACE late LOCATION '{site.root / 'late'}'",
                "CREATE TABLE came TABLESPACE late AS SELECT generate_series(1, 3000) AS n",
            )
        if name == "incr":
            cluster.execute("UPDATE still SET filler = 'short' WHERE n <= 2000", "DELETE FROM came WHERE n > 1000")
            cluster.execute("VACUUM FULL came")
    ledger.write(3)
    cluster.switch_wal()
    cluster.stop()
    return Story(site, made, ledger.entries, directory, near)


# --- what is made ---------------------------------------------------------------------------------------------------


def test_each_backup_names_its_parent_and_holds_what_changed(story: Story) -> None:
    made = story.backups
    assert [made[n]["type"] for n in NAMES] == ["full", "full", "differential", "incremental", "incremental"]
    assert [made[n]["label"].rsplit("-", 1)[1] for n in NAMES] == ["full", "full", "diff", "incr", "incr"]
    parents = [None, None, *story.labels("full", "diff", "incr")]
    assert [made[n]["parent"] for n in NAMES] == parents
    for name in ("diff", "incr", "last"):
        assert made[name]["data_size"] < made["full"]["data_size"] / 2
        assert made[name]["restored_size"] > made["full"]["data_size"] / 2
    listed = {b["label"]: b for b in story.site.lifeboat("list").data["backups"]}
    assert listed[story.label("last")]["chain"] == story.labels(*CHAIN)
    assert all(b["restorable"] and b["broken"] is None for b in listed.values())


# --- what comes back ------------------------------------------------------------------------------------------------


def size_of(directory: Path) -> int:
    return sum(p.lstat().st_size for p in directory.rglob("*") if p.is_file() and "pg_wal" not in p.parts)


def test_a_chain_is_restored_from_s3_to_the_latest_moment(story: Story) -> None:
    clone = story.site.clone("latest")
    done = story.restore(clone, "--leave", "stopped", config_file=story.site.config_file).data
    assert done["plan"]["chain"] == done["restore"]["chain"] == story.labels(*CHAIN)
    # Nothing of the links stays, and nothing takes more room than was announced.
    assert not (clone.data_dir / "lifeboat_chain").exists()
    announced = {p["path"]: p for p in done["plan"]["places"]}
    assert sum(p["size"] + p["staged"] for p in announced.values()) <= done["plan"]["bytes_to_write"]
    for path, place in announced.items():
        assert size_of(Path(path)) <= place["size"] * 1.01 + 65536
        assert place["staged"] > 0
    clone.start()
    assert rows(clone) == expected(story.entries)
    assert rows(clone, "far") == [(i, f"entry {i}") for i in range(1, 6)]
    assert clone.value("SELECT count(*) FROM came") == 1000
    assert clone.value("SELECT count(*) FROM still WHERE filler = 'short'") == 2000
    assert clone.value("SELECT to_regclass('dropped') IS NULL")
    spaces = clone.rows("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname IN ('spacious', 'late')")
    assert sorted(s for (s,) in spaces) == sorted(new for _, new in story.spaces(clone))
    clone.execute("REINDEX DATABASE postgres", "CREATE TABLE new TABLESPACE spacious AS SELECT 1 AS n")
    clone.stop()


@pytest.mark.parametrize(
    ("position", "chain"),
    [(4, ["old"]), (7, ["full"]), (10, ["full", "diff"]), (13, ["full", "diff", "incr"]), (16, CHAIN)],
)
@represented(position=[4, 10, 16])
def test_a_time_is_reached_by_the_newest_chain_before_it(story: Story, position: int, chain: List[str]) -> None:
    clone = story.site.clone(f"time-{position}")
    moment = story.entries[position - 1].committed.isoformat()
    words = ["--time", moment, "--plan"] if position < 10 else ["--time", moment]
    done = story.restore(clone, *words, second="late" if position >= 10 else "gone").data
    assert (done.get("plan") or done)["chain"] == story.labels(*chain)
    if position >= 10:
        assert rows(clone) == expected(story.entries[:position])
        clone.stop()


def test_each_link_can_be_asked_for(story: Story) -> None:
    clone = story.site.clone("by label")
    done = story.restore(clone, "--label", story.label("incr"), "--immediate").data
    assert done["restore"]["chain"] == story.labels("full", "diff", "incr")
    assert rows(clone) == expected(story.entries[:12])
    clone.stop()


# --- links that are gone or damaged ---------------------------------------------------------------------------------


def lose_all(copy: Copy, label: str) -> None:
    shutil.rmtree(copy.backups / label)


def lose_a_file(copy: Copy, label: str) -> None:
    (copy.backups / label / "base.tar.zst").unlink()


def cut_a_file(copy: Copy, label: str) -> None:
    os.truncate(copy.backups / label / "backup_manifest", 10)


def damage_the_record(copy: Copy, label: str) -> None:
    flip(copy.backups / label / "manifest.json")


@pytest.mark.parametrize("loss", [lose_all, lose_a_file, cut_a_file, damage_the_record])
def test_a_lost_link_is_named_with_the_way_out_before_anything_is_touched(
    story: Story, tmp_path: Path, loss: Callable[[Copy, str], None]
) -> None:
    copy = story.copy(tmp_path)
    loss(copy, story.label("diff"))
    clone = story.site.clone(f"lost by {loss.__name__}")
    error = story.restore(clone, "--label", story.label("last"), config_file=copy.config_file, status=1).error
    assert error["error_code"] == "chain_broken"
    assert (error["details"]["label"], error["details"]["link"]) == tuple(story.labels("last", "diff"))
    assert story.label("diff") in error["message"]
    assert story.label("full") in error["hint"]
    assert not clone.data_dir.exists()
    # Without a label the newest backup that is whole is taken, and it is told why it is not a newer one.
    planned = story.restore(clone, "--plan", config_file=copy.config_file, second="gone").data
    assert planned["chain"] == story.labels("full")
    assert sum(story.label("diff") in note for note in planned["notes"]) >= 2
    # verify reads all of it, and check warns.
    found = story.site.lifeboat("verify", config_file=copy.config_file, status=1).data["findings"]
    assert story.label("diff") in {f["label"] for f in found} | {f["details"].get("link") for f in found}


def test_where_no_other_backup_reaches_the_target_the_earliest_is_named(story: Story, tmp_path: Path) -> None:
    copy = story.copy(tmp_path)
    lose_all(copy, story.label("old"))
    lose_a_file(copy, story.label("full"))
    clone = story.site.clone("no way")
    error = story.restore(clone, config_file=copy.config_file, status=1).error
    assert error["error_code"] == "chain_broken"
    assert error["details"]["link"] == story.label("full")
    assert "No other backup" in error["hint"]
    listed = story.site.lifeboat("list", config_file=copy.config_file).data
    assert not clone.data_dir.exists()
    lose_all(copy, story.label("full"))
    listed = story.site.lifeboat("list", config_file=copy.config_file).data
    assert [b["restorable"] for b in listed["backups"]] == [False] * 3
    assert all(story.label("full") in b["broken"] for b in listed["backups"])
    assert not listed["windows"]
    checked = story.site.lifeboat("check", config_file=copy.config_file, status=2).data["checks"]
    assert sum("chain is broken" in c["message"] for c in checked) == 3


@pytest.mark.parametrize("name", ["base.tar.zst", "backup_manifest"])
@represented(name="base.tar.zst")
def test_a_link_with_a_flipped_byte_is_named_and_leaves_nothing(story: Story, tmp_path: Path, name: str) -> None:
    copy = story.copy(tmp_path)
    flip(copy.backups / story.label("diff") / name)
    clone = story.site.clone(f"flipped {name}")
    error = story.restore(clone, config_file=copy.config_file, status=1).error
    assert error["error_code"] == "backup_corrupt"
    assert f"{story.label('diff')}/{name}" in error["message"]
    assert [p.name for p in clone.data_dir.iterdir()] == ["lifeboat_restore.json"]
    words = ["--label", story.label("full"), "--immediate"]
    done = story.restore(clone, *words, config_file=copy.config_file, second="gone").data
    assert done["restore"]["chain"] == story.labels("full")
    assert rows(clone) == expected(story.entries[:6])
    clone.stop()
    found = story.site.lifeboat("verify", story.label("last"), config_file=copy.config_file, status=1).data
    assert found["labels"] == sorted(story.labels(*CHAIN))
    assert [f["label"] for f in found["findings"]] == [story.label("diff")]


def test_the_room_for_links_and_result_is_asked_for(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = story.site.clone("small")
    planned = story.restore(clone, "--plan").data
    assert planned["bytes_to_write"] >= sum(story.backups[n]["data_size"] for n in CHAIN)
    request = restore.RestoreRequest(data_dir=str(clone.data_dir), tablespaces=dict(story.spaces(clone)))
    need = sum(p["size"] + p["staged"] for p in planned["places"])

    def disk(free: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=free, f_frsize=1))

    disk(need + 64 * 2**20)
    restore.plan(load(str(story.near)), request)
    disk(need + 64 * 2**20 - 1)
    with pytest.raises(DiskFull) as full:
        restore.plan(load(str(story.near)), request)
    assert full.value.details["needed"] == need


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["in_place", "pg_combinebackup"])
@represented(number=signal.SIGTERM)
def test_a_terminated_restore_ends_its_programs(
    story: Story, tmp_path: Path, number: signal.Signals, how: str
) -> None:
    """In the middle of a chain: pg_combinebackup, and pg_verifybackup in parallel; in place, pg_verifybackup alone."""
    programs, real = tmp_path / "bin", Path(story.site.cluster.installation.bin_dir)
    programs.mkdir()
    for program in real.iterdir():
        (programs / program.name).symlink_to(program)
    begun = [tmp_path / name for name in ("pg_verifybackup", *([how] if how == "pg_combinebackup" else []))]
    for path in begun:
        (programs / path.name).unlink()
        (programs / path.name).write_text(
            f'#!/bin/sh\n[ "$1" = --help ] && exec "{real / path.name}" --help\n'
            f'echo $$ >"{path}.new"; mv "{path}.new" "{path}"; exec sleep 600\n'
        )
        (programs / path.name).chmod(0o755)
    config_file = story.site.write(
        tmp_path / "slow.yml", bin_dir=str(programs), repositories=[entry(0, DirectoryOptions(str(story.directory)))],
        restore={"combine": how},
    )
    clone = story.site.clone(f"ended {number.name} {how}")
    words = restore_arguments(clone, tablespaces=story.spaces(clone))
    with subprocess.Popen(
        [story.site.command, "--config", config_file, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        pids: List[int] = []
        try:
            until(lambda: all(p.exists() for p in begun) or process.poll() is not None, "both programs")
            assert process.poll() is None, process.communicate()[0]
            pids = [int(p.read_text()) for p in begun]
            os.kill(process.pid, number)
            assert process.wait() == 130
            assert not any(alive(pid) for pid in pids)
        finally:
            for pid in (process.pid, *pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert [p.name for p in clone.data_dir.iterdir()] == ["lifeboat_restore.json"]
