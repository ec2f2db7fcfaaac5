# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a thaw requests, for how long, and at what price."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.store.s3.cold import ColdObject, Thawed, thawed
from lifeboat.thaw.need import is_record, wal_of
from lifeboat.thaw.terms import impossible, terms
from support.records import SYSTEM, a_backup, moment

SIZE = 2**24
PATH = TimelinePath((Step(1, 5 * SIZE + 40), Step(2, None)))
BASE = a_backup(start=2 * SIZE + 40, stop=3 * SIZE + 40)


def wal(timeline: int, number: int, stored: float = 0.0, end: str = "", system: str = SYSTEM) -> ColdObject:
    name = f"{timeline:08X}{0:08X}{number:08X}"
    return ColdObject(f"main/wal/{system}/{name[:8]}/{name[8:16]}/{name}{end}.zst", 1000, moment(stored), "GLACIER")


def test_wal_is_needed_along_the_path_from_the_start_of_the_backup() -> None:
    before, first, last = wal(1, 1), wal(1, 2), wal(2, 9)
    # The segment with the fork is read from the timeline after it.
    fork, abandoned, after, piece = wal(2, 5), wal(1, 5), wal(1, 6), wal(2, 10, end=".00000000-00001000.partial")
    other = wal(1, 3, system="1234567890")
    found = wal_of("main", [before, first, fork, abandoned, after, last, piece, other], BASE, PATH, None)
    assert found == [first, fork, last, piece]


def test_until_a_time_the_segment_stored_after_it_is_the_last() -> None:
    listed = [wal(1, n, stored=n * 60) for n in (2, 3, 4)] + [wal(2, n, stored=n * 60) for n in (5, 6, 7)]
    assert wal_of("main", listed, BASE, PATH, moment(4 * 60 + 1)) == listed[:4]
    # The backup needs its own WAL, however late that was stored.
    assert wal_of("main", listed, BASE, PATH, moment(0)) == listed[:2]
    assert wal_of("main", listed, BASE, PATH, moment(10**6)) == listed


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20), st.floats(0, 10**6)), max_size=30), st.floats(0, 10**6)
)
def test_an_earlier_target_needs_no_more(parts: list[tuple[int, int, float]], until: float) -> None:
    listed = [wal(*part) for part in parts]
    some = wal_of("main", listed, BASE, PATH, moment(until))
    assert set(some) <= set(wal_of("main", listed, BASE, PATH, None)) <= set(listed)


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("main/repository.json", True),
        (f"main/systems/{SYSTEM}.json", True),
        ("main/backups/20261122T020000Z-full/manifest.json", True),
        (f"main/wal/{SYSTEM}/00000002.history", True),
        ("main/backups/20261122T020000Z-full/base.tar.zst", False),
        ("main/backups/20261122T020000Z-full/backup_manifest", False),
        ("main/dumps/shop/20261122T020000Z-dump/manifest.json", False),
        ("main/of somebody else", False),
    ],
)
def test_records_are_what_lists_the_backups(key: str, record: bool) -> None:
    assert is_record("main", key) is record


@pytest.mark.parametrize(
    ("header", "state"),
    [
        (None, Thawed(readable=False)),
        ("", Thawed(readable=False)),
        ("nonsense", Thawed(readable=False)),
        ('ongoing-request="true"', Thawed(readable=False, ongoing=True)),
        (
            'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
            Thawed(readable=True, until=datetime(2012, 12, 21, tzinfo=timezone.utc)),
        ),
        ('ongoing-request="false", expiry-date="soon"', Thawed(readable=True)),
    ],
)
def test_the_state_by_the_header(header: Optional[str], state: Thawed) -> None:
    assert thawed(header) == state


def test_the_slowest_class_decides_how_long_it_takes() -> None:
    both = [("GLACIER", 10**12), ("DEEP_ARCHIVE", 10**12)]
    assert terms(both, "standard").hours == 12 and terms(both, "bulk").hours == 48
    assert round(terms(both, "standard").dollars, 2) == 30.0 and round(terms(both, "bulk").dollars, 2) == 2.5
    assert terms([], "bulk").dollars == terms([], "bulk").hours == 0
    assert impossible(["DEEP_ARCHIVE", "GLACIER"], "expedited") == "DEEP_ARCHIVE"
    assert impossible(["GLACIER"], "expedited") is None and impossible([], "expedited") is None
