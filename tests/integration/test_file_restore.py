# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore over existing files writes everything that differs, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.attributes import link_groups
from lifeboat.fileset.extract import differing_of, to_write
from lifeboat.fileset.restore import FilesRequest
from support.file_sets import empty_set, settings

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = empty_set(tmp_path)
    (root / "sub: dir").mkdir()
    for name in ("a", "b", "sub: dir/c", "a: b"):
        (root / name).write_text(f"content of {name}")
    os.link(root / "b", root / "second")
    os.setxattr(root / "a", "user.origin", b"by hand")
    return root


def before(root: Path) -> List[str]:
    """Files moved aside, by their original name."""
    found = [str(path.relative_to(root)) for path in root.rglob("*") if ".before-" in path.name]
    return sorted(name.split(".before-")[0] for name in found)


def back(data: Path, incremental: bool) -> bool:
    done = file_restore.apply(settings(data, incremental), FilesRequest("data"))
    assert not file_restore.apply(settings(data, incremental), FilesRequest("data")).changed
    return done.changed


@pytest.mark.parametrize("incremental", [False, True])
def test_one_file_that_differs_is_the_one_that_is_written(data: Path, incremental: bool) -> None:
    files.backup_files(settings(data, incremental), "data")
    times = {path: path.lstat().st_mtime_ns for path in [data, *data.rglob("*")]}
    (data / "a: b").write_text("spoiled")
    (data / "sub: dir" / "c").unlink()
    assert back(data, incremental)
    assert before(data) == ["a: b"] and (data / "a: b").read_text() == "content of a: b"
    assert (data / "sub: dir" / "c").read_text() == "content of sub: dir/c"
    assert {path: path.lstat().st_mtime_ns for path in times} == times
    assert not back(data, incremental)


def test_all_names_of_a_file_come_back_as_one(data: Path) -> None:
    files.backup_files(settings(data, False), "data")
    (data / "second").write_text("spoiled, by either name")
    assert back(data, False)
    assert (data / "b").read_text() == (data / "second").read_text() == "content of b"
    assert (data / "b").stat().st_ino == (data / "second").stat().st_ino and before(data) == ["b", "second"]


@pytest.mark.parametrize("incremental", [False, True])
def test_an_attribute_alone_is_a_difference(data: Path, incremental: bool) -> None:
    files.backup_files(settings(data, incremental), "data")
    os.setxattr(data / "a", "user.origin", b"by somebody else")
    os.setxattr(data / "b", "user.more", b"x")
    told = file_restore.plan(settings(data, incremental), FilesRequest("data")).differences
    # "second" is another name of "b".
    assert [words.split("/data/")[1] for words in told] == [
        "a: ACL or attributes differ",
        "b: ACL or attributes differ",
    ]
    assert back(data, incremental)
    assert os.getxattr(data / "a", "user.origin") == b"by hand" and "user.more" not in os.listxattr(data / "second")
    assert before(data) == ["a", "b", "second"]


def test_names_are_found_in_the_output_of_tar() -> None:
    names = [b"d/", b"d/a", b"d/a: b", b"d/\xff\n"]
    said = [b"d/a: b: Mod time differs", b"tar: d/\\377\\n: Warning: Cannot stat: No such file or directory"]
    assert differing_of(said, names) == {b"d/a: b", b"d/\xff\n"}
    assert differing_of([*said, b"tar: Exiting with failure status due to previous errors"], names) == {
        b"d/a: b", b"d/\xff\n",
    }  # fmt: skip
    assert differing_of([b"d: Mode differs", b"d/a: Contents differ"], names) == {b"d", b"d/a"}
    assert differing_of([b"somebody speaks another language"], names) is None
    assert differing_of([], names) == frozenset()


NAMES = st.lists(st.sampled_from(["d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b"]), unique=True)


@given(NAMES, NAMES, st.lists(NAMES))
def test_members_are_written_with_their_hard_links_and_directories(
    there: List[str], differing: List[str], groups: List[List[str]]
) -> None:
    names = [name.encode() for name in there]
    found = to_write(names, {n.encode() for n in differing}, [{n.encode() for n in group} for group in groups])
    assert found == [name for name in names if name in found]
    for name in there:
        needed = name in differing or any(name in g and set(g) & set(differing) for g in groups)
        above = any(d.startswith(f"{name}/") for d in differing)
        if needed or above:
            assert name.encode() in found


def test_groups_of_names() -> None:
    def member(path: str, kind: str = "file", **more: str) -> Dict[str, str]:
        return {"path": path, "kind": kind, **more}

    members = [member("/a"), member("/b", "hardlink", target="a"), member("/c"), member("/d", "hardlink", target="a")]
    assert link_groups(members) == [{b"a", b"b", b"d"}]
