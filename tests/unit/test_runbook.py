# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore by hand: whatever the names contain, the shell passes each as one word."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import List

import pytest
from lifeboat.config.load import DirectoryOptions, RepositoryConfig, S3Options
from lifeboat.records.model import ArchiveFile
from lifeboat.records.tablespace import Tablespace
from lifeboat.repository.repository import Repository
from lifeboat.restore.runbook import restore_by_hand
from support.records import SYSTEM, a_backup

NASTY = "a b'c\"d$HOME`id`;&|*"
# A line is one write: the programs of a pipeline run at the same time.
SPY = """#!/bin/sh
line=${0##*/}
for word; do line=$line$(printf '\\t%s.' "$word"); line=${line%.}; done
printf '%s\\n' "$line" >>"$SPY_LOG"
"""


def run_with_spies(script: str, tmp_path: Path, **environment: str) -> List[List[str]]:
    """Run a script with every program of the restore replaced by one that records its arguments."""
    spies = tmp_path / "spies"
    spies.mkdir()
    for name in ("aws", "zstd", "tar", "pg_verifybackup", "pg_combinebackup", "pg_ctl"):
        (spies / name).write_text(SPY)
        (spies / name).chmod(0o755)
    log = tmp_path / "words"
    done = subprocess.run(
        ["sh"],
        input=script,
        text=True,
        capture_output=True,
        check=False,
        env={"PATH": f"{spies}:{os.environ['PATH']}", "SPY_LOG": str(log), "HOME": "/nowhere", **environment},
    )
    assert done.returncode == 0, f"{done.stderr}\n{script}"
    return [line.split("\t") for line in log.read_text().splitlines()]


def test_a_directory_repository_and_tablespaces_with_nasty_names(tmp_path: Path) -> None:
    root, pgdata, space = tmp_path / NASTY, tmp_path / ("data " + NASTY), tmp_path / ("space " + NASTY)
    backup = a_backup(tablespaces=(Tablespace("16385", "ts", str(space)), Tablespace("16386", "t2", "/not/used")))
    archives = tuple(ArchiveFile(f"{t.oid}.tar.zst", 1, "0" * 64, t.oid) for t in backup.tablespaces)
    backup = replace(backup, files=(*backup.files, *archives))
    files = root / "main" / "backups" / backup.label
    files.mkdir(parents=True)
    for name in ("base.tar.zst", "16385.tar.zst", "16386.tar.zst", "backup_manifest"):
        (files / name).write_text(name)
    repository = Repository.open(RepositoryConfig("dir", DirectoryOptions(str(root))), "main")
    other = tmp_path / "given by hand"
    (pgdata / "pg_tblspc").mkdir(parents=True)  # the spy of tar makes none
    words = run_with_spies(
        restore_by_hand(repository, (backup,)), tmp_path, PGDATA=str(pgdata), TABLESPACE_16386=str(other)
    )
    extracted = [w[w.index("-C") + 1] for w in words if w[0] == "tar"]
    assert sorted(extracted) == sorted([str(pgdata), str(space), str(other)])
    assert ["pg_verifybackup", "--no-parse-wal", "--ignore=tablespace_map", str(pgdata)] in words
    assert ["pg_ctl", "-D", str(pgdata), "-w", "start"] in words
    assert (pgdata / "backup_manifest").read_text() == "backup_manifest"
    assert os.readlink(pgdata / "pg_tblspc" / "16385") == str(space)
    assert (pgdata / "tablespace_map").read_text() == f"16385 {space}\n16386 {other}\n"
    assert (pgdata / "recovery.signal").exists()
    assert (pgdata / "postgresql.auto.conf").read_text() == (
        "restore_command = './fetch_wal %f %p'\narchive_mode = off\n"
    )


def fetch_wal(tmp_path: Path, pgdata: Path, name: str, wanted: Path, status: int) -> None:
    done = subprocess.run(["sh", str(pgdata / "fetch_wal"), name, str(wanted)], capture_output=True, check=False)
    assert done.returncode == status, done.stderr


