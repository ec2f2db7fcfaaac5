# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``wal-push`` as PostgreSQL calls it: real segments, real stores, and everything that can go wrong."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Dict

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support.processes import free_port
from support.yard import MIB, Yard, quick

pytestmark = pytest.mark.integration


def tree(root: Path) -> Dict[str, bytes]:
    """Every file below a directory with its content."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# --- wal-push ---------------------------------------------------------------------------------------------------


def test_a_segment_is_in_every_required_repository_and_comes_back(yard: Yard, s3_options: S3Options) -> None:
    directory = yard.directory()
    both = yard.config(directory, s3_options)
    pushed = yard.push(both).data
    assert (pushed["name"], pushed["already"]) == (yard.names[0], [])
    for store in (directory, s3_options):
        found = yard.fetch(yard.config(store)).data
        assert (found["found"], found["size"]) == (True, MIB)
        assert yard.fetched == yard.content()


def test_an_identical_segment_again_succeeds(yard: Yard, s3_options: S3Options) -> None:
    config = yard.config(yard.directory(), s3_options)
    yard.push(config)
    before = tree(yard.work / "repository")
    assert yard.push(config).data["already"] == ["repo0", "repo1"]
    assert tree(yard.work / "repository") == before


@pytest.mark.parametrize("kind", ["segment", "history"])
def test_different_content_under_the_same_name_is_refused_and_nothing_changes(yard: Yard, kind: str) -> None:
    store = yard.directory()
    config = yard.config(store)
    if kind == "segment":
        name, first = yard.names[0], yard.content()
        second = first[:-1] + bytes([first[-1] ^ 1])
    else:
        name, first, second = "00000002.history", b"1\t0/3000000\tone\n", b"1\t0/4000000\tother\n"
    yard.push(config, yard.file(name, first))
    before = tree(Path(store.path))
    error = yard.push(config, yard.file(name, second), status=1).error
    assert error["error_code"] == "wal_conflict"
    assert name in error["message"]
    assert store.path in error["message"]
    assert tree(Path(store.path)) == before


def test_a_damaged_copy_in_the_repository_is_no_identical_segment(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    yard.push(config)
    yard.stored(store).write_bytes(b"")
    assert yard.push(config, status=1).error["error_code"] == "wal_conflict"


def invalid_files(yard: Yard) -> Dict[str, bytes]:
    good, name = yard.content(), yard.names[0]
    foreign = good[:24] + struct.pack("=Q", 7) + good[32:]
    return {
        f"empty/{name}": b"",
        f"truncated/{name}": good[:-1],
        f"truncated to its header/{name}": good[:100],
        f"too long/{name}": good + b"\0",
        f"foreign/{name}": foreign,
        f"zeros/{name}": bytes(MIB),
        f"of another name/{yard.names[1]}": good,
        f"of another timeline/{'00000000' + name[8:]}": good,
        f"of no such segment/{name[:20]}FFFF": good,
        "history/00000002.history": b"no history\n",
        "empty history/00000002.history": b"",
        f"empty/{name}.partial": b"",
    }


def test_wal_whose_content_does_not_match_its_name_is_refused(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    for case, content in invalid_files(yard).items():
        path = yard.work / case
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        error = yard.push(config, path, status=1).error
        assert error["error_code"] == "wal_invalid", case
        assert path.name in error["message"], case
    absent = yard.push(config, yard.work / yard.names[2], status=1).error
    assert (absent["error_code"], "No such file" in absent["message"]) == ("wal_invalid", True)
    other = yard.push(config, yard.file("RECOVERYXLOG", yard.content()), status=1).error
    assert (other["error_code"], "'RECOVERYXLOG'" in other["message"]) == ("config_invalid", True)
    assert not tree(Path(store.path))


def test_nothing_is_acknowledged_while_one_required_repository_is_down(yard: Yard, s3_options: S3Options) -> None:
    up, down = yard.directory("up"), quick(s3_options, endpoint_url=f"http://127.0.0.1:{free_port()}")
    error = yard.push(yard.config(up, down), status=1).error
    assert error["error_code"] == "store_unavailable"
    assert str(down.endpoint_url) in error["message"]
    unmounted = DirectoryOptions(str(yard.work / "unmounted"))
    error = yard.push(yard.config(unmounted, up), status=1).error
    assert (error["error_code"], unmounted.path in error["message"]) == ("bucket_missing", True)
    # Back again: what one repository has already is no obstacle.
    assert yard.push(yard.config(up, s3_options)).data["already"] == ["repo0"]
    yard.fetch(yard.config(s3_options))
    assert yard.fetched == yard.content()


def test_an_optional_repository_may_be_down(yard: Yard, s3_options: S3Options) -> None:
    dead = quick(s3_options, endpoint_url=f"http://127.0.0.1:{free_port()}")
    for down in (DirectoryOptions(str(yard.work / "unmounted")), dead):
        store = yard.directory(type(down).__name__)
        yard.push(yard.config(store, down, optional=1))
        assert yard.stored(store).exists()


def test_histories_labels_and_partial_segments_are_archived_too(yard: Yard, s3_options: S3Options) -> None:
    config = yard.config(s3_options)
    contents = {
        "00000002.history": b"1\t0/3000000\tno recovery target specified\n",
        f"{yard.names[0]}.00000028.backup": b"START WAL LOCATION: 0/2000028\n",
        f"{yard.names[0]}.partial": yard.content()[: MIB // 2],
    }
    for name, content in contents.items():
        yard.push(config, yard.file(name, content))
        yard.fetch(config, name)
        assert yard.fetched == content


def other_cluster(yard: Yard, system: int = 7) -> Path:
    """A data directory of another cluster, with its own segment in pg_wal."""
    root = yard.work / "other"
    (root / "global").mkdir(parents=True)
    (root / "pg_wal").mkdir()
    (root / "global" / "pg_control").write_bytes(struct.pack("=Q", system) + bytes(100))
    good = yard.content()
    (root / "pg_wal" / yard.names[0]).write_bytes(good[:24] + struct.pack("=Q", system) + good[32:])
    return root


def test_a_clone_may_not_archive(yard: Yard) -> None:
    store = yard.directory()
    clone = yard.work / "a clone"
    (clone / "global").mkdir(parents=True)
    shutil.copy(yard.site.cluster.data_dir / "global" / "pg_control", clone / "global")
    error = yard.push(yard.config(store), status=1, cwd=clone).error
    assert error["error_code"] == "clone_refused"
    assert str(clone) in error["message"]
    assert yard.site.data_dir in error["message"]
    assert "archive_mode = off" in error["hint"]
    assert not tree(Path(store.path))


def test_another_cluster_may_not_archive_into_this_repository(yard: Yard) -> None:
    store = yard.directory()
    yard.push(yard.config(store))
    before = tree(Path(store.path))
    other = other_cluster(yard)
    config = yard.config(store, data_dir=str(other))
    error = yard.push(config, Path("pg_wal") / yard.names[0], status=1, cwd=other).error
    assert error["error_code"] == "repository_foreign"
    assert "identifier 7" in error["message"]
    assert yard.system in error["message"]
    assert "--accept-new-system" in error["hint"]
    assert tree(Path(store.path)) == before


def test_no_data_directory_at_all(yard: Yard) -> None:
    config = yard.config(yard.directory(), data_dir=None)
    error = yard.push(config, status=1, cwd=yard.work).error
    assert (error["error_code"], str(yard.work) in error["message"]) == ("data_directory_refused", True)
    assert yard.fetch(config, status=254, cwd=yard.work).error["error_code"] == "data_directory_refused"
