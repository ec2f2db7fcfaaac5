# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan keeps because something that is stored was not read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Dict, Optional, Set

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.config.retention import RetentionConfig
from lifeboat.repository.chain import find_chains
from lifeboat.repository.histories import Histories
from lifeboat.retention.given import without_history
from lifeboat.retention.plan import make_plan
from support.choice import examples
from support.lives import LAYOUT, POLICIES, Life, lives
from support.records import a_backup

TEXT = "1\t0/3000000\tno recovery target specified\n"


@pytest.mark.parametrize(
    ("timelines", "texts", "stored", "lost", "told"),
    [
        ({1}, {}, {1}, set(), None),
        ({1, 2}, {2: TEXT}, {1, 2}, set(), None),
        ({1, 2}, {}, {1, 2}, set(), "the history of timeline 2 is missing"),
        ({2}, {}, {1, 2}, set(), "the history of timeline 2 is missing"),
        # A repository that was begun after the failover.
        ({2}, {}, {2}, set(), None),
        ({2}, {}, {2}, {2}, "the history of timeline 2 is missing"),
        (set(), {}, set(), set(), None),
    ],
)
def test_a_missing_history_is_noticed(
    timelines: Set[int], texts: Dict[int, str], stored: Set[int], lost: Set[int], told: Optional[str]
) -> None:
    backups = [replace(a_backup(), timeline=timeline) for timeline in timelines]
    assert without_history(backups, Histories(texts, lost=lost, stored=stored)) == told


@settings(max_examples=examples(200), deadline=None)
@given(lives(), POLICIES, st.integers(0, 400), st.data())
def test_a_record_that_was_not_read_keeps_everything_of_its_cluster(
    life: Life, policy: RetentionConfig, later: int, data: st.DataObject
) -> None:
    labels = sorted(b.label for b in life.backups if b.label not in life.lost)
    if not labels:
        return
    unread, now = data.draw(st.sampled_from(labels)), life.now + timedelta(hours=later)
    read = [b for b in life.backups if b.label not in {unread, *life.lost}]
    facts = life.facts(chains=find_chains(read, dict.fromkeys(life.lost, "was never finished")))
    plan = make_plan(facts, life.objects(), policy, now)
    gone = {r.key for r in plan.removals}
    kept = {o.key for o in life.objects() if o.key.startswith(f"main/wal/{life.system}/")}
    kept |= {LAYOUT.backup(label, name) for label in labels for name in ("manifest.json", "base.tar.zst")}
    assert not gone & kept
