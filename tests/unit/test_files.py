# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing back only a part of a file set."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from lifeboat import config, files
from lifeboat.repository.repository import Repositories

CASES = [
    (["/etc/postgresql", "/opt/app"], [], ["etc/postgresql", "opt/app"]),
    (["/etc/postgresql/17/main", "/opt/app"], ["/etc/postgresql"], ["etc/postgresql/17/main"]),
    (["/etc", "/opt/app"], ["/etc/postgresql/"], ["etc/postgresql"]),
    (["/etc/postgresql-common", "/opt/app"], ["/etc/postgresql"], []),
]


@pytest.mark.parametrize(("paths", "only", "members"), CASES)
def test_what_lies_below_the_wanted_paths(paths: List[str], only: List[str], members: List[str]) -> None:
    assert list(files._members(paths, only)) == members


def test_only_the_wanted_part_comes_back(tmp_path: Path) -> None:
    source, target, store = tmp_path / "source", tmp_path / "target", tmp_path / "store"
    for directory in (source / "a", source / "b", target, store):
        directory.mkdir(parents=True)
    for name in ("a/x", "b/y"):
        (source / name).write_text(name)
    settings = config.parse(
        {
            "cluster": "main",
            "repositories": [{"name": "disk", "type": "directory", "path": str(store)}],
            "file_sets": [{"name": "both", "paths": [str(source)]}],
        }
    )
    Repositories.open(settings).items[0].adopt("7000000000000000001", accept_new=True)
    files.backup_files(settings, "both")
    done = files.restore_files(settings, "both", target=str(target), only=[str(source / "a")])
    assert done.changed
    back = [path for path in target.rglob("*") if path.is_file()]
    assert back == [target / str(source / "a" / "x").strip("/")]
    assert not files.restore_files(settings, "both", target=str(target), only=[str(source / "a")]).changed
    assert not files.restore_files(settings, "both", target=str(target), only=["/nowhere"]).changed
