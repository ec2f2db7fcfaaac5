# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guard objects for its own reason, and only to a plan that removes something."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from lifeboat.config.retention import RetentionConfig
from lifeboat.retention.guards import GUARDS, Circumstances, objections
from lifeboat.retention.plan import PrunePlan, Removal
from support.records import a_backup, moment

PLAN = PrunePlan((Removal("main/x", 50, "wal", "old"),), {}, 10, 100)
FINE = Circumstances(moment(100), moment(90), a_backup())


def said(plan: PrunePlan, seen: Circumstances, *lifted: str) -> dict[str, str]:
    return {o.guard: o.message for o in objections(plan, RetentionConfig(), seen, lifted)}


def test_a_plan_within_bounds_meets_no_objection() -> None:
    assert said(PLAN, FINE) == {}


@pytest.mark.parametrize(
    ("guard", "plan", "seen", "words"),
    [
        ("share", replace(PLAN, bytes=99), FINE, "50.5 % of the repository's bytes"),
        ("clock", PLAN, replace(FINE, store_time=moment(100 - 301)), "301 s ahead of the store's"),
        ("clock", PLAN, replace(FINE, store_time=moment(100 + 301)), "301 s behind the store's"),
        ("age", PLAN, replace(FINE, now=moment(86400 * 4), store_time=moment(86400 * 4)), "is 4.0 days old"),
        ("age", PLAN, replace(FINE, newest=None), "no backup is plausible"),
        ("restore", PLAN, replace(FINE, restores=["L on h"]), "under way: L on h"),
    ],
)
def test_a_guard_objects_until_it_is_lifted(guard: str, plan: PrunePlan, seen: Circumstances, words: str) -> None:
    found = said(plan, seen)
    assert list(found) == [guard] and words in found[guard]
    assert said(plan, seen, guard) == {}
    assert list(said(plan, seen, *(g for g in GUARDS if g != guard))) == [guard]
    # Where nothing goes, nothing is wrong with it.
    assert said(replace(plan, removals=()), seen) == {}


def test_a_restore_of_the_newest_backup_is_not_confused_with_its_age() -> None:
    late = FINE.now + timedelta(days=2, hours=23)
    assert said(PLAN, replace(FINE, now=late, store_time=late)) == {}
