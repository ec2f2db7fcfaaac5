# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore beside a running server, and beside another restore."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import restore
from lifeboat.base.errors import DataDirectoryRefused
from lifeboat.config.load import load
from lifeboat.restore.marker import hold_existing, release, write_marker
from support.installations import Installation
from support.lost import Copy
from support.postgres import Sites

pytestmark = pytest.mark.integration


def test_a_plan_may_assume_that_the_server_is_stopped_and_a_restore_may_not(
    copy: Copy, sites: Sites, newest_postgres: Installation
) -> None:
    running = sites(newest_postgres).cluster
    planned = copy.plan(running.data_dir, existing="move_aside", assume_stopped=True)
    assert planned.places[0].state == "occupied"
    with pytest.raises(DataDirectoryRefused, match="server is running"):
        restore.apply(load(str(copy.config_file)), planned)
    assert running.value("SELECT 1") == 1
    assert not list(running.data_dir.parent.glob("*.before-*"))


def test_a_directory_that_another_restore_fills_is_refused(copy: Copy, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    write_marker(str(clone), {"finished": False, "places": {}})
    (clone / "half").write_text("of a file")
    other = hold_existing(str(clone))
    with pytest.raises(DataDirectoryRefused, match=r"Another restore into .*clone is running"):
        copy.plan(clone)
    release(other)
    planned = copy.plan(clone)
    assert planned.places[0].state == "unfinished"
    other = hold_existing(str(clone))
    with pytest.raises(DataDirectoryRefused, match="Another restore"):
        restore.apply(load(str(copy.config_file)), planned)
    release(other)
    assert (clone / "half").exists()


def test_a_directory_that_this_user_cannot_make_or_move_is_refused(copy: Copy, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    (locked / "occupied").mkdir(parents=True)
    (locked / "occupied" / "thesis.txt").write_text("years of work")
    locked.chmod(0o500)
    try:
        for name in ("missing", "occupied"):
            with pytest.raises(DataDirectoryRefused) as refused:
                copy.plan(
                    locked / name, existing="move_aside", tablespaces={str(copy.lost.space): str(tmp_path / "space")}
                )
            assert f"cannot write into {locked}" in refused.value.message
    finally:
        locked.chmod(0o700)
