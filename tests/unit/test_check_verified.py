# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``lifeboat check`` says of the newest verification and of the last restore test."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List, Optional

import pytest
from lifeboat.check.run import verified
from lifeboat.config.sections import ObjectivesConfig
from lifeboat.repository.restore_tests import Tested
from lifeboat.repository.verifications import Known

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
