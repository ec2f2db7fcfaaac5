# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``after_loss``: which repositories remain, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.errors import AnsibleFilterError

_PATH = Path(__file__).parents[3] / "plugins" / "filter" / "after_loss.py"
_SPEC = importlib.util.spec_from_file_location("after_loss", _PATH)
assert _SPEC and _SPEC.loader
plugin = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plugin)

NEAR: Dict[str, Any] = {"name": "near", "type": "s3"}
FAR: Dict[str, Any] = {"name": "far", "type": "s3", "required": True}
COLD: Dict[str, Any] = {"name": "cold", "type": "directory", "required": False}


def left(repositories: List[Dict[str, Any]], lost: Any, **options: Any) -> List[Dict[str, Any]]:
    return list(plugin.FilterModule().filters()["after_loss"](repositories, lost, **options))


def test_without_a_loss_nothing_changes() -> None:
    assert left([NEAR, FAR, COLD], []) == [NEAR, FAR, COLD] == left([NEAR, FAR, COLD], "", keep=True)
    assert left([{"type": "s3"}], []) == [{"type": "s3"}] and left([], []) == []


@pytest.mark.parametrize("lost", ["near", ["near"], " near ", "near,"])
def test_the_lost_one_is_left_out_or_asked_last(lost: Any) -> None:
    assert left([NEAR, FAR, COLD], lost) == [FAR, COLD]
    briefly = {"max_attempts": 1, "connect_timeout": 3, "read_timeout": 10}
    assert left([NEAR, FAR, COLD], lost, keep=True) == [FAR, COLD, {**NEAR, "required": False, **briefly}]


def test_nobody_waits_long_for_the_lost_one() -> None:
    (gone,) = left([{**NEAR, "connect_timeout": 1, "read_timeout": 60}, FAR], "near", keep=True)[1:]
    assert (gone["max_attempts"], gone["connect_timeout"], gone["read_timeout"]) == (1, 1, 10)
    (gone,) = left([{**NEAR, "connect_timeout": None, "max_attempts": None}, FAR], "near", keep=True)[1:]
    assert (gone["max_attempts"], gone["connect_timeout"], gone["read_timeout"]) == (1, 3, 10)
    # A directory has neither timeouts nor attempts.
    assert left([COLD, FAR], "cold", keep=True)[1] == {**COLD, "required": False}


def test_something_has_to_be_required() -> None:
    before = [dict(NEAR), dict(COLD)]
    assert left(before, "near") == [{**COLD, "required": True}]
    assert before == [NEAR, COLD]


@pytest.mark.parametrize(
    ("repositories", "lost", "says"),
    [([NEAR, FAR], "nera", "names nera, but lifeboat_repositories has near, far"),
     ([NEAR], "near", "names all repositories"), ([{"type": "s3"}], "near", "has no names")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(repositories: List[Dict[str, Any]], lost: str, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        left(repositories, lost)
