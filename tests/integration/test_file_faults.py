# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets under difficult conditions: changing, unreadable or huge files, and full disks."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.base.errors import DiskFull, ProcessFailed
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from support.choice import represented
from support.file_sets import empty_set, kept, options, settings

pytestmark = pytest.mark.integration
both = pytest.mark.parametrize("incremental", [False, True], ids=["plain", "incremental"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return empty_set(tmp_path)


def copies(root: Path) -> List[Path]:
    """Everything stored of the set, finished or not."""
    return [path for path in (root.parent / "near" / "main").glob("files/data/*/*") if path.is_file()]


def next_second() -> None:
    """Labels have a resolution of one second."""
    before = int(time.time())
    while int(time.time()) == before:
        time.sleep(0.05)


def settle() -> None:
    """Files are recognized without being read once they are two seconds old."""
    time.sleep(2.2)


def back(root: Path, incremental: bool = False, to: str = "to", **more: Any) -> Path:
    """The set, restored below a separate directory."""
    target = root.parent / to
    target.mkdir(exist_ok=True)
    assert file_restore.apply(settings(root, incremental), FilesRequest("data", target=str(target), **more)).changed
    return target / str(root).strip("/")


# --- what moves while it is read --------------------------------------------------------------------------------


def meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch, do: str) -> None:
    """Run a shell command each time tar has read 10 MB: tar itself calls it, and waits for it."""
    real = shutil.which("tar")
    script = root.parent / "bin" / "tar"
    script.parent.mkdir()
    (root.parent / "do").write_text(do)
    script.write_text(
        '#!/bin/sh\ncase "$*" in *--file=-*--create*)'
        f' set -- --checkpoint=1000 --checkpoint-action=exec="sh {root.parent}/do" "$@";; esac\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")


@both
@represented(incremental=True)
def test_a_file_that_vanishes_while_it_is_read_is_not_in_the_copy(
    data: Path, monkeypatch: pytest.MonkeyPatch, incremental: bool
) -> None:
    (data / "large").write_bytes(bytes(range(256)) * 4 * 20480)
    (data / "small").write_text("stays")
    if incremental:
        files.backup_files(settings(data, True), "data")
        (data / "large").chmod(0o600)
        next_second()
    meanwhile(data, monkeypatch, f'rm -f "{data}/large"')
    made = files.backup_files(settings(data, incremental), "data")
    # It was read again, and then nothing moved.
    assert made.unsettled == ()
    assert [path.name for path in back(data, incremental).iterdir()] == ["small"]


@both
@represented(incremental=True)
def test_a_file_that_grows_while_it_is_read_is_reported_and_restorable(
    data: Path, monkeypatch: pytest.MonkeyPatch, incremental: bool
) -> None:
    start = bytes(range(256)) * 4 * 20480
    (data / "log").write_bytes(start)
    (data / "small").write_text("stays")
    if incremental:
        settle()
        files.backup_files(settings(data, True), "data")
        (data / "log").chmod(0o600)
        settle()
    meanwhile(data, monkeypatch, f'echo a line >> "{data}/log"')
    made = files.backup_files(settings(data, incremental), "data")
    assert made.unsettled and all("data/log: file changed as we read it" in line for line in made.unsettled)
    assert bool(made.parents) is incremental
    copy = back(data, incremental)
    content = (copy / "log").read_bytes()
    assert content.startswith(start) and (data / "log").read_bytes().startswith(content)
    assert (copy / "small").read_text() == "stays"
    # The next copy has what was missed.
    monkeypatch.undo()
    next_second()
    again, changed = files.backup_if_changed(settings(data, incremental), "data")
    assert changed and again.unsettled == ()
    assert (back(data, incremental, "again") / "log").read_bytes() == (data / "log").read_bytes()


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("closed", ["secret", "sub"])
def test_unreadable_files_are_named_and_the_previous_copy_stays_the_newest(data: Path, closed: str) -> None:
    (data / "sub").mkdir()
    for path in (data / "secret", data / "sub" / "file", data / "open"):
        path.write_text("content")
    found = settings(data, True)
    first = files.backup_files(found, "data")
    before = copies(data)
    next_second()
    (data / closed).chmod(0)
    try:
        for attempt in (files.backup_files, files.backup_if_changed):
            with pytest.raises(ProcessFailed, match=f"data/{closed}: Cannot open: Permission denied") as refused:
                attempt(found, "data")
            assert refused.value.error_code == "process_failed" and refused.value.hint
    finally:
        (data / closed).chmod(0o700)
    assert copies(data) == before
    copy = files.fresh_copy(found, "data", 3600)
    assert copy and copy.label == first.label


# --- what is many, or large -------------------------------------------------------------------------------------

MANY = """
import json, shutil, sys
from lifeboat.config.load import parse
from lifeboat.fileset import backup as files, restore as file_restore
options, lost = json.loads(sys.stdin.read())
found = parse(options)
first, made = files.backup_if_changed(found, "data")
again = files.backup_if_changed(found, "data")[1]
shutil.rmtree(lost)
changed = file_restore.apply(found, file_restore.FilesRequest("data", only=[lost])).changed
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps([first.members, made, again, changed, peak]))
"""


def test_very_many_small_files_in_bounded_memory(data: Path) -> None:
    for number in range(30):
        (data / f"d{number}").mkdir()
        for name in range(1000):
            with open(f"{data}/d{number}/{name}", "w", encoding="utf-8") as stream:
                stream.write(f"{number}/{name}")
    lost = data / "d17"
    done = subprocess.run(
        [sys.executable, "-c", MANY], input=json.dumps([options(data, True), str(lost)]), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    members, made, again, changed, peak = json.loads(done.stdout)
    assert (members, made, again, changed) == (1 + 30 * 1001, True, False, True)
    assert {path.name: path.read_text() for path in lost.iterdir()} == {str(n): f"17/{n}" for n in range(1000)}
    # Of the process itself: getrusage(2) would tell that of whoever started it.
    assert peak < 150 * 1024, "KiB"


def test_a_huge_file_with_holes_has_them_after_the_restore(data: Path) -> None:
    pieces = ((0, b"start"), (2**31 + 12345, b"middle"), (2**32 + 2**20, b"end"))
    with open(data / "sparse", "wb") as stream:
        for place, piece in pieces:
            stream.seek(place)
            stream.write(piece)
        stream.truncate(2**32 + 2**24)
    made = files.backup_files(settings(data), "data")
    assert made.data_size < 2**20
    copy = back(data) / "sparse"
    assert copy.stat().st_size == 2**32 + 2**24 and copy.stat().st_blocks * 512 < 2**20
    with open(copy, "rb") as stream:
        for place, piece in pieces:
            stream.seek(place)
            assert stream.read(len(piece) + 10) == piece + bytes(10)


# --- links ------------------------------------------------------------------------------------------------------


@both
@represented(incremental=True)
def test_loops_and_links_out_of_the_set_are_links(data: Path, incremental: bool) -> None:
    outside = data.parent / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("not in the set")
    (data / "sub").mkdir()
    links = {"self": "self", "one": "two", "two": "one", "sub/up": "..", "out": str(outside)}
    for name, to in links.items():
        (data / name).symlink_to(to)
    made = files.backup_files(settings(data, incremental), "data")
    assert made.members == 2 + len(links)
    for to in ("fresh", "fresh"):
        copy = data.parent / to / str(data).strip("/")
        if copy.exists():
            # Over other links, and over a directory.
            (copy / "one").unlink()
            (copy / "one").symlink_to(outside)
            (copy / "out").unlink()
            (copy / "out").mkdir()
            (copy / "out" / "mine").write_text("was there")
        assert back(data, incremental, to) == copy
        assert {name: os.readlink(copy / name) for name in links} == links
    assert (kept(copy / "out") / "mine").read_text() == "was there"
    assert os.readlink(kept(copy / "one")) == str(outside)
    assert [path.name for path in outside.iterdir()] == ["theirs"]


@both
@represented(incremental=True)
def test_a_directory_that_became_a_link_is_a_directory_again_and_nothing_is_written_through_it(
    data: Path, incremental: bool
) -> None:
    (data / "sub" / "deep").mkdir(parents=True)
    (data / "sub" / "deep" / "file").write_text("content")
    (data / "other").write_text("1")
    settle()
    files.backup_files(settings(data, incremental), "data")
    (data / "other").write_text("2")
    next_second()
    assert bool(files.backup_files(settings(data, incremental), "data").parents) is incremental
    outside = data.parent / "outside"
    shutil.rmtree(data / "sub")
    (outside / "deep").mkdir(parents=True)
    (data / "sub").symlink_to(outside)
    assert file_restore.apply(settings(data, incremental), FilesRequest("data")).changed
    assert list(outside.rglob("*")) == [outside / "deep"]
    assert not (data / "sub").is_symlink() and (data / "sub" / "deep" / "file").read_text() == "content"
    assert os.readlink(kept(data / "sub")) == str(outside)
    assert not file_restore.apply(settings(data, incremental), FilesRequest("data")).changed


# --- what has no room -------------------------------------------------------------------------------------------

SMALL = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = 'mount -t tmpfs -o size=8m none "$0" && exec unshare --user --map-user=65534 --map-group=65534 "$@"'
FILL = """
import json, os, sys
from lifeboat.config.load import parse
from lifeboat.fileset import backup as files, restore as file_restore
from lifeboat.base.errors import LifeboatError
options, target, inside = json.loads(sys.stdin.read())
os.makedirs(inside)
for name in ("a", "large", "z"):
    with open(os.path.join(inside, name), "w") as stream:
        stream.write("was there")
try:
    file_restore.apply(parse(options), file_restore.FilesRequest("data", target=target))
except LifeboatError as exc:
    found = {}
    for name in os.listdir(inside):
        with open(os.path.join(inside, name), "rb") as stream:
            found[name.split(".before-")[0], ".before-" in name] = stream.read(20).decode(errors='replace')
    print(json.dumps([exc.error_code, exc.message, exc.hint, [[*key, text] for key, text in found.items()]]))
"""


def test_a_disk_that_fills_up_is_reported_and_loses_nothing_that_was_there(data: Path) -> None:
    for name in ("a", "z"):
        (data / name).write_text("restored")
    (data / "large").write_bytes(os.urandom(20 * 2**20))
    files.backup_files(settings(data), "data")
    target = data.parent / "small"
    target.mkdir()
    inside = target / str(data).strip("/")
    done = subprocess.run(
        [*SMALL, MOUNT, str(target), sys.executable, "-c", FILL], capture_output=True, text=True, check=False,
        input=json.dumps([options(data), str(target), str(inside)]),
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    code, message, hint, left = json.loads(done.stdout)
    assert code == DiskFull.error_code and str(target) in message and "data/large" in message and hint
    for name in ("a", "large", "z"):
        assert "was there" in [text for found, _, text in left if found == name], left


# --- what is more than content ----------------------------------------------------------------------------------


def acl(*entries: Tuple[int, int, int]) -> bytes:
    """An ACL as the kernel has it (linux/posix_acl_xattr.h): its version, then tag, permissions and id of each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


MINE, NONE = os.getuid(), 0xFFFFFFFF
READ = acl((1, 6, NONE), (2, 4, MINE), (4, 0, NONE), (16, 4, NONE), (32, 0, NONE))
WRITE = acl((1, 6, NONE), (2, 6, MINE), (4, 0, NONE), (16, 4, NONE), (32, 0, NONE))


def looks(root: Path) -> Dict[str, Any]:
    """Mode, owner, modification time, number of names, attributes, ACLs and content; not of files moved aside."""
    found = {}
    for path in [root, *root.rglob("*")]:
        if ".before-" in path.name:
            continue
        info = path.stat()
        names = {name: os.getxattr(path, name) for name in os.listxattr(path)}
        content = path.read_bytes() if path.is_file() else b""
        nlink = info.st_nlink if path.is_file() else 0
        when = info.st_mtime_ns if path.is_file() else 0
        found[str(path.relative_to(root))] = (info.st_mode, info.st_uid, info.st_gid, when, nlink, names, content)
    return found


@both
@represented(incremental=True)
def test_acls_attributes_names_and_times_come_back_also_over_what_changed(data: Path, incremental: bool) -> None:
    (data / "sub").mkdir()
    one, two, other = data / "one", data / "sub" / "two", data / "other"
    one.write_text("one")
    os.link(one, two)
    other.write_text("other")
    try:
        os.setxattr(one, "system.posix_acl_access", READ)
        os.setxattr(data / "sub", "system.posix_acl_default", READ)
        os.setxattr(other, "user.origin", b"by hand \xff\x00")
    except OSError as exc:
        pytest.skip(f"no ACLs or attributes here: {exc}")
    os.utime(one, ns=(10**18, 10**18 + 123456789))
    os.utime(other, ns=(10**18, 10**18 + 987654321))
    settle()
    files.backup_files(settings(data, incremental), "data")
    before = looks(data)
    copy = back(data, incremental)
    assert looks(copy) == before and (copy / "one").samefile(copy / "sub" / "two")

    (copy / "sub" / "two").unlink()
    (copy / "sub" / "two").write_text("was there")
    os.setxattr(copy / "one", "system.posix_acl_access", WRITE)
    os.setxattr(copy / "other", "user.origin", b"changed")
    os.utime(copy / "other", (1, 1))
    back(data, incremental)
    assert looks(copy) == before and (copy / "one").samefile(copy / "sub" / "two")
    assert kept(copy / "sub" / "two").read_text() == "was there"
    assert os.getxattr(kept(copy / "other"), "user.origin") == b"changed"
    assert os.getxattr(kept(copy / "one"), "system.posix_acl_access") == WRITE
    assert not file_restore.apply(
        settings(data, incremental), FilesRequest("data", target=str(data.parent / "to"))
    ).changed
