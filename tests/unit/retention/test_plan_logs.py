# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of logs are removed by the day they were shipped, those of the security stream later."""

from __future__ import annotations

from datetime import timedelta
from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.config.retention import RetentionConfig
from lifeboat.repository.chain import find_chains
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.layout import Layout
from lifeboat.repository.log_names import log_chunk, log_name
from lifeboat.repository.terms import term
from lifeboat.retention.plan import Facts, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.records import EPOCH

LAYOUT = Layout("main")
NOW = EPOCH + timedelta(days=1000)
STREAMS = st.sampled_from(["security", "system", "nginx"])


def chunk(stream: str, day: int, number: int = 0) -> ObjectInfo:
    stored = EPOCH + timedelta(days=day, seconds=number)
    name = log_name(stored, stored - timedelta(minutes=1), "db 1/x", f"{number:064x}", sealed=bool(number % 2))
    # As after a sync: it came today.
    return ObjectInfo(LAYOUT.log(stream, name), 10, NOW)


@given(st.lists(st.tuples(STREAMS, st.integers(0, 999)), max_size=30), st.integers(0, 999), st.integers(0, 999))
def test_chunks_go_by_their_day(chunks: List[Tuple[str, int]], days: int, security_days: int) -> None:
    objects = [chunk(stream, day, number) for number, (stream, day) in enumerate(chunks)]
    policy = RetentionConfig(log_days=float(days), security_log_days=float(security_days))
    plan = make_plan(Facts("main", find_chains([], {})), objects, policy, NOW)
    gone = {r.key for r in plan.removals}
    assert {r.kind for r in plan.removals} <= {"log"} and len(gone) == len(plan.removals)
    for info, (stream, day) in zip(objects, chunks):
        assert (info.key in gone) is (day < 1000 - (security_days if stream == "security" else days))


def test_a_key_tells_what_the_chunk_is() -> None:
    info = chunk("nginx", 3, 7)
    found = log_chunk(info.key)
    assert found and (found.stream, found.host, found.digest) == ("nginx", "db-1-x", "0" * 16)
    assert found.stored - found.first == timedelta(minutes=1)
    assert kind_of("main", info.key).name == "log" and kind_of("main", info.key + "x").name == "foreign"
    moved = info.key.replace(f"/{found.stored:%Y%m%d}/", "/20200101/")
    assert kind_of("main", moved).name == "foreign"


def test_defaults_and_locks() -> None:
    policy = RetentionConfig()
    terms = {s: term(kind_of("main", chunk(s, 1).key), policy) for s in ("system", "security")}
    assert terms == {"system": timedelta(days=30), "security": timedelta(days=365)}
