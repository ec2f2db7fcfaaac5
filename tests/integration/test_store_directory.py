# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory store on file systems that are full, read-only, unmounted or without hard links."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

import pytest
from lifeboat.base.errors import (
    BucketMissing,
    ObjectExists,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from lifeboat.config.load import DirectoryOptions
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from support.stores import NOBODY, python_with_store, unprivileged

pytestmark = pytest.mark.integration


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def store(root: Path) -> Store:
    return open_store(DirectoryOptions(str(root)))


@pytest.fixture
def reachable_root() -> Iterator[Path]:
    """A root below directories that everybody may enter, owned by the user who is refused in it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        os.chmod(top, 0o755)
        path = Path(top, "store")
        path.mkdir(0o700)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        yield path
        path.chmod(0o700)


def temporary_files(root: Path) -> list[str]:
    return sorted(os.listdir(root / ".tmp"))


@pytest.mark.parametrize("make_file", [True, False])
def test_the_root_must_be_a_directory(tmp_path: Path, make_file: bool) -> None:
    path = tmp_path / "absent"
    if make_file:
        path.write_bytes(b"")
    with pytest.raises(BucketMissing, match="absent") as caught:
        open_store(DirectoryOptions(str(path)))
    assert "mount" in caught.value.hint


def test_the_root_may_go_away(store: Store, root: Path) -> None:
    """Without its root directory, nothing counts as missing."""
    store.put("x", b"1")
    root.rename(root.with_name("elsewhere"))
    for use in (store.head, store.get, store.writer, lambda k: store.delete([k]), lambda k: list(store.list())):
        with pytest.raises(BucketMissing):
            use("x")


def test_another_directory_may_take_its_place(store: Store, root: Path) -> None:
    """As if a disk were unmounted, leaving its empty mount point."""
    store.put("x", b"1")
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    for use in (store.head, store.get, store.writer, lambda k: store.delete([k]), lambda k: list(store.list())):
        with pytest.raises(StoreUnavailable, match="mount"):
            use("x")


def test_no_temporary_file_stays(store: Store, root: Path) -> None:
    store.put("x", b"1")
    with pytest.raises(ObjectExists):
        store.put("x", b"2")
    store.writer("y").abort()
    with pytest.raises(KeyError):
        with store.writer("y"):
            raise KeyError
    assert temporary_files(root) == []


def test_unfinished_writes_are_no_objects(store: Store, root: Path) -> None:
    writer = store.writer("x")
    writer.write(b"1")
    name = f".tmp/{temporary_files(root)[0]}"
    assert list(store.list()) == []
    assert list(store.list_names("")) == []
    with pytest.raises(StoreError, match="not a valid object key"):
        store.get(name)
    writer.abort()
    store.put("deep/.tmp/x", b"only at the root is the name special")
    assert [info.key for info in store.list()] == ["deep/.tmp/x"]


def test_only_the_owner_and_the_group_may_read(store: Store, root: Path) -> None:
    store.put("a/x", b"1")
    assert (root / "a" / "x").stat().st_mode & 0o007 == 0
    assert (root / "a").stat().st_mode & 0o007 == 0


def test_emptied_directories_go(store: Store, root: Path) -> None:
    store.put("a/b/c/x", b"1")
    store.put("a/y", b"1")
    store.delete(["a/b/c/x"])
    assert sorted(os.listdir(root / "a")) == ["y"]
    assert list(store.list_names("")) == ["a/"]
    store.delete(["a/y"])
    assert list(store.list_names("")) == []


def test_empty_directories_and_links_are_no_objects(store: Store, root: Path) -> None:
    (root / "empty" / "deep").mkdir(parents=True)
    (root / "loop").symlink_to(root)
    assert list(store.list_names("")) == []
    assert list(store.list()) == []


def test_key_order_is_not_directory_order(store: Store) -> None:
    names = ["a-b", "a.b", "a/x", "a0", "a\u00e9", "\ud7ff", "\U0001f40d"]
    for name in reversed(names):
        store.put(name, b"")
    assert [info.key for info in store.list()] == names
    assert [info.key for info in store.list(start_after="a.b")] == names[2:]
    assert [info.key for info in store.list(start_after="a/y")] == names[3:]
    assert list(store.list_names("")) == ["a-b", "a.b", "a/", *names[3:]]


def test_a_narrow_list_does_not_walk_the_rest(store: Store, reachable_root: Path) -> None:
    """Directories that cannot contain a wanted key are not opened."""
    with unprivileged():
        store = open_store(DirectoryOptions(str(reachable_root)))
        for key in ("a/x", "b/x", "c/x"):
            store.put(key, b"")
        (reachable_root / "a").chmod(0)
        (reachable_root / "c").chmod(0)
        assert [info.key for info in store.list("b/")] == ["b/x"]
        (reachable_root / "c").chmod(0o700)
        assert [info.key for info in store.list(start_after="b/")] == ["b/x", "c/x"]
        with pytest.raises(StoreAccessDenied):
            list(store.list())
        (reachable_root / "a").chmod(0o700)


def test_a_root_that_may_not_be_written(reachable_root: Path) -> None:
    with unprivileged():
        store = open_store(DirectoryOptions(str(reachable_root)))
        store.put("a/x", b"1")
        (reachable_root / ".tmp").chmod(0o500)
        with pytest.raises(StoreAccessDenied, match="put of 'y'") as caught:
            store.put("y", b"1")
        assert "owner" in caught.value.hint
        (reachable_root / ".tmp").chmod(0o700)
        (reachable_root / "a").chmod(0o500)
        with pytest.raises(StoreAccessDenied):
            store.put("a/y", b"1")
        [failure] = store.delete(["a/x"])
        assert (failure.key, failure.reason) == ("a/x", os.strerror(errno.EACCES))
        assert temporary_files(reachable_root) == []
        (reachable_root / "a").chmod(0o700)


def test_a_root_that_may_not_be_read(reachable_root: Path) -> None:
    """A lack of permission does not prove that the object is missing."""
    with unprivileged():
        store = open_store(DirectoryOptions(str(reachable_root)))
        store.put("a/x", b"1")
        (reachable_root / "a").chmod(0)
        for use in (store.head, store.get, lambda key: list(store.read(key)), lambda key: list(store.list(key))):
            with pytest.raises(StoreAccessDenied, match="a/x"):
                use("a/x")
        reachable_root.chmod(0)
        with pytest.raises(StoreAccessDenied):
            store.get("nothing")
        reachable_root.chmod(0o700)
        (reachable_root / "a").chmod(0o700)


def test_a_full_file_system(root: Path) -> None:
    """On a tmpfs of 1 MiB, mounted in the child's own namespace."""
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f'mount -t tmpfs -o size=1m tmpfs "{root}"'
    if not shutil.which("unshare") or subprocess.run([*own_mounts, "sh", "-c", mount], check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted in a user name space here")
    script = """
import os
from lifeboat.base.errors import StoreFull
store.put("small", b"1")
try:
    with store.writer("big") as writer:
        for _ in range(64):
            writer.write(bytes(65536))
except StoreFull as error:
    print("full:", error.message, [info.key for info in store.list()], os.listdir(store.location + "/.tmp"))
store.put("small too", b"1")
"""
    prefix = [*own_mounts, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    with python_with_store(DirectoryOptions(str(root)), script, prefix) as child:
        out = child.communicate()[0]
    assert child.returncode == 0
    assert out.startswith("full: put of 'big'")
    assert out.endswith("['small'] []\n")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """FAT returns EPERM for link(2), some network file systems EOPNOTSUPP."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    store.put("a/x", b"first")
    with pytest.raises(ObjectExists):
        store.put("a/x", b"second")
    assert store.get("a/x") == b"first"

    rename = os.rename

    def late(source: str, target: str, **where: int) -> None:
        time.sleep(0.01)  # time enough for a rival between the check of the name and its use
        rename(source, target, **where)

    monkeypatch.setattr(os, "rename", late)

    def contend(n: int) -> bool:
        try:
            store.put("lock", bytes([n]))
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(contend, range(8))) == [False] * 7 + [True]
    assert temporary_files(root) == ["rename.lock"]


def test_link_that_succeeded_without_an_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS repeats a request whose response was lost, and then finds the name taken by itself."""
    link = os.link

    def twice(source: str, target: str, **where: Any) -> None:
        link(source, target, **where)
        link(source, target, **where)

    monkeypatch.setattr(os, "link", twice)
    store.put("x", b"1")
    assert store.get("x") == b"1"
    with pytest.raises(ObjectExists):
        store.put("x", b"1")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, StoreUnavailable), (errno.ESTALE, StoreUnavailable), (errno.EMFILE, StoreError)],
)
def test_a_failing_disk(store: Store, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError]) -> None:
    """No real disk fails on demand, so fsync does."""

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    store.put("x", b"1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(kind) as caught:
            store.put("y", b"1")
    assert type(caught.value) is kind
    assert store.head("y") is None


def test_a_key_below_an_object(store: Store) -> None:
    store.put("a", b"1")
    assert store.head("a/b") is None
    with pytest.raises(ObjectMissing):
        store.get("a/b")
    with pytest.raises(StoreError, match="a/b"):
        store.put("a/b", b"1")
    assert store.delete(["a/b"]) == []


def test_leftovers_of_a_killed_writer_are_listed_and_dropped(store: Store, root: Path) -> None:
    """By age, with the caller's limit; never the file of a running writer, the lock's, or somebody else's."""
    killed = python_with_store(
        DirectoryOptions(str(root)),
        "writer = store.writer('x'); writer.write(b'half'); print('written', flush=True); sys.stdin.read()",
    )
    assert killed.stdout is not None and killed.stdout.readline() == "written\n"
    (left,) = temporary_files(root)
    assert list(store.unfinished("main/")) == []
    killed.kill()
    killed.wait()
    with store.writer("running") as running:
        running.write(b"1")
        for name in ("rename.lock", "notes.txt", "a" * 31):
            (root / ".tmp" / name).write_text("not a writer's")
        (root / ".tmp" / ("b" * 32)).symlink_to(root / "elsewhere")
        (found,) = store.unfinished("main/")
        assert (found.key, found.upload) == (f".tmp/{left}", left)
        assert found.touched is not None and found.begun <= store.clock()
        # It was written meanwhile, by a release that holds no lock.
        os.utime(root / ".tmp" / left, (1, 1))
        store.drop(found)
        assert left in temporary_files(root)
        (found,) = store.unfinished("main/")
        store.drop(found)
        store.drop(found)
        assert left not in temporary_files(root) and len(temporary_files(root)) == 5
        running.write(b"2")
    assert store.get("running") == b"12"
