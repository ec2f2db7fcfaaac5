# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of all drills: every figure is inside its chart, and nothing from a record becomes markup."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import List, Optional, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.drill.keep import describe
from lifeboat.drill.trend import nice, plot, render
from lifeboat.repository.drills import Drill
from support.drills import a_report
from support.records import EPOCH

SECONDS = st.none() | st.floats(0, 1e7)


def a_drill(day: float, rto: Optional[float], passed: bool = True, objective: Optional[float] = 300.0) -> Drill:
    report = a_report(passed, rto)
    if rto is not None:
        report["rto"]["objective"] = objective
    return describe(report, "main", "x-server", "server", EPOCH + timedelta(days=day), ())


@given(st.lists(st.tuples(st.floats(0, 4000), SECONDS, SECONDS), max_size=8))
def test_every_point_lies_in_the_picture(given: List[Tuple[float, Optional[float], Optional[float]]]) -> None:
    drills = [a_drill(day, rto, objective=objective) for day, rto, objective in sorted(given, key=lambda g: g[0])]
    picture = plot(drills, lambda d: d.rto, lambda d: d.objective_rto, "words")
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', picture)
    assert len(points) == sum(d.rto is not None for d in drills)
    lines = re.findall(r'points="([^"]+)"', picture)
    corners = [tuple(map(float, pair.split(","))) for line in lines for pair in line.split()]
    for x, y in [*((float(x), float(y)) for x, y in points), *corners]:
        assert 62 <= x <= 504 and 14 <= y <= 162
    assert ("Never measured." in picture) is not bool(points)


@given(st.floats(0, 1e9))
def test_an_axis_ends_at_a_round_number_not_far_above(value: float) -> None:
    assert value <= nice(value) <= max(value * 2.6, 1)


def test_the_page_tells_what_was_missed_and_escapes_what_it_tells() -> None:
    good, slow = a_drill(1, 40.0), a_drill(2, 400.0, passed=False)
    page = render("<shop>", [good, slow], EPOCH)
    assert "&lt;shop&gt;" in page and "<shop>" not in page and "Drills: 2, passed: 1." in page
    assert page.count('bad-ink">6 min 40 s of 5 min') == 1 and 'class="failed"' in page
    assert not {word for word in ("<script", "<link", "src=", "href=", "@import", "url(") if word in page}
    assert "No drills have been stored yet." in render("shop", [], EPOCH)
