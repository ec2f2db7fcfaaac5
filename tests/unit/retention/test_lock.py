# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long an object is locked, and when its lock must be renewed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.check.immutability import describe
from lifeboat.config.retention import RetentionConfig
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.terms import RENEW_FOR, RENEW_WITHIN, is_due, longest, term

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
POLICY = RetentionConfig(
    full_days=30, differential_days=9, incremental_days=8, wal_days=7, dump_days=20, file_set_days=90,
    file_sets={"data": 40}, audit_days=365, damaged_days=25, diverged_days=100,
)  # fmt: skip
WAL = "main/wal/7/00000001/00000000/000000010000000000000002"
KEYS = {
    "main/backups/20261122T020000Z-full/base.tar.zst": 30,
    "main/backups/20261122T020000Z-diff/manifest.json": 9,
    "main/backups/20261122T020000Z-incr/base.tar.zst.age": 8,
    f"{WAL}.zst": 7,
    f"{WAL}.zst.age": 7,
    "main/wal/7/sha256/00000001/00000000/000000010000000000000002": 7,
    f"{WAL}.00000000-00001000.partial.zst": None,
    "main/wal/7/00000002.history": 365,
    "main/dumps/shop/20261122T020000Z-dump/data.pgdump.zst": 20,
    "main/files/etc/20261122T020000Z-files/manifest.json": 90,
    "main/files/data/20261122T020000Z-files/data.tar.zst": 40,
    "main/audit/host.postgres/20261122/0000000001.json": 365,
    "main/holds/20261122T020000Z-full/20261122T020000Z-held-ab.json": 365,
    "main/restores/0123456789ab/begun": None,
    "main/diverged/7/20261122T020000Z-0a1b2c3d/000000010000000000000002.zst": 100,
    "main/damaged/20261122T020000Z-0a1b2c3d/object": 25,
    "main/drills/20261122T020000Z-server/report.json": 1095,
    "main/repository.json": 365,
    "main/leadership/7/00000001.json": 365,
    "main/something/else": None,
    ".lifeboat-trial/abc": None,
}


@pytest.mark.parametrize("key", KEYS)
def test_each_kind_is_locked_as_long_as_it_is_kept(key: str) -> None:
    found = term(kind_of("main", key), POLICY)
    assert found == (None if KEYS[key] is None else timedelta(days=KEYS[key]))


def test_nothing_is_locked_for_no_days() -> None:
    none = RetentionConfig(wal_days=0)
    assert term(kind_of("main", f"{WAL}.zst"), none) is None
    # But what stays all the same is renewed.
    assert is_due(kind_of("main", f"{WAL}.zst"), NOW, none, NOW)


DAYS = st.floats(3, 400)


@given(
    st.sampled_from(sorted(key for key, days in KEYS.items() if days)),
    st.lists(st.floats(0.1, 2.99), max_size=60),
    st.builds(RetentionConfig, full_days=DAYS, incremental_days=DAYS, wal_days=DAYS, audit_days=DAYS),
)
def test_kept_objects_always_have_a_lock(key: str, pauses: List[float], policy: RetentionConfig) -> None:
    """As long as retention runs at least every three days."""
    first = term(kind_of("main", key), policy)
    assert first is not None and first <= timedelta(days=max(longest(policy), policy.drill_days))
    until, now = NOW + first, NOW
    for pause in pauses:
        now += timedelta(days=pause)
        assert until > now
        if is_due(kind_of("main", key), NOW, policy, now) and until < now + RENEW_WITHIN:
            until = now + RENEW_FOR


def test_a_check_says_what_is_wrong_with_a_lock() -> None:
    label = "20261122T020000Z-full"
    later, earlier = NOW + timedelta(days=1), NOW - timedelta(days=1)
    assert describe("compliance", None, None, NOW) == ("compliance; there is no backup yet", "")
    words, hint = describe("compliance", label, None, NOW)
    assert label in words and "not locked" in words and "prune" in hint
    words, hint = describe("governance", label, earlier, NOW)
    assert "ended at 2026-11-21" in words and hint
    words, hint = describe("governance", label, later, NOW)
    assert "is locked (governance) until 2026-11-23" in words and not hint
