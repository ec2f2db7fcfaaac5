# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every object store promises: one test suite, run for each implementation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator, List

import pytest
from lifeboat.base.errors import ObjectCorrupt, ObjectExists, ObjectMissing, StoreError
from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.features import WEAKER
from lifeboat.store import open_store
from lifeboat.store.azure import store as azure
from lifeboat.store.azure.store import AzureStore
from lifeboat.store.protocol import Store
from support.choice import represented
from support.stores import PART, python_with_store

pytestmark = pytest.mark.integration


@pytest.fixture(params=["s3", "directory", "azure", "gcs", "lesser"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOptions:
    if request.param != "directory":
        return request.getfixturevalue(f"{request.param}_options")
    root = tmp_path / "a store"
    root.mkdir()
    return DirectoryOptions(str(root))


@pytest.fixture
def store(options: StoreOptions) -> Iterator[Store]:
    opened = open_store(options)
    yield opened
    opened.close()


@pytest.fixture
def create_only(request: pytest.FixtureRequest, options: StoreOptions) -> None:
    """For tests of a promise that a store may lack: then the trial must have reported it."""
    if "lesser" in request.node.callspec.id:
        assert isinstance(options, S3Options)
        found = {f.name: f for f in bucket.apply(BucketRequest(options, hosts=options)).features}
        assert found["create_only"].state == WEAKER
        pytest.skip(f"This store is told to be weaker: {found['create_only'].warning}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def keys(store: Store, prefix: str = "", start_after: str = "") -> List[str]:
    return [info.key for info in store.list(prefix, start_after)]


def test_put_and_get_back(store: Store) -> None:
    written = store.put("a/b", b"some bytes")
    assert (written.key, written.size, written.sha256) == ("a/b", 10, sha256(b"some bytes"))
    assert store.get("a/b") == b"some bytes"
    assert b"".join(store.read("a/b", written.sha256, written.size)) == b"some bytes"


def test_head_tells_size_and_time(store: Store) -> None:
    store.put("x", b"12345")
    info = store.head("x")
    assert info is not None
    assert (info.key, info.size) == ("x", 5)
    assert info.modified.utcoffset() == timedelta(0)
    assert abs(info.modified - datetime.now(timezone.utc)) < timedelta(minutes=5)


@pytest.mark.usefixtures("create_only")
def test_a_put_never_replaces(store: Store) -> None:
    store.put("x", b"first")
    with pytest.raises(ObjectExists, match="x"):
        store.put("x", b"second")
    with pytest.raises(ObjectExists):
        store.put("x", b"first")
    assert store.get("x") == b"first"


@pytest.mark.usefixtures("create_only")
def test_a_long_write_never_replaces(store: Store) -> None:
    store.put("x", b"first")
    with pytest.raises(ObjectExists):
        with store.writer("x") as writer:
            writer.write(bytes(PART + 1))
    assert store.get("x") == b"first"
    assert keys(store) == ["x"]


@pytest.mark.usefixtures("create_only")
def test_a_race_has_one_winner(store: Store) -> None:
    """Even if all write the same bytes: the winner holds a lock, the others do not.

    Only for objects of one part: SeaweedFS 4.48 tests the condition of CompleteMultipartUpload before it completes,
    not while it does, so that rivals in the same moment may all be told that they won.
    """
    barrier = threading.Barrier(8)

    def contend(_: int) -> bool:
        writer = store.writer("lock")
        writer.write(b"same bytes")
        barrier.wait()
        try:
            writer.commit()
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(contend, range(8))) == [False] * 7 + [True]
    assert store.get("lock") == b"same bytes"


def test_an_empty_object(store: Store) -> None:
    assert store.writer("empty").commit().size == 0
    assert store.put("empty too", b"").sha256 == sha256(b"")
    assert store.get("empty") == b""
    assert b"".join(store.read("empty", sha256(b""), 0)) == b""
    assert [info.size for info in store.list()] == [0, 0]


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 4 * PART + 12345])
def test_sizes_around_a_part(store: Store, size: int) -> None:
    data = os.urandom(65537) * (size // 65537 + 1)
    data = data[:size]
    with store.writer("big") as writer:
        for start in range(0, size, 700_001):
            assert writer.write(data[start : start + 700_001]) == len(data[start : start + 700_001])
        written = writer.commit()
    assert (written.size, written.sha256) == (size, sha256(data))
    assert b"".join(store.read("big", written.sha256, size)) == data
    info = store.head("big")
    assert info is not None and info.size == size


def test_one_write_longer_than_many_parts(store: Store) -> None:
    data = os.urandom(3 * PART + 7)
    with store.writer("big") as writer:
        writer.write(data)
    assert store.get("big") == data


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_nothing_is_visible_before_commit(store: Store, size: int) -> None:
    writer = store.writer("slow")
    writer.write(bytes(size))
    assert store.head("slow") is None
    assert keys(store) == []
    writer.commit()
    assert keys(store) == ["slow"]


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_an_exception_leaves_nothing(store: Store, size: int) -> None:
    with pytest.raises(ZeroDivisionError):
        with store.writer("x") as writer:
            writer.write(bytes(size))
            raise ZeroDivisionError
    assert store.head("x") is None
    assert keys(store) == []
    store.put("x", b"free again")


def test_an_ended_writer_stays_ended(store: Store) -> None:
    writer = store.writer("x")
    writer.write(b"1")
    writer.abort()
    writer.abort()
    with pytest.raises(StoreError):
        writer.write(b"2")
    with pytest.raises(StoreError):
        writer.commit()
    with store.writer("y") as writer:
        writer.write(b"1")
        first = writer.commit()
    assert writer.commit() == first
    writer.abort()
    assert store.get("y") == b"1"


@pytest.mark.parametrize("size", [100, 2 * PART + 100])
def test_wrong_bytes_are_corrupt(store: Store, size: int) -> None:
    data = os.urandom(size)
    with store.writer("x") as writer:
        writer.write(data)
    with pytest.raises(ObjectCorrupt, match="x has"):
        list(store.read("x", sha256=sha256(b"other bytes")))
    with pytest.raises(ObjectCorrupt, match=f"{size} bytes instead of {size + 1}"):
        list(store.read("x", size=size + 1))
    with pytest.raises(ObjectCorrupt):
        list(store.read("x", sha256=sha256(data), size=size - 1))
    assert b"".join(store.read("x", sha256(data).upper(), size)) == data


def test_a_reader_may_stop_early(store: Store) -> None:
    with store.writer("x") as writer:
        writer.write(bytes(4 * PART))
    chunks = store.read("x", sha256=sha256(b"never reached"))
    assert next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert store.get("x") == bytes(4 * PART)


@represented(options=["s3", "azure", "gcs"])
def test_a_read_never_mixes_two_objects(store: Store) -> None:
    """Replaced by somebody else, which no store here allows in one step."""
    old, new = b"o" * (9 * PART), b"n" * (9 * PART)
    with store.writer("x") as writer:
        writer.write(old)
    chunks = store.read("x")
    found = next(chunks)
    time.sleep(0.5)  # for what is fetched ahead, or it may meet nothing at all
    store.delete(["x"])
    with store.writer("x") as writer:
        writer.write(new)
    # Missing is what it is between the two.
    with contextlib.suppress(ObjectCorrupt, ObjectMissing):
        assert found + b"".join(chunks) == old


@represented(options="s3")
def test_memory_is_bounded(options: StoreOptions) -> None:
    """The process's real memory: it moves 120 MiB each way, and its parts are at most 25 MiB."""
    script = """
import os, resource
piece = os.urandom(1024 * 1024)
store.put("warm up", piece)
store.get("warm up")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with store.writer("x") as writer:
    for _ in range(120):
        writer.write(piece)
assert sum(len(chunk) for chunk in store.read("x")) == 120 * len(piece)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with python_with_store(options, script) as child:
        assert child.stdout is not None
        assert int(child.stdout.read()) < 60 * 1024


def test_the_clock_of_the_store(store: Store) -> None:
    assert abs(store.clock() - datetime.now(timezone.utc)) < timedelta(minutes=5)


def test_a_missing_object(store: Store) -> None:
    store.put("there/x", b"")
    for key in ("nothing", "there/y", "deep/er/y"):
        assert store.head(key) is None
        with pytest.raises(ObjectMissing, match=key):
            store.get(key)
        with pytest.raises(ObjectMissing, match=key):
            list(store.read(key))


@pytest.mark.parametrize("key", ["", "/x", "x/", "a//b", "../x", "a/../b", "./x", "a\0b", "k" * 1025])
def test_a_key_no_store_can_keep(store: Store, key: str) -> None:
    for use in (store.get, store.head, store.writer, lambda k: store.put(k, b""), lambda k: store.delete([k])):
        with pytest.raises(StoreError, match="key"):
            use(key)


ODD_KEYS = ["a b", "a%20b", "a+b", "a&b=c", "a~b", "a'b(c)", "ä/ö", "日本/x", "plain/with #hash?", "z:*"]


def test_odd_keys(store: Store) -> None:
    for key in ODD_KEYS:
        store.put(key, key.encode())
    assert keys(store) == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        assert store.get(key) == key.encode()
        assert store.head(key) is not None
        assert key in keys(store, key)
    assert "a b" not in keys(store, start_after="a b")
    assert "a%20b" in keys(store, start_after="a b")
    assert store.delete(ODD_KEYS) == []
    assert keys(store) == []


def test_list_in_order_below_a_prefix(store: Store) -> None:
    for key in ("b", "a/2", "a/1/x", "a/10", "ab/1", "a/1/b", "c/1"):
        store.put(key, b"1")
    assert keys(store) == ["a/1/b", "a/1/x", "a/10", "a/2", "ab/1", "b", "c/1"]
    assert keys(store, "a") == ["a/1/b", "a/1/x", "a/10", "a/2", "ab/1"]
    assert keys(store, "a/") == ["a/1/b", "a/1/x", "a/10", "a/2"]
    assert keys(store, "a/1") == ["a/1/b", "a/1/x", "a/10"]
    assert keys(store, "a/1/x") == ["a/1/x"]
    assert keys(store, "none/") == []
    assert keys(store, "a/", start_after="a/1/b") == ["a/1/x", "a/10", "a/2"]
    assert keys(store, "a/", start_after="a/1/z") == ["a/10", "a/2"]
    assert keys(store, "", start_after="ab/1") == ["b", "c/1"]
    assert keys(store, "a/", start_after="zzz") == []


def test_names_of_one_level(store: Store) -> None:
    for key in ("wal/00000002/0/a", "wal/00000001/0/a", "wal/00000002.history", "wal/00000001/0/b", "top"):
        store.put(key, b"")
    assert list(store.list_names("")) == ["top", "wal/"]
    assert list(store.list_names("wal/")) == ["00000001/", "00000002.history", "00000002/"]
    assert list(store.list_names("wal/00000001/0/")) == ["a", "b"]
    assert list(store.list_names("none/")) == []


@represented(options=["s3", "azure", "gcs"])
def test_more_than_a_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 1100
    if isinstance(store, AzureStore):
        # Its pages are longer, and Azurite is slow.
        monkeypatch.setattr(azure, "_PAGE", 100)
        count = 300
    names = [f"many/{n:05d}" for n in range(count)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, b""), names))
    assert keys(store, "many/") == names
    assert keys(store, "many/", start_after=names[249]) == names[250:]
    assert list(store.list_names("many/")) == [name[5:] for name in names]
    assert store.delete([*names, "many/none"]) == []
    assert keys(store) == []


def test_delete_only_what_is_named(store: Store) -> None:
    store.put("d/1", b"")
    store.put("d/2", b"")
    assert store.delete(["d/1", "d/none", "none/at/all"]) == []
    assert keys(store) == ["d/2"]
    assert store.delete([]) == []
    assert store.delete(iter(["d/2"])) == []
    assert keys(store) == []
    # Names are not asked for here: SeaweedFS still tells of the directory for a while.
    store.put("d/1", b"again")


def test_a_killed_writer_leaves_nothing_visible(store: Store, options: StoreOptions) -> None:
    script = f"""
writer = store.writer("killed")
writer.write(bytes({2 * PART}))
print("written", flush=True)
sys.stdin.read()
"""
    with python_with_store(options, script) as child:
        assert child.stdout is not None and child.stdout.readline() == "written\n"
        child.send_signal(signal.SIGKILL)
    assert store.head("killed") is None
    assert keys(store) == []
    with store.writer("killed") as writer:
        writer.write(b"now")
    assert store.get("killed") == b"now"


def test_location_names_the_store(store: Store, options: StoreOptions) -> None:
    assert store.location == options.location
