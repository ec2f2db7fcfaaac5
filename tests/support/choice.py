# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests ``make test`` runs, and which it leaves to ``make test-all`` (LIFEBOAT_TEST_ALL=1).

``@only_all`` leaves out a test whose subject another one proves with less effort. ``@represented(store="s3")`` runs a
parametrized test with this value alone (a list: with these). Tests with the fixture ``postgres`` take turns: each runs
on one of the servers found, unless it is marked ``@every_postgres``. ``make test-all`` runs all on every server.
"""

from __future__ import annotations

import os
import zlib
from typing import Any, Dict, List, Sequence, Tuple

import pytest

#: Whether everything is wanted: make test-all.
ALL = bool(os.environ.get("LIFEBOAT_TEST_ALL"))
only_all = pytest.mark.only_all
represented = pytest.mark.represented
every_postgres = pytest.mark.every_postgres


def examples(count: int) -> int:
    """The number of Hypothesis examples: make test tries a quarter of them, different ones each time."""
    return count if ALL else max(count // 4, min(count, 25))


def _wanted(item: pytest.Function, servers: int) -> bool:
    given: Dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if item.get_closest_marker("only_all"):
        return False
    for marker in item.iter_markers("represented"):
        for name, value in marker.kwargs.items():
            if given[name] not in (value if isinstance(value, list) else [value]):
                return False
    if "postgres" not in given or servers < 2 or item.get_closest_marker("every_postgres"):
        return True
    others = {name: value for name, value in item.callspec.indices.items() if name != "postgres"}
    turn = zlib.crc32(f"{item.path.name} {item.originalname} {sorted(others.items())}".encode())
    return bool(item.callspec.indices["postgres"] == turn % servers)


def choose(
    items: Sequence[pytest.Item], servers: int, whole: bool = True
) -> Tuple[List[pytest.Item], List[pytest.Item]]:
    """The collected tests to run, and those to leave out. ``whole``: all parameters of each test were collected.

    :raises pytest.UsageError: a test would be left out with all of its parameters: its marker names no value of them.
    """
    wanted: List[pytest.Item] = []
    left: List[pytest.Item] = []
    kept = set()
    for item in items:
        if not isinstance(item, pytest.Function) or _wanted(item, servers):
            wanted.append(item)
            kept.add((item.path, getattr(item, "originalname", item.name)))
        else:
            left.append(item)
    for item in left:
        known = item.get_closest_marker("only_all") or (item.path, getattr(item, "originalname", item.name)) in kept
        if whole and not known:
            raise pytest.UsageError(f"{item.nodeid}: @represented names none of the values of this test.")
    return wanted, left
