# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets whose stored copies are somebody else's work: nothing is written outside of the target of a restore."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from lifeboat import file_restore
from lifeboat.errors import LifeboatError, ObjectCorrupt
from support.file_sets import empty_set, forge, kept, settings

pytestmark = pytest.mark.integration
FULL, PART = "20261122T100000Z-files", "20261122T110000Z-changes"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return empty_set(tmp_path)


def everything(root: Path) -> List[Path]:
    return sorted(root.rglob("*"))


def names_that_want_out(root: Path) -> Dict[str, List[Tuple[str, str, str]]]:
    outside = root.parent / "outside"
    return {
        "dots": [("../evil", "file", "x")],
        "dots within": [("data/../../outside/evil", "file", "x")],
        "absolute": [(f"{outside}/evil", "file", "x")],
        "link": [("data/link", "symlink", str(outside)), ("data/link/evil", "file", "x")],
        "link up": [("data/link", "symlink", "../../outside"), ("data/link/evil", "file", "x")],
        "hard link": [("data/theirs", "hardlink", f"{outside}/theirs")],
        "hard link up": [("data/theirs", "hardlink", "../outside/theirs")],
    }


@pytest.mark.parametrize("way", [*names_that_want_out(Path("/"))])
@pytest.mark.parametrize("label", [FULL, PART])
def test_no_member_gets_out_of_the_target(data: Path, way: str, label: str) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    target.mkdir()
    (outside / "theirs").write_text("theirs")
    if label == PART:
        forge(data, FULL, [("data/good", "file", "good")])
    forge(data, label, names_that_want_out(data)[way], parents=(FULL,) if label == PART else ())
    before = everything(data.parent)
    try:
        file_restore.restore_files(settings(data), "data", target=str(target))
        refused = False
    except LifeboatError as exc:
        refused = exc.error_code in ("process_failed", "object_corrupt") and bool(exc.hint)
    assert refused
    assert [path for path in everything(data.parent) if target not in path.parents] == before
    assert (outside / "theirs").read_text() == "theirs" and (outside / "theirs").stat().st_nlink == 1


def test_no_copy_writes_through_a_link_of_another(data: Path) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    target.mkdir()
    # The index of the later copy tells of a file where the earlier one has a link.
    forge(data, FULL, [("data/link", "symlink", str(outside))])
    held = [{"path": "/data/link", "kind": "file", "mode": "0644", "owner": "0:0", "copy": FULL}]
    forge(data, PART, [("data/link/evil", "file", "x")], parents=(FULL,), held=held)
    with pytest.raises(ObjectCorrupt, match="data/link") as refused:
        file_restore.restore_files(settings(data), "data", target=str(target))
    assert refused.value.hint and not everything(target) and not everything(outside)


@pytest.mark.parametrize("paths", [("/data",), ("/data/link/evil",)])
def test_no_later_restore_writes_through_a_link_of_an_earlier_one(data: Path, paths: Tuple[str, ...]) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    target.mkdir()
    forge(data, FULL, [("data/link", "symlink", str(outside))])
    assert file_restore.restore_files(settings(data), "data", target=str(target)).changed
    forge(data, "20261122T120000Z-files", [("data/link/evil", "file", "x")], paths=paths)
    if paths == ("/data",):
        # The link is a directory now, and kept.
        assert file_restore.restore_files(settings(data), "data", target=str(target)).changed
        assert (target / "data" / "link" / "evil").read_text() == "x" and kept(target / "data" / "link").is_symlink()
    else:
        with pytest.raises(ObjectCorrupt, match="which is a link"):
            file_restore.restore_files(settings(data), "data", target=str(target))
    assert not everything(outside)


def test_an_index_that_names_a_copy_that_is_no_parent_is_refused(data: Path) -> None:
    forge(data, FULL, [("data/good", "file", "good")])
    held = [{"path": "/data/good", "kind": "file", "mode": "0644", "owner": "0:0", "copy": "../" + FULL}]
    forge(data, PART, [("data/other", "file", "x")], parents=(FULL,), held=held)
    with pytest.raises(ObjectCorrupt, match=PART):
        file_restore.restore_files(settings(data), "data", target=str(data))
