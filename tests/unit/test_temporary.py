# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary directories: the remains of killed processes are removed, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lifeboat.base.temporary import SUFFIX, _sweep_once, temporary_directory

_CHILD = """
import sys
from lifeboat.base.temporary import temporary_directory
with temporary_directory("lifeboat-dump-", sys.argv[1]) as made:
    open(f"{made}/big", "w").close()
    print(made, flush=True)
    sys.stdin.read()
"""


def age(path: Path) -> None:
    os.utime(path, (0, 0))


def names(place: Path) -> set[str]:
    return {p.name for p in place.iterdir()}


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    left = Path(child.stdout.readline().strip())
    age(left)
    with temporary_directory("lifeboat-dump-", str(tmp_path)):
        assert left.is_dir()

    child.send_signal(signal.SIGKILL)
    child.wait()
    age(left)
    # As another process.
    _sweep_once.cache_clear()
    # Another purpose's are not looked at.
    with temporary_directory("lifeboat-wal-", str(tmp_path)):
        assert left.is_dir()
    with temporary_directory("lifeboat-dump-", str(tmp_path)) as made:
        assert names(tmp_path) == {Path(made).name}
    assert not names(tmp_path)


@pytest.mark.parametrize("kind", ["link", "file", "open", "new", "own"])
def test_what_no_killed_process_left_stays(tmp_path: Path, kind: str) -> None:
    outside, place = tmp_path / "outside", tmp_path / "place"
    place.mkdir()
    outside.mkdir(mode=0o700)
    (outside / "file").write_text("x")
    entry = place / ("lifeboat-dump-x" if kind == "own" else f"lifeboat-dump-x{SUFFIX}")
    if kind == "link":
        entry.symlink_to(outside)
    elif kind == "file":
        entry.write_text("x")
    else:
        entry.mkdir(mode=0o755 if kind == "open" else 0o700)
    if kind != "new":
        age(entry)
    with temporary_directory("lifeboat-dump-", str(place)):
        pass
    assert names(place) == {entry.name} and names(outside) == {"file"}
