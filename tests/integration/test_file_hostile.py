# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets with forged copies: a restore writes nothing outside of its target."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.base.errors import ConfigError, FileSetOutside, LifeboatError, ObjectCorrupt
from lifeboat.config import load as config
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from support.file_sets import empty_set, forge, kept, options, settings

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
        "dots": [("data/good", "file", "x"), ("../evil", "file", "x")],
        "dots within": [("data/../../outside/evil", "file", "x")],
        "absolute": [(f"{outside}/evil", "file", "x")],
        "link": [("data/link", "symlink", str(outside)), ("data/link/evil", "file", "x")],
        "link up": [("data/link", "symlink", "../../outside"), ("data/link/evil", "file", "x")],
        "hard link": [("data/theirs", "hardlink", f"{outside}/theirs")],
        "hard link up": [("data/theirs", "hardlink", "../outside/theirs")],
    }


@pytest.mark.parametrize("way", [*names_that_want_out(Path("/"))])
@pytest.mark.parametrize("label", [FULL, PART])
def test_no_member_is_written_outside_the_target(data: Path, way: str, label: str) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    target.mkdir()
    (outside / "theirs").write_text("theirs")
    if label == PART:
        forge(data, FULL, [("data/good", "file", "good")])
    forge(data, label, names_that_want_out(data)[way], parents=(FULL,) if label == PART else ())
    before = everything(data.parent)
    try:
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
        refused = ""
    except LifeboatError as exc:
        refused = exc.error_code if exc.hint else "no hint"
    assert refused == ("object_corrupt" if way.startswith("link") else "file_set_outside")
    # The audit trail is written by ourselves.
    ours = (target, data.parent / "near" / ".tmp", data.parent / "near" / "main" / "audit")
    assert [path for path in everything(data.parent) if not {path, *path.parents} & {*ours}] == [
        path for path in before if path != target
    ]
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
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
    assert refused.value.hint and not everything(target) and not everything(outside)


@pytest.mark.parametrize("paths", [("/data",), ("/data/link/evil",)])
def test_no_later_restore_writes_through_a_link_of_an_earlier_one(data: Path, paths: Tuple[str, ...]) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    target.mkdir()
    forge(data, FULL, [("data/link", "symlink", str(outside))])
    found = settings(data, paths=("/data",))
    assert file_restore.apply(found, FilesRequest("data", target=str(target))).changed
    forge(data, "20261122T120000Z-files", [("data/link/evil", "file", "x")], paths=paths)
    if paths == ("/data",):
        # The link is a directory now, and kept.
        assert file_restore.apply(found, FilesRequest("data", target=str(target))).changed
        assert (target / "data" / "link" / "evil").read_text() == "x" and kept(target / "data" / "link").is_symlink()
    else:
        with pytest.raises(ObjectCorrupt, match="which is a link"):
            file_restore.apply(settings(data, paths=paths), FilesRequest("data", target=str(target)))
    assert not everything(outside)


def test_an_index_that_names_a_copy_that_is_no_parent_is_refused(data: Path) -> None:
    forge(data, FULL, [("data/good", "file", "good")])
    held = [{"path": "/data/good", "kind": "file", "mode": "0644", "owner": "0:0", "copy": "../" + FULL}]
    forge(data, PART, [("data/other", "file", "x")], parents=(FULL,), held=held)
    with pytest.raises(ObjectCorrupt, match=PART):
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(data)))


# --- where a set may write ----------------------------------------------------------------------------------------

CRON = ("etc/cron.d/x", "file", "* * * * * root id")


