# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remains of a killed scratch cluster are removed, and nothing that only looks similar."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
from lifeboat.base.progress import Silent
from lifeboat.config.load import Config, parse
from lifeboat.postgres import server
from lifeboat.scratch.place import clear_dead, scratch_place


class Notes(Silent):
    def __init__(self) -> None:
        self.said: List[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    repository = {"type": "directory", "path": str(tmp_path)}
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return parse({"cluster": "main", "repositories": [repository], "verify": {"scratch_dir": str(scratch)}})


@pytest.fixture
def dead(config: Config) -> Path:
    """A place left by a killed process: everything, and nobody who holds the lock."""
    with scratch_place(config) as place:
        left = shutil.copytree(place, f"{place}.left")
    shutil.move(left, place)
    (Path(place) / "data").mkdir()
    (Path(place) / "postgresql.conf").touch()
    return Path(place)


@pytest.fixture
def stranger(dead: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the ID that a crash of the machine left in ``postmaster.pid``."""
    with subprocess.Popen(["sleep", "600"]) as process:
        (dead / "data" / "PG_VERSION").write_text("17\n")
        (dead / "data" / "postmaster.pid").write_text(f"{process.pid}\n{dead}/data\n1\n5432\n/tmp\n\n\nready\n")
        yield process
        process.kill()


def clear(config: Config) -> List[str]:
    notes = Notes()
    clear_dead(config, notes)
    return notes.said


def test_a_dead_one_is_cleared_with_its_sockets(config: Config, dead: Path) -> None:
    with server.private(str(dead / "data")) as mine, server.private(str(dead / "other")) as other:
        assert clear(config) == [f"{dead} was left by a killed process and has been cleared"]
        assert not Path(mine["unix_socket_directories"]).exists() and Path(other["unix_socket_directories"]).exists()
    assert not dead.exists() and clear(config) == []


def test_one_whose_process_lives_is_left(config: Config) -> None:
    with scratch_place(config) as place:
        assert clear(config) == [] and Path(place).is_dir()
    assert not Path(place).exists()


def test_a_process_that_only_has_the_number_of_a_server_is_left_alone(
    config: Config, dead: Path, stranger: subprocess.Popen[bytes]
) -> None:
    assert "has been cleared" in clear(config)[0]
    assert not dead.exists() and stranger.poll() is None


@pytest.mark.parametrize("change", ["no lock", "not begun", "another place", "another host", "a link"])
def test_directories_not_provably_its_own_are_left_alone(
    config: Config, dead: Path, change: str, tmp_path: Path
) -> None:
    lock = dead / "lifeboat.lock"
    claim = json.loads(lock.read_text())
    if change == "no lock":
        lock.unlink()
    elif change == "not begun":
        lock.write_text("")
    elif change == "another place":
        dead = dead.rename(dead.with_name("lifeboat-verify-moved"))
    elif change == "another host":
        lock.write_text(json.dumps({**claim, "host": "far"}))
    else:
        dead = dead.rename(tmp_path / "elsewhere")
        (tmp_path / "scratch" / "lifeboat-verify-link").symlink_to(dead)
    (said,) = clear(config)
    assert "cleared" not in said and (dead / "data").is_dir()
