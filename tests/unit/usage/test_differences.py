# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository lacks is the same side by side as all at once, and takes no memory for each segment."""

from __future__ import annotations

import tracemalloc
from typing import Dict, Iterator, List

from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.repository.lag import find_lag
from lifeboat.repository.layout import Layout
from lifeboat.store.protocol import ObjectInfo
from lifeboat.usage.differences import Difference, differ
from support.choice import examples
from support.records import SYSTEM, moment

LAYOUT = Layout("main")
SEGMENTS = [Segment(1, number).name for number in (254, 255, 256, 257)]
FULL, OTHER = "20261122T020000Z-full", "20261123T020000Z-full"
KEYS = [
    LAYOUT.repository,
    *(LAYOUT.wal(SYSTEM, name) for name in SEGMENTS),
    LAYOUT.wal(SYSTEM, SEGMENTS[1]) + ".age",
    LAYOUT.wal(SYSTEM, f"{SEGMENTS[2]}.00000000-00001000.partial"),
    LAYOUT.wal(SYSTEM, "00000002.history"),
    *(f"{LAYOUT.backups}{label}/{name}" for label in (FULL, OTHER) for name in ("base.tar.zst", "manifest.json")),
    LAYOUT.file_set("config", "20261122T020000Z-files", "data.tar.zst"),
    LAYOUT.audit_event("db-1.postgres", moment(0), 17),
    LAYOUT.incident_event("20261122T020000Z-db1", 1),
    LAYOUT.lease("writes", "0123456789ab", "begun"),
    "main/notes.txt",
]  # fmt: skip


def infos(sizes: Dict[str, int]) -> List[ObjectInfo]:
    """As a store lists them."""
    return [ObjectInfo(key, size, moment(0)) for key, size in sorted(sizes.items())]


LISTINGS = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2))


@settings(max_examples=examples(400))
@given(LISTINGS, LISTINGS)
def test_of_two_it_is_what_sync_would_copy(one: Dict[str, int], other: Dict[str, int]) -> None:
    found = differ("main", {"one": infos(one), "other": infos(other)})
    for name, mine, theirs in (("one", one, other), ("other", other, one)):
        lag = find_lag("main", infos(theirs), mine)
        assert found[name] == Difference(lag.bytes, len(lag.conflicts))


def test_of_three_each_lacks_what_any_other_one_has_once() -> None:
    backup, record = f"{LAYOUT.backups}{FULL}/base.tar.zst", LAYOUT.manifest(FULL)
    whole = {backup: 1000, record: 10}
    found = differ(
        "main",
        {
            "near": infos(whole),
            "far": infos({**whole, LAYOUT.wal(SYSTEM, SEGMENTS[0]): 7}),
            # A backup without its record is none, and another size of it a conflict.
            "third": infos({backup: 999, f"{LAYOUT.backups}{OTHER}/base.tar.zst": 5000}),
        },
    )
    assert found == {"near": Difference(7, 1), "far": Difference(0, 1), "third": Difference(17, 1)}


def test_a_hold_of_one_repository_is_no_lag_of_the_others() -> None:
    hold = LAYOUT.hold(FULL, moment(0), "0a1b2c3d")
    assert differ("main", {"near": infos({hold: 300}), "far": []}) == {"near": Difference(), "far": Difference()}


def test_memory_does_not_grow_with_the_segments() -> None:
    def listed(every: int) -> Iterator[ObjectInfo]:
        for number in range(20_000):
            if number % every == 0:
                yield ObjectInfo(LAYOUT.wal(SYSTEM, Segment(1, number).name), 100, moment(0))

    tracemalloc.start()
    try:
        found = differ("main", {"near": listed(1), "far": listed(2)})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == {"near": Difference(0, 0), "far": Difference(1_000_000, 0)}
    # A listing of them at once is ten times as much.
    assert peak < 2_000_000
