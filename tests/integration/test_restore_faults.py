# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore with damage, interruptions or an unavailable store fails loudly, and never promotes early."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

import pytest
import zstandard
from lifeboat.base.errors import ChainBroken, ObjectCorrupt
from lifeboat.postgres.controldata import read_control
from lifeboat.records.model import ArchiveFile, dump_manifest, load_manifest
from lifeboat.store import open_store
from seaweedfs import SeaweedFS
from support.choice import represented
from support.faultproxy import STATUS, Fault, FaultProxy
from support.ledger import expected, rows
from support.lost import Copy, Lost, flip
from support.postgres import Cluster, entry
from support.processes import until
from support.stores import s3_options_for

pytestmark = pytest.mark.integration

#: So that the host command is called for each file, where a test steps in.
ONE_BY_ONE = {"prefetch": 0}


def marker(clone: Cluster) -> Dict[str, Any]:
    return dict(json.loads((clone.data_dir / "lifeboat_restore.json").read_text()))


def failed(copy: Copy, clone: Cluster, code: str, *named: str, config_file: Path | None = None) -> None:
    """Restore to the latest moment, which must fail with this code and message."""
    error = copy.restore(clone, status=1, config_file=config_file).error
    assert error["error_code"] == code, error
    for words in named:
        assert words in error["message"]
    assert error["hint"]


def recovery_failed(copy: Copy, clone: Cluster, *named: str, config_file: Path | None = None) -> None:
    """As above; the remains are neither running nor promoted, and marked as unfinished."""
    failed(copy, clone, "recovery_failed", *named, config_file=config_file)
    assert not clone.running
    assert read_control(clone.installation.bin_dir, str(clone.data_dir)).timeline == 1
    assert not list((clone.data_dir / "pg_wal").glob("*.history"))
    assert not marker(clone)["finished"]


def restored(copy: Copy, clone: Cluster) -> None:
    """The same restore again, with the copy's own configuration: it starts over and restores everything."""
    (clone.data_dir / "intruder").write_text("of an earlier attempt")
    copy.restore(clone)
    assert rows(clone) == expected(copy.lost.entries)
    assert clone.value("SELECT count(*) FROM far") == 0
    assert not (clone.data_dir / "intruder").exists()
    clone.stop()


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base.tar.zst", "backup_manifest", "tablespace"])
@represented(name="base.tar.zst")
def test_a_damaged_backup_file_is_named_and_nothing_of_it_stays(copy: Copy, lost: Lost, name: str) -> None:
    clone = lost.site.clone(f"damaged {name}")
    label = lost.second["label"]
    if name == "tablespace":
        name = f"{lost.second['tablespaces'][0]['oid']}.tar.zst"
    flip(copy.file(label, name))
    failed(copy, clone, "backup_corrupt", label, f"{label}/{name}", str(copy.root))
    assert [p.name for p in clone.data_dir.iterdir()] == ["lifeboat_restore.json"]
    assert not list(Path(f"{clone.data_dir} space").iterdir())
    assert not marker(clone)["finished"]
    shutil.rmtree(clone.data_dir)
    findings = lost.site.lifeboat("verify", label, config_file=copy.config_file, status=1).data["findings"]
    assert [(f["label"], name in f["message"]) for f in findings] == [(label, True)]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "empty"])