@pytest.mark.skipif(not any(Path(p, "zstd").exists() for p in os.environ["PATH"].split(":")), reason="no zstd here")
def test_the_script_for_wal_fetches_segments_and_histories(tmp_path: Path) -> None:
    root, pgdata = tmp_path / NASTY, tmp_path / "data"
    backup = a_backup()
    (root / "main").mkdir(parents=True)
    repository = Repository.open(RepositoryConfig("dir", DirectoryOptions(str(root))), "main")
    script = restore_by_hand(repository, (backup,))
    files = root / "main" / "backups" / backup.label
    files.mkdir(parents=True)
    for name in ("base.tar.zst", "backup_manifest"):
        (files / name).write_text(name)
    run_with_spies(script, tmp_path, PGDATA=str(pgdata))
    segment = "00000001000000020000000A"
    key = root / repository.layout.wal(SYSTEM, segment)
    key.parent.mkdir(parents=True)
    subprocess.run(["zstd", "-q", "-o", key], input=b"wal", check=True)
    (root / repository.layout.wal(SYSTEM, "00000002.history")).write_bytes(b"history")
    fetch_wal(tmp_path, pgdata, segment, tmp_path / "to here", 0)
    assert (tmp_path / "to here").read_bytes() == b"wal"
    fetch_wal(tmp_path, pgdata, "00000002.history", tmp_path / "h", 0)
    assert (tmp_path / "h").read_bytes() == b"history"
    for absent in ("00000001000000020000000B", "00000003.history"):
        fetch_wal(tmp_path, pgdata, absent, tmp_path / "x", 1)
        assert not (tmp_path / "x").exists()
    key.write_bytes(b"damaged")
    fetch_wal(tmp_path, pgdata, segment, tmp_path / "y", 255)


def test_an_s3_repository_is_read_by_the_aws_client(tmp_path: Path) -> None:
    store = S3Options(bucket="a-bucket", prefix=NASTY, secret_access_key="hunter2-canary", access_key_id="id")
    repository = Repository.open(RepositoryConfig("cloud", store), "main")
    backup = a_backup()
    script = restore_by_hand(repository, (backup,))
    assert "hunter2" not in script
    words = run_with_spies(script, tmp_path, PGDATA=str(tmp_path / "data"))
    prefix = f"s3://a-bucket/{NASTY}/main/backups/{backup.label}"
    assert [w for w in words if w[0] == "aws"] == [
        ["aws", "s3", "cp", f"{prefix}/{name}", "-"] for name in ("base.tar.zst", "backup_manifest")
    ]


def test_an_equals_sign_in_a_path_is_no_mapping_of_its_own(tmp_path: Path) -> None:
    """pg_combinebackup takes OLD=NEW, with a backslash before an equals sign that belongs to a path."""
    root, pgdata, space = tmp_path / "a=b", tmp_path / "data=1", tmp_path / "space=2"
    full = a_backup(tablespaces=(Tablespace("16385", "ts", str(space)),))
    full = replace(full, files=(*full.files, ArchiveFile("16385.tar.zst", 1, "0" * 64, "16385")))
    link = replace(full, label="20261122T030000Z-incr", type="incremental", parent=full.label)
    for backup in (full, link):
        (root / "main" / "backups" / backup.label).mkdir(parents=True)
        for name in ("base.tar.zst", "16385.tar.zst", "backup_manifest"):
            (root / "main" / "backups" / backup.label / name).write_text(name)
    repository = Repository.open(RepositoryConfig("dir", DirectoryOptions(str(root))), "main")
    for number in (0, 1):
        (tmp_path / "data=1.links" / str(number) / "pg_tblspc").mkdir(parents=True)
    pgdata.mkdir()
    words = run_with_spies(restore_by_hand(repository, (full, link)), tmp_path, PGDATA=str(pgdata))
    (called,) = (w for w in words if w[0] == "pg_combinebackup")
    escaped = str(tmp_path).replace("=", "\\=")
    assert called[called.index("-T") + 1] == f"{escaped}/data\\=1.links/1.16385={escaped}/space\\=2"
