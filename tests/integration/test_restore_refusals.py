# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore refuses while planning: targets, backups, WAL and directories. Nothing has been touched yet."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from lifeboat import restore
from lifeboat.base.errors import (
    BackupMissing,
    ConfigError,
    DataDirectoryRefused,
    DiskFull,
    LifeboatError,
    RecoveryFailed,
    TargetUnreachable,
    WalGap,
)
from lifeboat.config.load import load
from lifeboat.records.model import Target, format_time, parse_time
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import POINT, Copy, Lost
from support.postgres import Sites, restore_arguments

pytestmark = pytest.mark.integration

Asked = Callable[[Lost], Tuple[Dict[str, Any], List[str]]]


def at(moment: datetime, *named: str, **more: Any) -> Tuple[Dict[str, Any], List[str]]:
    return {"target": Target("time", moment.isoformat()), **more}, [format_time(moment), *named]


def during(lost: Lost) -> datetime:
    begin, end = parse_time(lost.first["started_at"]), parse_time(lost.first["finished_at"])
    return begin + (end - begin) / 2


def future() -> datetime:
    return datetime.now(timezone.utc) + timedelta(hours=1)


UNREACHABLE: Dict[str, Asked] = {
    "time before the first backup": lambda t: at(t.before, "is before", t.first["label"], t.first["finished_at"]),
    "time while the backup ran": lambda t: at(during(t), "between the start and the end", t.first["label"]),
    "time before the asked backup": lambda t: at(
        t.entries[2].committed, t.second["label"], "the requested one", label=t.second["label"]
    ),
    "time behind the last commit": lambda t: at(
        t.entries[-1].committed + timedelta(milliseconds=1), "after the archived WAL", "last archived commit"
    ),
    "time in the future": lambda _: at(future(), "in the future"),
    "lsn before the first backup": lambda t: (
        {"target": Target("lsn", t.entries[0].lsn)},
        [t.entries[0].lsn, t.first["label"], t.first["stop_lsn"]],
    ),
    "lsn behind the archive": lambda _: ({"target": Target("lsn", "7/77")}, ["lsn 7/77", "after the archived WAL"]),
    "xid before the first backup": lambda t: (
        {"target": Target("xid", str(t.entries[0].xid))},
        [f"transaction '{t.entries[0].xid}'"],
    ),
    "unknown xid": lambda _: ({"target": Target("xid", "987654")}, ["transaction '987654'", "searched: 0000"]),
    "unknown restore point": lambda _: ({"target": Target("name", "no such point")}, ["restore point 'no such point'"]),
    "unknown timeline": lambda _: ({"target": Target(timeline="7")}, ["no timeline 7", "it has 1"]),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_target_that_cannot_be_reached_is_reported_before_anything_is_touched(
    copy: Copy, tmp_path: Path, case: str
) -> None:
    request, named = UNREACHABLE[case](copy.lost)
    clone = tmp_path / "clone"
    with pytest.raises(TargetUnreachable) as refused:
        copy.plan(clone, **request)
    for words in named:
        assert words in refused.value.message
    assert refused.value.error_code == "target_unreachable"
    assert refused.value.hint
    assert not clone.exists()


def test_a_plan_tells_the_latest_time_that_can_be_reached(copy: Copy, tmp_path: Path) -> None:
    late = copy.lost.entries[-1].committed + timedelta(milliseconds=1)
    with pytest.raises(TargetUnreachable) as refused:
        copy.plan(tmp_path / "clone", Target("time", late.isoformat()))
    latest = parse_time(refused.value.details["latest"])
    assert copy.lost.entries[-1].committed <= latest < late
    planned = copy.plan(tmp_path / "clone", Target("time", latest.isoformat(), inclusive=False))
    assert planned.backup.label == copy.lost.second["label"]


def test_an_unknown_or_missing_backup_is_named(copy: Copy, tmp_path: Path) -> None:
    label = "20010101T000000Z-full"
    with pytest.raises(BackupMissing) as refused:
        copy.plan(tmp_path / "clone", label=label)
    assert label in refused.value.message
    assert copy.lost.second["label"] in refused.value.message
    for known in (copy.lost.first["label"], copy.lost.second["label"]):
        copy.file(known, "manifest.json").unlink()
    with pytest.raises(BackupMissing) as none:
        copy.plan(tmp_path / "clone")
    assert "2 unfinished" in none.value.message
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize("damage", [os.unlink, lambda path: os.truncate(path, 0)], ids=["missing", "empty"])
def test_a_gap_in_the_wal_is_named_before_anything_is_touched(
    copy: Copy, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    clone = tmp_path / "clone"
    victim = copy.behind(copy.lost.second)[1]
    name = victim.name.split(".")[0]
    damage(victim)
    last = copy.lost.entries[-1]
    for target in (Target(), Target("time", last.committed.isoformat()), Target("lsn", last.lsn)):
        with pytest.raises(WalGap) as gap:
            copy.plan(clone, target)
        assert name in gap.value.message
        assert gap.value.details["missing"] == [name]
    with pytest.raises(TargetUnreachable) as unknown:
        copy.plan(clone, Target("name", POINT))
    assert name in unknown.value.message
    assert not clone.exists()
    gaps = copy.lost.site.lifeboat("list", config_file=copy.config_file).data["gaps"]
    assert {g["label"]: g["missing"] for g in gaps} == {
        copy.lost.first["label"]: [name],
        copy.lost.second["label"]: [name],
    }


def test_a_gap_behind_the_target_is_no_obstacle(copy: Copy, lost: Lost) -> None:
    gap = copy.behind(lost.second)[2]
    gap.unlink()
    clone = lost.site.clone("before the gap")
    copy.restore(clone, "--time", lost.entries[6].committed.isoformat())
    assert rows(clone) == expected(lost.entries[:7])
    clone.stop()


def test_a_gap_that_a_newer_backup_lies_behind_is_no_obstacle_either(copy: Copy, tmp_path: Path) -> None:
    copy.behind(copy.lost.first)[0].unlink()
    assert copy.plan(tmp_path / "clone").backup.label == copy.lost.second["label"]
    with pytest.raises(WalGap):
        copy.plan(tmp_path / "clone", label=copy.lost.first["label"])


def test_a_backup_without_the_wal_that_makes_it_consistent_is_refused(copy: Copy, tmp_path: Path) -> None:
    within = copy.segments[copy.segments.index(copy.behind(copy.lost.second)[0]) - 1]
    within.unlink()
    with pytest.raises(WalGap) as gap:
        copy.plan(tmp_path / "clone", Target("immediate"))
    assert within.name.split(".")[0] in gap.value.message
    assert copy.lost.second["label"] in gap.value.message
    assert "consistent" in gap.value.message


# --- directories ------------------------------------------------------------------------------------------------


def refused_directory(copy: Copy, data_dir: Path, *named: str, **request: Any) -> LifeboatError:
    before = sorted(data_dir.rglob("*")) if data_dir.exists() else None
    with pytest.raises(DataDirectoryRefused) as refused:
        copy.plan(data_dir, **request)
    for words in named:
        assert words in refused.value.message
    assert (sorted(data_dir.rglob("*")) if data_dir.exists() else None) == before
    return refused.value


def test_a_directory_in_use_is_refused(copy: Copy, sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    other = sites(newest_postgres)
    running = other.cluster.data_dir
    for existing in ("refuse", "move_aside"):
        refused_directory(copy, running, "server is running", str(running), existing=existing)
    identifier = other.cluster.system_identifier
    other.cluster.stop()
    refused_directory(copy, running, "another cluster", identifier, str(running))
    refused_directory(copy, copy.lost.site.cluster.data_dir, "this cluster", copy.lost.site.data_dir)
    foreign = tmp_path / "home"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    error = refused_directory(copy, foreign, "not a data directory", str(foreign))
    assert "move_aside" in error.hint
    for existing in ("refuse", "move_aside"):
        # The stopped cluster's own tablespace, which nobody mapped to another place.
        whose = (str(copy.lost.space), "belongs to the cluster in", copy.lost.site.data_dir)
        refused_directory(copy, tmp_path / "clone", *whose, tablespaces={}, existing=existing)


def test_implausible_directories_are_refused(copy: Copy, tmp_path: Path) -> None:
    space = str(copy.lost.space)
    for spaces, named in (
        ({"/nowhere": str(tmp_path / "x")}, ["/nowhere", copy.lost.second["label"]]),
        ({space: str(tmp_path / "clone" / "inside")}, ["nested", str(tmp_path / "clone" / "inside")]),
        ({space: "relative/path"}, ["'relative/path'", "not absolute"]),
    ):
        with pytest.raises(ConfigError) as refused:
            copy.plan(tmp_path / "clone", tablespaces=spaces)
        for words in named:
            assert words in refused.value.message
    with pytest.raises(ConfigError, match="'sideways'"):
        copy.plan(tmp_path / "clone", action="sideways")
    assert not (tmp_path / "clone").exists()


def test_another_major_version_is_refused(
    copy: Copy, tmp_path: Path, oldest_postgres: Installation, newest_postgres: Installation
) -> None:
    if oldest_postgres == newest_postgres:
        pytest.skip("needs two versions of PostgreSQL, here is one")
    config = dataclasses.replace(load(str(copy.config_file)), bin_dir=oldest_postgres.bin_dir)
    with pytest.raises(RecoveryFailed) as refused:
        restore.plan(config, restore.RestoreRequest(data_dir=str(tmp_path / "clone")))
    assert newest_postgres.version in refused.value.message
    assert oldest_postgres.version in refused.value.message
    assert str(newest_postgres.major) in refused.value.hint


def test_root_is_refused(copy: Copy, tmp_path: Path) -> None:
    command = [
        copy.lost.site.command,
        "--config",
        copy.config_file,
        "--json",
        "restore",
        "--data-dir",
        tmp_path / "clone",
    ]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", *command], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespace to be root in: {done.stderr.strip()}")
    assert done.returncode == 1
    assert '"config_invalid"' in done.stderr
    assert "cannot run as root" in done.stderr
    assert not (tmp_path / "clone").exists()


# --- what would fail after the whole extraction -----------------------------------------------------------------


def test_settings_rejected_by_postgresql_are_refused(copy: Copy, tmp_path: Path) -> None:
    for settings, named in (
        ({"work_mem": "a lot"}, "work_mem"),
        ({"port": "70000"}, "70000"),
        ({"no_such_setting": "1"}, "no_such_setting"),
        ({"max_connections": 20, "wal_level": "sometimes"}, "wal_level"),
        ({"not a name": "x"}, "syntax error"),
        ({"restore_command": "cp %f %p"}, "restore_command"),
        ({"recovery_target_time": "2026-11-22"}, "recovery_target_time"),
        ({"data_directory": "/srv/other"}, "data_directory"),
    ):
        with pytest.raises(ConfigError) as refused:
            copy.plan(tmp_path / "clone", settings=settings)
        assert named in refused.value.message
        # In PostgreSQL's words, without a half of the time that its log puts before them.
        assert not re.search(r"\d:\d\d|LOG:", refused.value.message)
        assert refused.value.hint
    good = {"work_mem": "64MB", "search_path": 'a, "b\'c"', "my.own": "x\ny", "jit": False}
    assert copy.plan(tmp_path / "clone", settings=good).backup.label == copy.lost.second["label"]
    assert not (tmp_path / "clone").exists()


def test_a_clone_without_a_port_of_its_own_is_refused_while_the_port_is_in_use(
    copy: Copy, sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    live = sites(newest_postgres).cluster
    connection = {"host": str(live.socket_dir), "port": live.port, "user": "postgres"}
    copy.configure(copy.config_file, connection=connection)
    apart = {"listen_addresses": "", "unix_socket_directories": str(tmp_path)}
    for request in ({}, {"settings": {"port": live.port}}, {"action": "pause", "target": Target("immediate")}):
        with pytest.raises(ConfigError) as refused:
            copy.plan(tmp_path / "clone", **request)
        assert f"Port {live.port}" in refused.value.message
        assert str(live.data_dir) in refused.value.message
        assert "--set port=" in refused.value.hint
        # A server that is to pause cannot be left stopped.
        other_way = "action shutdown" if "action" in request else "leave it stopped"
        assert other_way in refused.value.hint
    copy.plan(tmp_path / "clone", action="shutdown", target=Target("immediate"))
    for request in ({"leave": "stopped"}, {"settings": {"port": live.port + 1}}, {"settings": apart}):
        copy.plan(tmp_path / "clone", **request)
    live.stop()
    copy.plan(tmp_path / "clone")


def test_a_restore_point_that_is_there_twice_behind_the_backup_is_refused(
    newest_postgres: Installation, sites: Sites
) -> None:
    site = sites(newest_postgres, segment_mb=1, track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    label = site.backup()["label"]
    for backup in (True, False):
        ledger.write(1)
        site.cluster.execute("SELECT pg_create_restore_point('deploy')")
        ledger.write(1)
        site.cluster.switch_wal()
        if backup:
            site.backup()
    clone = site.clone("clone")
    words = restore_arguments(clone, "--name", "deploy")
    error = site.lifeboat(*words, "--label", label, status=1).error
    assert error["error_code"] == "target_unreachable"
    first, second = error["details"]["positions"]
    assert f"--lsn {second}" in error["hint"]
    assert not clone.data_dir.exists()
    # The one that the hint names, and behind the newer backup the name is enough.
    lsn = restore_arguments(clone, "--label", label, "--lsn", second)
    site.lifeboat(*lsn)
    assert rows(clone) == expected(ledger.entries[:3])
    clone.stop()
    site.lifeboat(*words, "--existing", "move_aside")
    assert rows(clone) == expected(ledger.entries[:3])
    assert first != second


# --- room -------------------------------------------------------------------------------------------------------

#: Run in a mount namespace of its own, as an ordinary user: plan, fill the file system but for 4 MiB, apply.
FILL = """
import json, os, sys
from lifeboat import restore
from lifeboat.config.load import load
from lifeboat.base.errors import LifeboatError
config, data_dir, space, fill = json.loads(sys.stdin.read())
request = restore.RestoreRequest(data_dir=data_dir, tablespaces={space: data_dir + " space"}, leave="stopped")
try:
    planned = restore.plan(load(config), request)
    if fill:
        disk = os.statvfs(os.path.dirname(data_dir))
        with open(os.path.join(os.path.dirname(data_dir), "filler"), "wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, disk.f_bavail * disk.f_frsize - 4 * 1024 * 1024)
    restore.apply(load(config), planned)
except LifeboatError as exc:
    entries = os.listdir(data_dir) if os.path.isdir(data_dir) else None
    print(json.dumps({**exc.as_dict(), "entries": entries}))
"""
MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec unshare --user --map-user=65534 --map-group=65534 "$@"'


def restore_on_a_small_disk(copy: Copy, disk: Path, size: str, fill: bool) -> Dict[str, Any]:
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, size, disk, sys.executable, "-c", FILL],
        input=json.dumps([str(copy.config_file), str(disk / "clone"), str(copy.lost.space), fill]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_disk_that_is_too_small_is_refused_by_the_plan(copy: Copy, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    error = restore_on_a_small_disk(copy, disk, "40m", fill=False)
    assert error["error_code"] == DiskFull.error_code
    assert str(disk) in error["message"]
    assert error["details"]["free"] <= 40 * 1024 * 1024
    assert error["details"]["needed"] == copy.lost.second["data_size"]
    assert error["entries"] is None


def test_a_disk_that_fills_up_meanwhile_is_named_and_what_was_extracted_is_removed(copy: Copy, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    error = restore_on_a_small_disk(copy, disk, "160m", fill=True)
    assert error["error_code"] == DiskFull.error_code
    assert str(disk / "clone") in error["message"]
    assert error["entries"] == ["lifeboat_restore.json"]


def test_a_timeline_that_one_object_claims_is_named(copy: Copy, tmp_path: Path) -> None:
    """The writer's keys can create a history and WAL of a timeline that the cluster never had."""
    (home,) = copy.root.glob("wal/*")
    (home / "00000007.history").write_text("1\t0/100\tno recovery target specified\n")
    log = home / "00000007" / "00000000"
    log.mkdir(parents=True)
    shutil.copy(copy.segments[0], log / f"00000007{copy.segments[0].name[8:]}")
    with pytest.raises(TargetUnreachable) as refused:
        copy.plan(tmp_path / "clone")
    assert f"The latest timeline is 7, by main/wal/{home.name}/00000007.history; no backup is on it." in (
        refused.value.message
    )
    assert "--timeline 1" in refused.value.hint
    assert copy.plan(tmp_path / "clone", Target(timeline="1")).path.timeline == 1
