# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring only a part of a file set."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.config import load as config
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from lifeboat.records.model import ArchiveFile
from lifeboat.repository import file_sets as file_record
from lifeboat.repository.repository import Repositories

CASES = [
    (["/etc/postgresql", "/opt/app"], [], ["etc/postgresql", "opt/app"]),
    (["/etc/postgresql/17/main", "/opt/app"], ["/etc/postgresql"], ["etc/postgresql/17/main"]),
    (["/etc", "/opt/app"], ["/etc/postgresql/"], ["etc/postgresql"]),
    (["/etc/postgresql-common", "/opt/app"], ["/etc/postgresql"], []),
]


@pytest.mark.parametrize(("paths", "only", "members"), CASES)
def test_what_lies_below_the_wanted_paths(paths: List[str], only: List[str], members: List[str]) -> None:
    assert list(file_restore._members(paths, only)) == members


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
    done = file_restore.apply(settings, FilesRequest("both", target=str(target), only=[str(source / "a")]))
    assert done.changed
    back = [path for path in target.rglob("*") if path.is_file()]
    assert back == [target / str(source / "a" / "x").strip("/")]
    assert not file_restore.apply(settings, FilesRequest("both", target=str(target), only=[str(source / "a")])).changed
    with pytest.raises(ConfigError, match="/nowhere"):
        file_restore.apply(settings, FilesRequest("both", target=str(target), only=["/nowhere"]))


BEGIN = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def copy(minute: int) -> files.FileSetBackup:
    made = BEGIN + timedelta(minutes=minute)
    return files.FileSetBackup(f"{minute:04d}", "set", "main", "host", made, (), (), 0, ArchiveFile("data", 0, ""))


@given(st.lists(st.integers(0, 99), unique=True).map(sorted), st.integers(-5, 105))
def test_the_copy_of_a_time_is_the_newest_that_existed_then(minutes: List[int], asked: int) -> None:
    chosen = file_record.choose_copy([copy(m) for m in minutes], at=BEGIN + timedelta(minutes=asked))
    earlier = [m for m in minutes if m <= asked]
    expected: Optional[int] = earlier[-1] if earlier else minutes[0] if minutes else None
    assert (chosen.label if chosen else None) == (None if expected is None else f"{expected:04d}")


def test_without_a_time_it_is_the_newest_or_the_named_one() -> None:
    copies = [copy(1), copy(2)]
    assert file_record.choose_copy(copies) == copies[1]
    assert file_record.choose_copy(copies, label="0001") == copies[0]
    assert file_record.choose_copy(copies, label="0003") is None
