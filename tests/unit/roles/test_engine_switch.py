# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new engine on a host: running processes keep theirs, and no engine in use is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, List

import yaml

_ROLE = Path(__file__).parents[3] / "roles" / "agent"
_TASKS = [
    task
    for outer in yaml.safe_load((_ROLE / "tasks" / "engine.yml").read_text())
    for task in (outer.get("block") or [outer])
]


def packed(root: Path, words: str) -> Path:
    """An engine that prints these words on request, from a module that it loads only then."""
    source = root / f"source {words}"
    source.mkdir()
    (source / "__init__.py").write_text("")
    (source / "run.py").write_text(
        "import sys\nprint('begun', flush=True)\nsys.stdin.readline()\n"
        "from lifeboat import later\nprint(later.WORDS, flush=True)\nsys.stdin.readline()\n"
    )
    (source / "later.py").write_text(f"WORDS = {words!r}\n")
    archive = root / f"{words}.tar.gz"
    argv = [sys.executable, str(_ROLE / "files" / "pack_engine.py"), str(source), str(_ROLE / "files" / "main.py")]
    name = subprocess.run([*argv, str(archive)], check=True, capture_output=True, text=True).stdout
    place = root / "home" / "engines" / name
    place.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    return place


def switch(home: Path, place: Path) -> None:
    """As the module file does it."""
    os.symlink(place, home / "new")
    os.replace(home / "new", home / "engine")


def begin(directory: Path) -> subprocess.Popen[str]:
    run = subprocess.Popen(
        [sys.executable, "-I", str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None and run.stdout.readline() == "begun\n"
    return run


def told(run: subprocess.Popen[str]) -> str:
    """Its output after the request to continue; it runs until its input ends."""
    assert run.stdin is not None and run.stdout is not None
    run.stdin.write("go on\n")
    run.stdin.flush()
    return run.stdout.readline().strip()


def swept(home: Path, *keep: Path) -> List[str]:
    script = (_ROLE / "files" / "sweep_engines.py").read_text()
    argv = [sys.executable, "-I", "-c", script, str(home), *map(str, keep)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


def test_running_processes_keep_their_own_engine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second, third = (packed(tmp_path, words) for words in ("first", "second", "third"))
    assert len({first, second, third}) == 3
    switch(home, first)
    running = begin(home / "engine")
    switch(home, second)
    assert told(running) == "first"
    other = begin(home / "engine")
    switch(home, third)
    assert swept(home, third, second) == []
    assert told(other) == "second"
    for run in (running, other):
        run.communicate()
    assert swept(home, third, second) == [str(first)]
    assert swept(home, third, home / "engine") == [str(second)]
    assert third.is_dir()


def test_an_engine_of_an_earlier_release_goes_once_nobody_runs_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    place = packed(tmp_path, "new")
    old = home / "python"
    old.mkdir()
    (old / "__main__.py").write_text("print('begun', flush=True)\ninput()\n")
    for other in ("bin", "detector", "venv", "engines/notes"):
        (home / other).mkdir()
    switch(home, place)
    running = begin(old)
    assert swept(home, place, place) == []
    running.communicate("\n")
    assert swept(home, place, old) == []
    assert swept(home, place, place) == [str(old)]
    assert sorted(p.name for p in home.iterdir()) == ["bin", "detector", "engine", "engines", "venv"]


def test_the_same_engine_has_the_same_place_from_every_checkout(tmp_path: Path) -> None:
    names = {packed(root, "same").name for root in (tmp_path / "a", tmp_path / "b") if not root.mkdir()}
    assert len(names) == 1


def test_the_role_switches_last_and_never_writes_into_what_runs() -> None:
    def place(task: Any) -> int:
        return next(n for n, found in enumerate(_TASKS) if task in found)

    order = [n for n, task in enumerate(_TASKS) if task["name"] in (
        "Unpack the engine as the package lifeboat", "Compile the engine", "Switch to the new engine atomically",
        "Install the command lifeboat", "Remove engines that are no longer in use",
    )]  # fmt: skip
    assert len(order) == 5 and order == sorted(order)
    switched = _TASKS[order[2]]["ansible.builtin.file"]
    assert (switched["state"], switched["path"]) == ("link", "{{ __agent_link }}")
    assert _TASKS[place("ansible.builtin.unarchive")]["ansible.builtin.unarchive"]["dest"] == "{{ __agent_place }}"
