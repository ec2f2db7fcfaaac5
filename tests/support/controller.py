# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, installed offline into an empty path, and run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Set, Tuple

from .choice import ALL

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def ansible(home: Path, program: str, *arguments: Any, status: int = 0) -> str:
    """Run one of Ansible's programs with a separate home, so that it sees no other collection; its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(PROGRAMS / program), *map(str, arguments)],
        cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={
            **environment, "HOME": str(home), "PWD": str(home), "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"), "ANSIBLE_LOCALHOST_WARNING": "False",
        },
    )  # fmt: skip
    assert done.returncode == status, f"{program} {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def install(home: Path) -> None:
    """Create a home whose only collection is built from this checkout."""
    ansible(home, "ansible-galaxy", "collection", "build", CHECKOUT, "--output-path", home / "dist")
    (archive,) = (home / "dist").iterdir()
    ansible(home, "ansible-galaxy", "collection", "install", archive, "--offline", "-p", home / "collections")


def module(home: Path, name: str, check: bool = False, status: int = 0, **options: Any) -> Dict[str, Any]:
    """Run one module on this machine; its result, with the diff.

    The first time it goes through Ansible: packed, sent, and its result parsed. Then the installed module is started
    directly, because Ansible's own work would take most of the time; ``make test-all`` always goes through Ansible.
    """
    if (home, name) in _TRIED and not ALL:
        return _alone(home, name, check, status, options)
    words = ["localhost", "-m", f"lifeboat.postgres.{name}", "-a", json.dumps(options), "--diff", "--one-line"]
    words += ["-e", f"ansible_python_interpreter={sys.executable}", *(["--check"] if check else [])]
    told = ansible(home, "ansible", *words, status=status)
    _TRIED.add((home, name))
    return dict(json.loads(next(line for line in told.splitlines() if "=> {" in line).split("=> ", 1)[1]))


_TRIED: Set[Tuple[Path, str]] = set()


def _alone(home: Path, name: str, check: bool, status: int, options: Mapping[str, Any]) -> Dict[str, Any]:
    given = {**options, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.lifeboat.postgres.plugins.modules.{name}"],
        cwd=home, input=json.dumps({"ANSIBLE_MODULE_ARGS": given}), capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(home / "collections")},
    )  # fmt: skip
    told = {"changed": False, **json.loads(done.stdout.strip().splitlines()[-1])}
    failed = 2 if told.get("failed") else 0
    assert failed == status, f"{name} {given} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return told
