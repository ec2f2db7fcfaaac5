# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental copies of a file set: unchanged files are not sent again, and every copy is restored completely."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.base.errors import BackupMissing, IdentityMissing
from lifeboat.config import load as config
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from lifeboat.repository import file_sets as file_record
from lifeboat.retention import prune
from lifeboat.sync import run as sync
from lifeboat.verify.run import verify
from support.age import make_key, needs_age
from support.file_sets import mark

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An application's data: some large files, and unusual ones."""
    for name in ("near", "far"):
        mark(tmp_path / name)
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    for number in range(20):
        (root / "sub" / f"file {number}").write_bytes(os.urandom(50_000))
    (root / "a\nname \\ and ü").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/no utf-8 \xff\xfe")).write_bytes(b"bytes")
    Path(os.fsdecode(os.fsencode(root))).joinpath("no utf-8 \\xff\\xfe").write_bytes(b"the same when it is written")
    (root / "link").symlink_to("sub")
    os.link(root / "sub" / "file 1", root / "second name")
    (root / "run").write_text("#!/bin/sh")
    (root / "run").chmod(0o750)
    os.utime(root / "run", (1, 10**9))
    settle(root)
    return root


def settle(root: Path) -> None:
    """Wait until the files are old enough to be recognized without being read."""
    newest = max(os.lstat(path).st_ctime for path in [root, *root.rglob("*")])
    time.sleep(max(0.0, newest + 2.1 - time.time()))


def settings(root: Path, **more: Any) -> config.Config:
    options: Dict[str, Any] = {
        "cluster": "main",
        "repositories": [
            {"name": name, "type": "directory", "path": str(root.parent / name)} for name in ("near", "far")
        ],
        "spool_dir": str(root.parent / "spool"),
        "file_sets": [{"name": "data", "paths": [str(root)], "incremental": True, "excludes": [f"{root}/*.tmp"]}],
        "audit": {"file": "", "syslog": ""},
        **more,
    }
    return config.parse(options)


def copy_of(found: config.Config, **expected: bool) -> files.FileSetBackup:
    """A new copy; labels have a resolution of one second."""
    before = files.make_label(files.clock.now(), "files")[:16]
    while files.make_label(files.clock.now(), "files")[:16] == before:
        time.sleep(0.05)
    made, changed = files.backup_if_changed(found, "data")
    assert changed is expected.get("changed", True)
    return made


def tree(root: Path) -> List[Tuple[Any, ...]]:
    """Everything below: name, mode, time, number of names, and content or target."""
    found = []
    for path in sorted(root.rglob("*"), key=os.fsencode):
        info = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        when = 0 if path.is_symlink() else info.st_mtime_ns
        found.append((os.fsencode(path.relative_to(root)), info.st_mode, when, info.st_nlink, content))
    return found


def restored(found: config.Config, root: Path, to: str, **options: Any) -> List[Tuple[Any, ...]]:
    target = root.parent / to
    target.mkdir()
    assert file_restore.apply(found, FilesRequest("data", target=str(target), **options)).changed
    again = file_restore.apply(found, FilesRequest("data", target=str(target), **options))
    assert not again.changed, again.differences
    return tree(target / str(root).strip("/"))


def test_unchanged_files_are_not_sent_again_and_are_restored(data: Path) -> None:
    found = settings(data)
    full, first = copy_of(found), tree(data)
    assert full.parents == () and full.label.endswith("-files") and full.data_size > 1_000_000
    assert copy_of(found, changed=False).label == full.label

    (data / "sub" / "file 3").write_bytes(b"another content")
    (data / "sub" / "file 4").unlink()
    (data / "left.tmp").write_text("excluded")
    (data / "new").mkdir()
    (data / "new" / "file").write_bytes(b"new")
    (data / "sub" / "file 5").chmod(0o600)
    settle(data)
    part, second = copy_of(found), [line for line in tree(data) if not line[0].endswith(b".tmp")]
    assert part.parents == (full.label,) and part.label.endswith("-changes")
    # One of 50 kB has another mode, one has two names; the other eighteen are not there.
    assert part.data_size < 200_000 and part.members == full.members + 1

    (data / "new" / "file").write_bytes(b"newer")
    last = copy_of(found)
    assert last.parents == (full.label, part.label)
    third = [line for line in tree(data) if not line[0].endswith(b".tmp")]
    for number, (copy, expected) in enumerate(((full, first), (part, second), (last, third))):
        assert restored(found, data, f"to{number}", label=copy.label) == expected
    only = str(data / "sub" / "file 7")
    assert [line[0] for line in restored(found, data, "one", only=[only])] == [b"sub", b"sub/file 7"]
    assert verify(found).intact


