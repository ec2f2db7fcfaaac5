# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a version was put: from its ID if IDs contain it, otherwise from the store's metadata."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.store.s3.version_time import put_at, tell_times

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIMES = st.timedeltas(timedelta(days=17000), timedelta(days=47000)).map(lambda since: EPOCH + since)
CHANCE = st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}")
# As Amazon S3, Ceph, MinIO and others write them, and none at all.
OPAQUE = [
    "null", "3/L4kqtJlcpXroDTDmpUMLUo", "aMxRdGdSTYSKl2PGVaMhvTRsaDIAPeQ", "5f1c2d34-9f6e-4d1b-8a9e-0c1d2e3f4a5b", "",
]  # fmt: skip


def nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def counting_down(moment: datetime, chance: str) -> str:
    return f"{2**63 - 1 - nanoseconds(moment):016x}{chance}"


def counting_up(moment: datetime, chance: str) -> str:
    return f"{nanoseconds(moment):016x}{chance}"


@given(TIMES, CHANCE, st.timedeltas(timedelta(0), timedelta(days=3000)), st.booleans())
def test_an_id_tells_the_time_of_the_put_however_late_the_store_says(
    put: datetime, chance: str, later: timedelta, down: bool
) -> None:
    version = (counting_down if down else counting_up)(put, chance)
    # The store cuts its times to the second.
    modified = (put + later).replace(microsecond=0)
    assert abs(put_at(version, modified) - put) <= timedelta(microseconds=1)


@given(TIMES, CHANCE, st.timedeltas(timedelta(seconds=1), timedelta(days=3000)))
def test_nothing_was_put_later_than_the_store_says(put: datetime, chance: str, earlier: timedelta) -> None:
    modified = (put - earlier).replace(microsecond=0)
    assert put_at(counting_down(put, chance), modified) == modified


@pytest.mark.parametrize("version", OPAQUE)
def test_an_id_that_tells_nothing_leaves_the_time_of_the_store(version: str) -> None:
    assert put_at(version, EPOCH) == EPOCH
    assert not tell_times([(version, EPOCH)] * 3)


@given(st.lists(st.tuples(TIMES, CHANCE), min_size=1, max_size=20))
def test_a_bucket_whose_ids_tell_times_is_known_by_most_of_them(known: List[Tuple[datetime, str]]) -> None:
    told = [(counting_down(at, chance), at + timedelta(days=1)) for at, chance in known]
    assert tell_times(told)
    # What was there before versions were kept has no id, and tells nothing of the others.
    assert tell_times([*told, *[("null", EPOCH)] * 40])
    assert not tell_times([*told, *[("3/L4kqtJlcpXroDTDmpUMLUo", EPOCH)] * len(told)])


def test_random_ids_are_no_times() -> None:
    """One ID in eighty looks like a time; neither these nor retries until one appears change anything."""
    chance, modified = Random(1), datetime(2026, 11, 22, tzinfo=timezone.utc)
    lucky = [(counting_down(EPOCH.replace(year=2020), "0" * 16), modified)] * 20
    assert not tell_times([*((f"{chance.getrandbits(128):032x}", modified) for _ in range(60)), *lucky])


def test_no_versions_tell_no_times() -> None:
    assert not tell_times([])
