# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is moved aside stays complete, wherever a restore stops."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base.errors import DataDirectoryRefused
from lifeboat.records.model import Target
from lifeboat.restore import delta, places
from lifeboat.restore.request import Place, RestoreRequest
from support.records import a_backup


def old_cluster(root: Path) -> List[Place]:
    """With WAL and a tablespace elsewhere; the file ``whose`` in each directory is the old cluster's."""
    found = [root / name for name in ("data", "space", "wal")]
    for path in found:
        path.mkdir()
        (path / "whose").write_text("old")
    data, space, wal = found
    (data / "pg_tblspc").mkdir()
    (data / "pg_tblspc" / "16384").symlink_to(space)
    (data / "pg_wal").symlink_to(wal)
    return [Place(str(data), "occupied", 0), Place(str(space), "occupied", 0, "16384"), Place(str(wal), "occupied", 0)]


def its_own(data: Path) -> bool:
    """Whether the links of the old cluster lead to its own directories."""
    return all((data / name / "whose").read_text() == "old" for name in ("", "pg_wal", "pg_tblspc/16384"))


def test_the_old_cluster_keeps_its_own_tablespaces_and_wal(tmp_path: Path) -> None:
    filled = old_cluster(tmp_path)
    moved = places.prepare(filled, 17)
    assert [os.path.basename(path).split(".")[0] for path in moved] == ["data", "space", "wal"]
    assert its_own(Path(moved[0]))
    assert all(os.listdir(place.path) == [] for place in filled)


def test_where_nothing_of_it_is_left_its_link_leads_to_nothing(tmp_path: Path) -> None:
    filled = old_cluster(tmp_path)
    (tmp_path / "wal" / "whose").unlink()
    filled[2] = replace(filled[2], state="empty")
    moved = places.prepare(filled, 17)
    assert len(moved) == 2
    assert not (Path(moved[0]) / "pg_wal").exists()


@pytest.mark.parametrize("stopped_at", ["data", "space", "wal"])
def test_wherever_it_stops_no_two_clusters_share_a_directory(
    tmp_path: Path, stopped_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(old: str, new: str) -> None:
        if os.path.basename(old) == stopped_at:
            raise OSError(16, "Device or resource busy")
        real(old, new)

    filled = old_cluster(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        with pytest.raises(DataDirectoryRefused, match=stopped_at):
            places.prepare(filled, 17)
    assert its_own(tmp_path / "data")


def test_what_a_link_leads_to_is_moved_and_the_link_stays(tmp_path: Path) -> None:
    """If the data directory is on another file system, the new one must be there too."""
    disk, link = tmp_path / "disk", tmp_path / "link"
    (disk / "data").mkdir(parents=True)
    (disk / "data" / "whose").write_text("old")
    link.symlink_to(disk / "data")
    (moved,) = places.prepare([Place(str(link), "occupied", 0)], 17)
    assert Path(moved).parent == disk and (Path(moved) / "whose").read_text() == "old"
    assert link.is_symlink() and os.listdir(link) == []
    (disk / "data").rmdir()
    assert places.prepare([Place(str(link), "missing", 0)], 17) == []
    assert link.is_symlink() and os.listdir(link) == []


def test_a_link_to_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path / "disk"))
    with pytest.raises(DataDirectoryRefused, match=f"link leads to {tmp_path}/disk, a mount point"):
        places._may_write(Place(str(tmp_path / "link"), "occupied", 0))


@pytest.mark.parametrize("which", [1, 2])
def test_a_clone_takes_nothing_from_the_configured_cluster(tmp_path: Path, which: int) -> None:
    """It is stopped, and its tablespace or WAL is where this restore would put its own, because nobody mapped it."""
    theirs = old_cluster(tmp_path)
    configured, clone = theirs[0].path, Place(str(tmp_path / "clone"), "missing", 0)
    with pytest.raises(DataDirectoryRefused, match=f"{theirs[which].path}, which belongs to the cluster in"):
        places._refuse_configured([clone, theirs[which]], configured)
    places._refuse_configured([clone, Place(str(tmp_path / "elsewhere"), "occupied", 0)], configured)
    # Nothing of it is moved away; or the restore replaces that cluster.
    places._refuse_configured([clone, replace(theirs[which], state="empty")], configured)
    places._refuse_configured(theirs, configured)


@pytest.mark.parametrize("state", ["occupied", "kept"])
def test_nothing_is_moved_out_of_a_mount_point(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delta restore moves pg_wal beside the data directory, which would be another file system."""
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path))
    with pytest.raises(DataDirectoryRefused, match="is a mount point"):
        places._may_write(Place(str(tmp_path), state, 0))


@pytest.mark.parametrize(
    ("place", "option"),
    [({"tablespace": "16384"}, "--tablespace"), ({"wal": True}, "--wal-dir"), ({}, "data_dir")],
)  # fmt: skip
def test_what_is_advised_for_a_directory_in_use_is_its_own_option_and_never_refused_next(
    tmp_path: Path, place: Dict[str, Any], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    asked, occupied = RestoreRequest(Target()), Place(str(tmp_path / "used"), "occupied", 0, **place)
    with pytest.raises(DataDirectoryRefused) as refused:
        places._may_fill(occupied, asked, a_backup(0, 10, 0, 100), str(tmp_path / "used"))
    assert "move_aside" in refused.value.hint and option in refused.value.hint
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path / "used"))
    with pytest.raises(DataDirectoryRefused) as refused:
        places._may_fill(occupied, asked, a_backup(0, 10, 0, 100), str(tmp_path / "used"))
    # Moving it aside would be refused.
    assert "move_aside" not in refused.value.hint and option in refused.value.hint


def test_the_wal_of_a_delta_restore_goes_beside_what_a_link_leads_to(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    (disk / "data" / "pg_wal").mkdir(parents=True)
    link.symlink_to(disk / "data")
    with delta.wal_aside(str(link)) as (moved,):
        assert Path(moved).parent == disk and not (disk / "data" / "pg_wal").exists()
    assert Path(moved).is_dir()


def test_the_wal_of_a_delta_restore_comes_back_where_no_mark_could_be_made(tmp_path: Path) -> None:
    (tmp_path / "data" / "pg_wal").mkdir(parents=True)
    with pytest.raises(OSError, match="No space"), delta.wal_aside(str(tmp_path / "data")):
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["data"] and (tmp_path / "data" / "pg_wal").is_dir()


def test_wal_that_cannot_be_moved_aside_is_reported_and_nothing_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "pg_wal").mkdir(parents=True)

    def refuse(old: str, new: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    with (
        pytest.raises(DataDirectoryRefused, match="Invalid cross-device link"),
        delta.wal_aside(str(tmp_path / "data")),
    ):
        pytest.fail("nothing may follow")
