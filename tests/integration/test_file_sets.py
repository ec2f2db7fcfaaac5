# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets with everything that a directory may contain: stored when changed, restored exactly."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base.errors import ProcessFailed
from lifeboat.codec.zstd import decompress_stream
from lifeboat.config import load as config
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from lifeboat.verify.run import verify
from support.choice import only_all
from support.controller import module
from support.lost import flip

pytestmark = pytest.mark.integration
SYSTEM = "main/systems/7000000000000000001.json"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A set with unusual members: names, links, attributes, holes."""
    for name in ("near", "far"):
        (tmp_path / name / SYSTEM).parent.mkdir(parents=True)
        (tmp_path / name / SYSTEM).write_text("{}")
    root = tmp_path / "source"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a\nname\twith 'quotes' and ü").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/no utf-8 \xff\xfe")).write_bytes(b"bytes")
    (root / "secret").write_text("password")
    (root / "secret").chmod(0o600)
    (root / "run").write_text("#!/bin/sh")
    (root / "run").chmod(0o4755)
    os.link(root / "secret", root / "sub" / "the same file")
    (root / "loop").symlink_to("sub/../loop")
    (root / "nowhere").symlink_to("/does/not/exist")
    with open(root / "sparse", "wb") as stream:
        stream.seek(200 * 2**20)
        stream.write(b"end")
    os.setxattr(root / "run", "user.origin", b"by hand \xff")
    os.utime(root / "run", (1, 10**9))
    return root


def settings(source: Path) -> config.Config:
    return config.parse(
        {
            "cluster": "main",
            "repositories": [
                {"name": name, "type": "directory", "path": str(source.parent / name)} for name in ("near", "far")
            ],
            "file_sets": [
                {"name": "app", "paths": [str(source)], "allow_unsealed_secrets": True, "allow_setuid": True}
            ],
            "audit": {"file": "", "syslog": ""},
        }
    )


def tree(root: Path) -> Dict[str, Any]:
    """Everything that a copy preserves, by path."""
    found: Dict[str, Any] = {}
    for directory, names, plain in os.walk(os.fsencode(root)):
        for name in [*names, *plain]:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            entry: List[Any] = [info.st_mode, info.st_uid, info.st_gid, info.st_nlink, int(info.st_mtime)]
            if stat.S_ISLNK(info.st_mode):
                entry.append(os.readlink(path))
            else:
                entry.append({n: os.getxattr(path, n) for n in os.listxattr(path)})
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as stream:
                    entry.append(stream.read())
            found[os.fsdecode(path[len(os.fsencode(root)) :])] = entry
    return found


def next_second(label: str) -> None:
    while files.make_label(files.clock.now(), "files") == label:
        time.sleep(0.05)


def test_all_of_it_comes_back_as_it_was(source: Path) -> None:
    made = files.backup_files(settings(source), "app")
    assert made.members == 11 and made.unsettled == ()
    # A hole of 200 MB is no content.
    assert made.data_size < 2**20
    before = tree(source)
    source.rename(source.parent / "away")
    assert file_restore.apply(settings(source), FilesRequest("app")).changed
    assert tree(source) == before
    assert os.stat(source / "sparse").st_blocks < 100
    assert not file_restore.apply(settings(source), FilesRequest("app")).changed


def test_the_index_names_each_member(source: Path) -> None:
    made = files.backup_files(settings(source), "app")
    for name in ("near", "far"):
        path = source.parent / name / "main" / "files" / "app" / made.label / "index.jsonl.zst"
        lines = b"".join(decompress_stream(iter([path.read_bytes()]), "index")).splitlines()
        found = {m["path"]: m for m in map(json.loads, lines)}
        assert len(found) == 11
    run = found[f"{source}/run"]
    assert (run["mode"], run["owner"], run["size"]) == ("4755", f"{os.getuid()}:{os.getgid()}", 9)
    said = subprocess.run(["sha256sum", str(source / "run")], capture_output=True, text=True, check=True).stdout
    assert run["sha256"] == said.split()[0] and "user.origin" in str(run["attributes"])
    assert found[f"{source}/loop"]["target"] == "sub/../loop"
    assert found[f"{source}/no utf-8 \\xff\\xfe"]["kind"] == "file"
    # What is damaged in it is found.
    flip(path)
    (finding,) = (f for f in verify(settings(source)).findings if f.key.endswith("index.jsonl.zst"))
    assert finding.repository == "far"


def test_a_copy_is_made_when_the_content_changed_and_only_then(source: Path) -> None:
    first, made = files.backup_if_changed(settings(source), "app")
    assert made
    secret = source / "secret"

    def unchanged() -> bool:
        next_second(first.label)
        copy, again = files.backup_if_changed(settings(source), "app")
        return not again and copy.label == first.label

    assert unchanged()
    os.utime(secret, (1, 1))
    (source / "run").write_text("#!/bin/sh")
    # The kernel takes this bit away from what is written.
    (source / "run").chmod(0o4755)
    assert unchanged()

    def changed() -> None:
        nonlocal first
        next_second(first.label)
        first, again = files.backup_if_changed(settings(source), "app")
        assert again
        assert unchanged()

    secret.write_text("passwore")
    changed()
    secret.chmod(0o640)
    changed()
    os.setxattr(source / "run", "user.origin", b"by machine")
    changed()
    (source / "loop").unlink()
    changed()
    (source / "loop").symlink_to("elsewhere")
    changed()
    # One repository has lost it.
    shutil.rmtree(source.parent / "far" / "main" / "files" / "app" / first.label)
    changed()


def test_a_second_run_of_the_module_changes_nothing(installed: Path, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "main.yml"
    chosen = settings(source)
    path.write_text(
        json.dumps(
            {
                "cluster": "main",
                "repositories": [
                    {"name": r.name, "type": "directory", "path": r.store.location} for r in chosen.repositories
                ],
                "file_sets": [{"name": "app", "paths": [str(source)], "allow_unsealed_secrets": True}],
                "audit": {"file": "", "syslog": ""},
            }
        )
    )
    options = {"config_file": str(path), "file_set": "app"}
    assert module(installed, "file_backup", check=True, **options)["changed"]
    made = module(installed, "file_backup", **options)
    assert made["changed"]
    assert not module(installed, "file_backup", check=True, **options)["changed"]
    again = module(installed, "file_backup", **options)
    assert not again["changed"] and again["stored"]["label"] == made["stored"]["label"]
    next_second(made["stored"]["label"])
    assert module(installed, "file_backup", always=True, **options)["changed"]


def test_files_that_change_while_read_are_reread_and_reported(source: Path) -> None:
    large, stop = source / "large.log", threading.Event()
    large.write_bytes(bytes(60 * 2**20))

    def grow() -> None:
        while not stop.is_set():
            with open(large, "ab") as stream:
                stream.write(b"a line\n")
            time.sleep(0.001)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        made = files.backup_files(settings(source), "app")
    finally:
        stop.set()
        writer.join()
    assert made.unsettled and "large.log" in made.unsettled[0]
    # One copy and no more: what was read for nothing was not stored.
    assert len(list((source.parent / "near" / "main" / "files" / "app").iterdir())) == 1
    next_second(made.label)
    calm, again = files.backup_if_changed(settings(source), "app")
    assert again and calm.unsettled == ()


def test_unreadable_files_are_named_and_nothing_is_recorded(source: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root reads everything")
    (source / "secret").chmod(0)
    with pytest.raises(ProcessFailed, match="secret: Cannot open: Permission denied"):
        files.backup_files(settings(source), "app")
    assert not list(source.parent.glob("*/main/files/app/*/*"))


@only_all
def test_ten_thousand_small_files(source: Path) -> None:
    for number in range(70, 80):
        directory = source / f"d{number}"
        directory.mkdir()
        for name in range(1000):
            (directory / f"{name}").write_text(f"{number}/{name}")
    made = files.backup_files(settings(source), "app")
    assert made.members == 11 + 10 * 1001
    (source / "d77" / "777").write_text("other")
    next_second(made.label)
    assert files.backup_if_changed(settings(source), "app")[1]
    shutil.rmtree(source / "d77")
    assert file_restore.apply(settings(source), FilesRequest("app")).changed
    assert (source / "d77" / "777").read_text() == "other"