def test_rewriting_the_same_content_is_not_a_change(data: Path) -> None:
    found = settings(data)
    full = copy_of(found)
    content = (data / "sub" / "file 3").read_bytes()
    (data / "sub" / "file 3").unlink()
    (data / "sub" / "file 3").write_bytes(content)
    assert copy_of(found, changed=False).label == full.label
    # With the old times and size another content is noticed all the same.
    info = (data / "sub" / "file 6").stat()
    (data / "sub" / "file 6").write_bytes(b"x" * info.st_size)
    os.utime(data / "sub" / "file 6", ns=(info.st_atime_ns, info.st_mtime_ns))
    assert copy_of(found).parents == (full.label,)


def test_everything_is_sent_again_when_the_base_is_old_gone_or_of_another_set(data: Path) -> None:
    found = settings(data)
    full = copy_of(found)
    (data / "run").write_text("2")
    old = replace(found, file_sets=(replace(found.file_sets[0], full_days=0.0),))
    assert copy_of(old).parents == ()
    (data / "run").write_text("3")
    other = replace(found, file_sets=(replace(found.file_sets[0], excludes=()),))
    assert copy_of(other).parents == ()
    (data / "run").write_text("4")
    last = copy_of(other)
    assert last.parents and full.label not in last.parents
    # A repository that lacks the newest copy gets a whole one.
    shutil.rmtree(data.parent / "far" / "main" / "files")
    (data / "run").write_text("5")
    assert copy_of(other).parents == ()


@needs_age
def test_a_host_without_identity_continues_from_its_spool(data: Path) -> None:
    key = make_key(data.parent / "key")
    found = settings(data, seal={"recipients": [key.recipient]})
    full = copy_of(found)
    (data / "run").write_text("2")
    part = copy_of(found)
    assert part.parents == (full.label,)
    with pytest.raises(IdentityMissing):
        file_restore.apply(found, FilesRequest("data", target=str(data.parent / "far")))
    opening = settings(data, seal={"recipients": [key.recipient], "identity_file": str(key.file)})
    assert restored(opening, data, "back") == tree(data)
    shutil.rmtree(data.parent / "spool")
    (data / "run").write_text("3")
    assert copy_of(found).parents == ()


def test_the_base_of_a_copy_is_kept_as_long_as_the_copy(data: Path) -> None:
    found = settings(data, retention={"file_set_days": 0, "settle_hours": 0})
    copies = [copy_of(found)]
    for number in range(3):
        (data / "run").write_text(str(number))
        copies.append(copy_of(found))
    removed = prune.apply(found, ("share", "age", "clock"))
    assert {r.removed for r in removed} == {2 * 3}
    left = [c.label for c in file_record.list_files(files.Repositories.open(found).items[0], "data")]
    assert left == [copies[0].label, copies[3].label]
    assert restored(found, data, "back") == tree(data) and verify(found).intact
    # A later whole one ends its time.
    later = replace(found, file_sets=(replace(found.file_sets[0], full_days=0.0),))
    (data / "run").write_text("last")
    assert copy_of(later).parents == ()
    assert {r.removed for r in prune.apply(later, ("share", "age", "clock"))} == {2 * 3}


def test_a_copy_without_its_base_is_reported_and_healed(data: Path) -> None:
    found = settings(data)
    full = copy_of(found)
    (data / "run").write_text("2")
    part = copy_of(found)
    shutil.rmtree(data.parent / "near" / "main" / "files" / "data" / full.label)
    done = verify(found)
    assert not done.intact
    assert any(full.label in f.error.message and part.label in f.error.message for f in done.findings)
    with pytest.raises(BackupMissing, match=full.label):
        file_restore.apply(found, FilesRequest("data", target=str(data.parent / "far")))
    assert sync.apply(found, source="far")
    assert restored(found, data, "back") == tree(data) and verify(found).intact