@pytest.mark.parametrize("told", ["record", "archive alone"])
@pytest.mark.parametrize("label", [FULL, PART])
def test_nothing_is_written_where_the_set_is_not_configured_to(data: Path, label: str, told: str) -> None:
    target = data.parent / "target"
    if label == PART:
        forge(data, FULL, [("data/good", "file", "good")])
    more: Dict[str, Any] = {"parents": (FULL,)} if label == PART else {}
    if told != "record":
        line = {"kind": "file", "mode": "0644", "owner": "0:0"}
        more.update(paths=("/data",), told=[{"path": "/data/good", **line}])
        if label == PART:
            # By its index alone an incremental copy names what is taken from its archive.
            more["told"].append({"path": "/etc/cron.d/x", **line})
    forge(data, label, [("data/good", "file", "better"), CRON], **more)
    for act in (file_restore.plan, file_restore.apply):
        with pytest.raises(FileSetOutside, match=r"etc/cron\.d/x") as refused:
            act(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
        assert refused.value.error_code == "file_set_outside" and "--path" in refused.value.hint
        assert refused.value.details["allowed"] == ["/data"]
    assert not target.exists() or not everything(target)


@pytest.mark.parametrize("name", ["dat", "database/x", "data2", "data/../data2/x"])
def test_a_path_with_a_common_name_prefix_is_outside(data: Path, name: str) -> None:
    forge(data, FULL, [(name, "file", "x")])
    with pytest.raises(FileSetOutside):
        file_restore.apply(settings(data, paths=("/data/",)), FilesRequest("data", target=str(data.parent / "target")))


def test_only_the_paths_named_by_the_operator_are_written(data: Path) -> None:
    target = data.parent / "target"
    forge(data, FULL, [("data/good", "file", "good"), ("old/app", "file", "old")])
    found = settings(data, paths=("/data",))
    with pytest.raises(FileSetOutside, match="/old/app"):
        file_restore.apply(found, FilesRequest("data", target=str(target)))
    # Older than the configuration: what is still configured, or what is named.
    assert file_restore.apply(found, FilesRequest("data", target=str(target), only=["/data"])).changed
    assert (target / "data" / "good").read_text() == "good" and not (target / "old").exists()
    with pytest.raises(FileSetOutside):
        file_restore.apply(found, FilesRequest("data", target=str(target), only=["/old"]))
    assert file_restore.apply(found, FilesRequest("data", target=str(target), paths=["/data", "/old"])).changed
    assert (target / "old" / "app").read_text() == "old"


def test_a_set_that_is_not_configured_here_needs_its_paths_named(data: Path) -> None:
    target = data.parent / "target"
    names = [("data", "directory", ""), ("data/good", "file", "good"), CRON]
    forge(data, FULL, names, paths=("/data", "/etc/cron.d/x"))
    bare = config.parse({key: value for key, value in options(data).items() if key != "file_sets"})
    with pytest.raises(ConfigError, match="not configured here") as refused:
        file_restore.apply(bare, FilesRequest("data", target=str(target)))
    assert "--path" in refused.value.hint and not target.exists()
    with pytest.raises(FileSetOutside):
        file_restore.apply(bare, FilesRequest("data", target=str(target), paths=["/data"]))
    with pytest.raises(ConfigError, match="not absolute"):
        file_restore.apply(bare, FilesRequest("data", target=str(target), paths=["/data/../etc"]))
    done = file_restore.apply(bare, FilesRequest("data", target=str(target), only=["/data/good"]))
    assert done.changed and [write["path"] for write in done.writes] == [str(target / "data" / "good")]
    assert [path.name for path in everything(target)] == ["data", "good"]


@pytest.mark.parametrize("kind", ["device", "setuid", "setgid"])
def test_devices_and_programs_that_run_as_their_owner_are_refused(data: Path, kind: str) -> None:
    target = data.parent / "target"
    forge(data, FULL, [("data/good", "file", "good"), ("data/evil", kind, "")])
    with pytest.raises(FileSetOutside, match="data/evil") as refused:
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
    assert not everything(target)
    allowed = settings(data, paths=("/data",), allow_setuid=True)
    if kind == "device":
        with pytest.raises(FileSetOutside, match="a device"):
            file_restore.apply(allowed, FilesRequest("data", target=str(target)))
    else:
        assert "allow_setuid" in refused.value.hint
        assert file_restore.apply(allowed, FilesRequest("data", target=str(target))).changed
        assert (target / "data" / "evil").stat().st_mode & 0o6000


def test_a_name_that_is_a_directory_and_a_link_is_refused(data: Path) -> None:
    target = data.parent / "target"
    forge(data, FULL, [("data/x", "directory", ""), ("data/x", "symlink", "/etc")], paths=("/data",))
    with pytest.raises(FileSetOutside, match="as a directory and as something else"):
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
    assert not everything(target)


def test_no_hard_link_goes_through_a_link_that_is_there(data: Path) -> None:
    outside, target = data.parent / "outside", data.parent / "target"
    outside.mkdir()
    (outside / "theirs").write_text("theirs")
    (target / "data").mkdir(parents=True)
    (target / "data" / "link").symlink_to(outside)
    forge(data, FULL, [("data/mine", "hardlink", "data/link/theirs")], paths=("/data",))
    with pytest.raises(LifeboatError):
        file_restore.apply(settings(data, paths=("/data",)), FilesRequest("data", target=str(target)))
    assert (outside / "theirs").stat().st_nlink == 1 and not (target / "data" / "mine").exists()


def test_the_plan_shows_every_member_that_would_be_written(data: Path) -> None:
    target = data.parent / "target"
    (target / "data").mkdir(parents=True)
    (target / "data" / "old").write_text("before")
    names = [("data/new", "file", "x"), ("data/old", "file", "after"), ("data/l", "symlink", "/etc/passwd")]
    forge(data, FULL, names, paths=("/data",))
    found = settings(data, paths=("/data",))
    done = file_restore.plan(found, FilesRequest("data", target=str(target)))
    me = f"{os.getuid()}:{os.getgid()}"
    assert [(w["action"], w["path"], w["kind"], w["mode"], w["owner"]) for w in done.writes] == [
        ("create", f"{target}/data/new", "file", "0644", me),
        ("change", f"{target}/data/old", "file", "0644", me),
        ("create", f"{target}/data/l", "symlink", "0644", me),
    ]
    assert done.writes[2]["target"] == "/etc/passwd" and everything(target / "data") == [target / "data" / "old"]
    assert file_restore.apply(found, FilesRequest("data", target=str(target))).writes == done.writes
    assert file_restore.plan(found, FilesRequest("data", target=str(target))).writes == ()
