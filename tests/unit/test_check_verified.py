# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check`` on the newest verification, the last restore test and the last drill."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List, Optional, Tuple

import pytest
from lifeboat.check.run import drilled, verified
from lifeboat.config.sections import ObjectivesConfig
from lifeboat.drill.keep import describe
from lifeboat.repository.drills import Drills
from lifeboat.repository.restore_tests import Tested
from lifeboat.repository.verifications import Known
from support.drills import a_report

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


def statuses(days: Optional[float], limit: Optional[float], proven: Optional[bool] = None) -> List[str]:
    tests = {} if proven is None else {"20261122T020000Z-full": Tested(NOW - timedelta(days=1), proven)}
    newest = None if days is None else NOW - timedelta(days=days)
    found = verified("r", Known(newest=newest), tests, ObjectivesConfig(max_verify_age=limit), NOW)
    return [f"{check.check} {check.status}" for check in found]


@pytest.mark.parametrize(
    "days, limit, proven, told",
    [
        (None, None, None, []),
        (None, 35, None, ["verification warning"]),
        (34, 35, None, ["verification ok"]),
        (36, 35, True, ["verification warning"]),
        (1, None, False, ["restore_test warning"]),
    ],
)
def test_a_verification_that_is_too_old_warns_and_so_does_a_test_that_failed(
    days: Optional[float], limit: Optional[float], proven: Optional[bool], told: List[str]
) -> None:
    assert statuses(days, limit, proven) == told


@pytest.mark.parametrize(
    "drills, limit, told",
    [
        ([], None, []),
        ([], 100, ["warning No drill has passed; max_drill_age is 100 days."]),
        ([(99, True)], None, []),
        ([(99, True)], 100, ["ok A drill passed 99 days ago"]),
        ([(101, True)], 100, ["warning A drill passed 101 days ago; max_drill_age is 100 days."]),
        ([(99, True), (1, False)], None, ["warning The last drill, x1-server, failed: 28 of 30 checks passed."]),
        ([(99, False), (1, True)], 100, ["ok A drill passed 24 h ago"]),
    ],
)
def test_a_drill_that_failed_or_is_overdue_warns(
    drills: List[Tuple[int, bool]], limit: Optional[float], told: List[str]
) -> None:
    made = [
        describe(a_report(passed), "main", f"x{days}-server", "server", NOW - timedelta(days=days), ())
        for days, passed in drills
    ]
    found = list(drilled("r", Drills(tuple(made)), ObjectivesConfig(max_drill_age=limit), NOW))
    assert [f"{check.status} {check.message}" for check in found] == told
    assert all(bool(check.hint) == (check.status == "warning") for check in found)
