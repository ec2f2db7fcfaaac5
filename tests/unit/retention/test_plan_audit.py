# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention removes the oldest events of a chain, never the newest, and nothing of the register of erasures."""

from __future__ import annotations

from datetime import timedelta
from typing import List

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.config.retention import RetentionConfig
from lifeboat.repository.chain import find_chains
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.layout import Layout
from lifeboat.retention.plan import Facts, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.records import EPOCH

LAYOUT = Layout("main")
NOW = EPOCH + timedelta(days=1000)


@given(
    st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=8), max_size=3),
    st.integers(0, 999),
    st.randoms(use_true_random=False),
)
def test_only_the_beginning_of_a_chain_of_events_is_removed(chains: List[List[int]], keep: int, mix: object) -> None:
    objects = [ObjectInfo(LAYOUT.erasure(EPOCH, "0a1b2c3d"), 1, EPOCH)]
    for index, days in enumerate(chains):
        # As after a sync: stored yesterday, whatever their day is.
        stored = NOW - timedelta(days=1)
        objects += [
            ObjectInfo(LAYOUT.audit_event(f"host{index}.root", EPOCH + timedelta(days=day), number), 1, stored)
            for number, day in enumerate(sorted(days), 1)
        ]
    mix.shuffle(objects)  # type: ignore[attr-defined]
    policy = RetentionConfig(audit_days=float(keep))
    plan = make_plan(Facts("main", find_chains([], {})), objects, policy, NOW)
    for index, days in enumerate(chains):
        gone = [kind_of("main", r.key) for r in plan.removals]
        numbers = [int(k.part[-10:]) for k in gone if k.name == "audit" and k.owner == f"host{index}.root"]
        old = len([d for d in sorted(days)[:-1] if d < 1000 - keep])
        assert numbers == list(range(1, old + 1))
    assert {r.kind for r in plan.removals} <= {"audit"}
