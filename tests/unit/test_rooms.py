# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint of rooms finds violations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, Set

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from check_rooms import faults, imported, read_modules

SOUND: Dict[str, Set[str]] = {
    "run": {"cli.main"},
    "cli.main": {"restore", "backup"},
    "restore": {"restore.plan"},
    "restore.plan": {"repository.catalog", "backup", "base.errors"},
    "backup": {"backup.run"},
    "backup.run": set(),
    "repository.catalog": {"store.protocol"},
    "store.protocol": set(),
    "base.errors": set(),
}


def test_downward_imports_are_allowed() -> None:
    assert not list(faults(SOUND))


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        ("repository.catalog", "restore", "repository.catalog imports restore, which is above it"),
        ("restore.plan", "cli.main", "restore.plan imports cli.main, which is above it"),
        ("restore.plan", "backup.run", "restore.plan imports backup.run: import what backup/__init__.py offers"),
        ("backup.run", "restore", "backup imports itself by way of backup, base, repository, restore, store"),
        ("signing", "base.errors", "signing lies in the hall: put it into a room"),
    ],
)
def test_violations_are_named(name: str, other: str, words: str) -> None:
    assert words in list(faults({**SOUND, name: {*SOUND.get(name, ()), other}}))


def test_imports_are_read_from_everywhere_in_a_file(tmp_path: Path) -> None:
    for path, text in {
        "__init__.py": "",
        "restore/__init__.py": "from .plan import plan\n",
        "restore/plan.py": "def plan():\n    from ..store.s3 import client\n",
        "store/__init__.py": "",
        "store/s3/__init__.py": "",
        "store/s3/client.py": "from ... import restore\nfrom ...restore import plan\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    modules = read_modules(tmp_path)
    found = {name: imported(name, path, modules) for name, path in modules.items()}
    assert found["restore.plan"] == {"store.s3.client"} and found["store.s3.client"] == {"restore"}
    assert found["restore"] == {"restore.plan"}
