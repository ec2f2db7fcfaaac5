# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every disaster has its turn, none twice in a row, a quarter after the last drill that passed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List

from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.drill.calendar import DISASTERS, QUARTER, propose, rehearses
from lifeboat.repository.drills import Drill
from support.choice import examples

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def drill(day: float, scenario: str, passed: bool = True) -> Drill:
    at = START + timedelta(days=day)
    return Drill(
        f"{at:%Y%m%dT%H%M%SZ}-{scenario}", scenario, "main", "x", "h", passed, at, at, at, None, None, None, None, None,
        1, int(passed), "", (),
    )  # fmt: skip


def test_without_a_drill_one_is_due_now() -> None:
    found = propose([], None, 2)
    assert (found.scenario, found.due, found.last) == ("server", None, None)
    assert found.near(START, 0) and found.as_dict(START)["late"]


def test_it_is_due_a_quarter_after_the_last_that_passed() -> None:
    drills = [drill(0, "server"), drill(30, "deletion", passed=False)]
    found = propose(drills, None, 2)
    assert found.due == START + timedelta(days=QUARTER) and found.last == drills[1]
    assert propose(drills, 30.0, 2).due == START + timedelta(days=30)
    due = START + timedelta(days=QUARTER)
    assert found.near(due - timedelta(days=14), 14) and not found.near(due - timedelta(days=14, seconds=1), 14)
    assert found.near(due + timedelta(days=1), 14) and not found.as_dict(due - timedelta(days=1))["late"]
    assert propose([drill(0, "server", passed=False)], None, 2).due is None


def test_each_disaster_has_its_turn() -> None:
    done: List[Drill] = []
    for day in range(10):
        done.append(drill(day, propose(done, None, 2).scenario))
    names = [each.scenario for each in done]
    assert sorted(names[:5]) == sorted(DISASTERS) and names[5:] == names[:5]


def test_a_scenario_of_two_disasters_is_a_turn_of_both() -> None:
    assert list(rehearses(drill(0, "server_deletion"))) == ["server", "deletion"]
    assert propose([drill(0, "server_deletion")], None, 2).scenario == "ransomware"
    # A scenario of a company's own is none of them.
    assert propose([drill(0, "payroll")], None, 2).scenario == "server"


NAMES = st.lists(st.sampled_from([*DISASTERS, "server_deletion", "payroll"]), max_size=20)


@settings(max_examples=examples(200))
@given(NAMES, st.integers(1, 3))
def test_never_the_same_twice(names: List[str], repositories: int) -> None:
    done = [drill(number, name) for number, name in enumerate(names)]
    found = propose(done, None, repositories).scenario
    assert found in DISASTERS and (found != "region" or repositories > 1)
    assert not done or found not in rehearses(done[-1])