def test_a_backup_without_one_of_its_files_is_not_begun(
    copy: Copy, lost: Lost, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bad, good = lost.second["label"], lost.first["label"]
    damage(copy.file(bad, "base.tar.zst"))
    with pytest.raises(ChainBroken) as refused:
        copy.plan(tmp_path / "clone", label=bad)
    assert "base.tar.zst" in refused.value.message
    assert good in refused.value.hint
    planned = copy.plan(tmp_path / "clone")
    assert planned.backup.label == good
    assert any(bad in note and "base.tar.zst" in note for note in planned.notes)


def test_a_file_that_was_damaged_before_it_was_stored_does_not_pass_pg_verifybackup(copy: Copy, lost: Lost) -> None:
    """The checksums of the stored objects are correct: only PostgreSQL's own manifest reveals it."""
    clone = lost.site.clone("damaged at the source")
    label = lost.second["label"]
    archive, record = copy.file(label, "base.tar.zst"), copy.file(label, "manifest.json")
    with zstandard.ZstdDecompressor().stream_reader(archive.read_bytes()) as stream:
        content = bytearray(stream.read())
    place = content.index(b"# TYPE  DATABASE")  # in pg_hba.conf
    content[place] ^= 1
    archive.chmod(0o600)
    record.chmod(0o600)
    archive.write_bytes(zstandard.compress(bytes(content)))
    manifest = load_manifest(record.read_bytes(), "manifest.json")
    changed = archive.read_bytes()
    files = tuple(
        ArchiveFile(f.name, len(changed), hashlib.sha256(changed).hexdigest()) if f.name == "base.tar.zst" else f
        for f in manifest.files
    )
    record.write_bytes(dump_manifest(dataclasses.replace(manifest, files=files)))
    failed(copy, clone, "backup_corrupt", label, "pg_verifybackup", "pg_hba.conf")
    assert not clone.running
    assert not marker(clone)["finished"]


@pytest.mark.parametrize("damage", [flip, lambda path: os.truncate(path, 0)], ids=["flipped", "empty"])
def test_a_damaged_record_leaves_the_other_backups_usable(
    copy: Copy, lost: Lost, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bad, good = lost.second["label"], lost.first["label"]
    damage(copy.file(bad, "manifest.json"))
    listed = lost.site.lifeboat("list", config_file=copy.config_file).data
    assert [b["label"] for b in listed["backups"]] == [good]
    assert [(d["label"], d["error_code"]) for d in listed["damaged"]] == [(bad, "object_corrupt")]
    planned = copy.plan(tmp_path / "clone")
    assert planned.backup.label == good
    assert any(bad in note for note in planned.notes)
    with pytest.raises(ObjectCorrupt) as refused:
        copy.plan(tmp_path / "clone", label=bad)
    assert f"{bad}/manifest.json" in refused.value.message
    checked = lost.site.lifeboat("check", config_file=copy.config_file, status=2).data
    assert [bad in c["name"] for c in checked["checks"] if "manifest.json" in c["message"]] == [True]


def swap(path: Path) -> None:
    """Put another segment's content under this name."""
    other = sorted(path.parent.iterdir())[0]
    assert other != path
    path.chmod(0o600)
    shutil.copy(other, path)


@pytest.mark.parametrize("damage", [flip, swap])
@represented(damage=flip)
def test_a_damaged_segment_stops_recovery_instead_of_ending_it_early(
    copy: Copy, lost: Lost, damage: Callable[[Path], None]
) -> None:
    clone = lost.site.clone(f"segment {damage.__name__}")
    victim = copy.behind(lost.second)[1]
    intact = victim.read_bytes()
    damage(victim)
    recovery_failed(copy, clone, victim.name.split(".")[0], "254")
    assert str(victim.name.split(".")[0]) in Path(clone.data_dir / "lifeboat_restore.log").read_text()
    victim.write_bytes(intact)
    restored(copy, clone)


def test_a_damaged_last_segment_is_named_by_the_plan(copy: Copy, tmp_path: Path) -> None:
    last = copy.segments[-1]
    flip(last)
    with pytest.raises(ObjectCorrupt) as refused:
        copy.plan(tmp_path / "clone")
    assert last.name in refused.value.message
    assert not (tmp_path / "clone").exists()


# --- stores that go away ----------------------------------------------------------------------------------------


def wrapper(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_a_directory_that_is_unmounted_during_recovery_stops_it(copy: Copy, lost: Lost, tmp_path: Path) -> None:
    clone = lost.site.clone("unmounted")
    name = copy.behind(lost.second)[2].name.split(".")[0]
    mounted = copy.root.parent
    command = wrapper(
        tmp_path / "lifeboat",
        f'case "$*" in *"wal-fetch"*"{name}"*) mv "{mounted}" "{mounted}.away" && mkdir "{mounted}";; esac',
        f'exec "{lost.site.command}" "$@"',
    )
    config_file = copy.configure(tmp_path / "away.yml", command=str(command), restore=ONE_BY_ONE)
    recovery_failed(copy, clone, name, "254", config_file=config_file)
    mounted.rmdir()
    mounted.with_name("repository.away").rename(mounted)
    restored(copy, clone)


def test_a_restore_command_that_cannot_start_stops_recovery(copy: Copy, lost: Lost, tmp_path: Path) -> None:
    clone = lost.site.clone("no command")
    missing = tmp_path / "not installed"
    config_file = copy.configure(tmp_path / "broken.yml", command=str(missing))
    recovery_failed(copy, clone, "254", config_file=config_file)
    assert str(missing) in (clone.data_dir / "lifeboat_restore.log").read_text()


def test_s3_that_fails_during_recovery_stops_it(
    lost: Lost, copy: Copy, tmp_path: Path, seaweedfs: SeaweedFS, bucket: str, fault_proxy: FaultProxy
) -> None:
    options = s3_options_for(seaweedfs, bucket, "goes away")
    store = open_store(options)
    for file in (p for p in copy.root.rglob("*") if p.is_file()):
        store.put(f"main/{file.relative_to(copy.root)}", file.read_bytes())
    store.close()
    repository = {**entry(0, options), "endpoint_url": fault_proxy.endpoint_url, "max_attempts": 1}
    name = copy.behind(lost.second)[1].name
    fault_proxy.inject(Fault(STATUS, times=1000, method="GET", target=name))
    clone = lost.site.clone("s3 goes away")
    config_file = copy.configure(tmp_path / "s3.yml", repositories=[repository])
    recovery_failed(copy, clone, name.split(".")[0], "254", config_file=config_file)
    # Asked again before it gave up: a single 503 is no reason to stop.
    assert fault_proxy.count("GET", name) >= 3
    assert "503" in (clone.data_dir / "lifeboat_restore.log").read_text()


# --- interruptions ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def begun(
    copy: Copy, clone: Cluster, config_file: Path, reached: Path, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A restore in its own process group that has reached a point; killed at the end."""
    words: List[Any] = ["--config", config_file, *copy.arguments(clone)]
    with subprocess.Popen(
        [copy.lost.site.command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env={**os.environ, **env},
    ) as process:  # fmt: skip
        try:
            until(lambda: reached.exists() or process.poll() is not None, "the restore to get that far")
            assert process.poll() is None, process.communicate()[0]
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_restore_that_is_killed_while_it_extracts_starts_afresh(copy: Copy, lost: Lost, tmp_path: Path) -> None:
    clone = lost.site.clone("killed early")
    reached = tmp_path / "reached"
    tar = shutil.which("tar")
    wrapper(
        tmp_path / "bin" / "tar",
        f'{tar} "$@" || exit',
        f'case "$*" in *"--directory={clone.data_dir} --"*) touch "{reached}"; exec sleep 600;; esac',
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    with begun(copy, clone, copy.config_file, reached, {"PATH": path}) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (clone.data_dir / "PG_VERSION").exists()
    assert not (clone.data_dir / "backup_manifest").exists()
    planned = copy.plan(clone.data_dir)
    assert [p.state for p in planned.places] == ["unfinished", "unfinished"]
    restored(copy, clone)


def test_a_restore_that_is_killed_while_the_server_recovers(copy: Copy, lost: Lost, tmp_path: Path) -> None:
    clone = lost.site.clone("killed late")
    reached, hold = tmp_path / "reached", tmp_path / "hold"
    hold.touch()
    name = copy.behind(lost.second)[1].name.split(".")[0]
    command = wrapper(
        tmp_path / "lifeboat",
        f'case "$*" in *"wal-fetch"*"{name}"*)',
        f'  touch "{reached}"; while [ -e "{hold}" ]; do sleep 0.1; done; exit 254;;',
        "esac",
        f'exec "{lost.site.command}" "$@"',
    )
    config_file = copy.configure(tmp_path / "slow.yml", command=str(command), restore=ONE_BY_ONE)
    with begun(copy, clone, config_file, reached, {}) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # Its server goes on alone, where nobody can reach it; a second restore does not pull the ground from under it.
        assert clone.running
        failed(copy, clone, "data_directory_refused", "server is running", str(clone.data_dir))
        hold.unlink()
        until(lambda: not clone.running, "the server's end")
    private = re.search(
        r"unix_socket_directories=(/tmp/lifeboat-\w+)", (clone.data_dir / "postmaster.opts").read_text()
    )
    assert private
    shutil.rmtree(private.group(1))
    restored(copy, clone)


def test_a_recovery_that_takes_too_long_is_stopped(copy: Copy, lost: Lost, tmp_path: Path) -> None:
    clone = lost.site.clone("slow")
    command = wrapper(
        tmp_path / "lifeboat", 'case "$*" in *"wal-fetch"*) sleep 0.5;; esac', f'exec "{lost.site.command}" "$@"'
    )
    config_file = copy.configure(tmp_path / "slow.yml", command=str(command), restore=ONE_BY_ONE)
    error = copy.restore(clone, "--timeout", "0.3", status=1, config_file=config_file).error
    assert error["error_code"] == "recovery_failed"
    assert "0.3 s" in error["message"]
    assert not clone.running


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@represented(number=signal.SIGTERM)
def test_a_terminated_restore_ends_its_server(
    copy: Copy, lost: Lost, tmp_path: Path, number: signal.Signals
) -> None:
    """A dropped SSH session, a key, a service manager, and repeated signals: no recovery continues unnoticed."""
    clone = lost.site.clone(f"ended {number.name}")
    reached = tmp_path / "reached"
    name = copy.behind(lost.second)[1].name.split(".")[0]
    command = wrapper(
        tmp_path / "lifeboat",
        f'case "$*" in *"wal-fetch"*"{name}"*) touch "{reached}"; exec sleep 600;; esac',
        f'exec "{lost.site.command}" "$@"',
    )
    config_file = copy.configure(tmp_path / "slow.yml", command=str(command), restore=ONE_BY_ONE)
    with begun(copy, clone, config_file, reached, {}) as process:
        for _time in range(2):
            os.kill(process.pid, number)
        assert process.wait() == 130
        assert not clone.running
        assert not marker(clone)["finished"]
    restored(copy, clone)
