# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lengths of parts: every size fits, no byte is lost, and memory is limited."""

from __future__ import annotations

import threading
from typing import Any, Dict, List

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lifeboat.store import parts
from lifeboat.store.parts import MIB, REACH, PartsWriter, Schedule
from support.choice import examples

GIB = 1024 * MIB
#: What S3, Azure and Google Cloud take in one part, and how many of them.
STORES = [(5 * GIB, 10_000), (4000 * MIB, 50_000)]


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(5 * MIB, 1 * GIB).map(lambda size: size // (256 * 1024) * 256 * 1024), st.sampled_from(STORES))
@example(16 * MIB, STORES[0])
def test_five_tebibytes_fit_into_the_parts_that_a_store_takes(first: int, store: Any) -> None:
    most, count = store
    schedule = Schedule(first, count)
    lengths = [schedule.length(number) for number in range(1, count + 1)]
    assert sum(lengths) >= REACH
    assert lengths == sorted(lengths) and set(lengths[: count // 5]) == {first}
    assert lengths[-1] <= most
    # In whole MiB over the first: Google Cloud asks for multiples of 256 KiB.
    assert {(length - first) % MIB for length in lengths} == {0}
    # No part is much longer than what was written by then needs.
    assert all(b - a <= 2 * MIB for a, b in zip(lengths, lengths[1:]))


def test_the_figures_of_the_docstrings() -> None:
    schedule, written = Schedule(16 * MIB, 10_000), 0
    told = {31 * GIB: 16, 100 * GIB: 96, 300 * GIB: 257, 1024 * GIB: 636, 5120 * GIB: 1922}
    found: Dict[int, int] = {}
    for number in range(1, 10_001):
        written += schedule.length(number)
        found.update({size: schedule.length(number) // MIB for size in told if size <= written and size not in found})
    assert found == told
    assert schedule.held(4) == 512 * MIB
    # A store that takes any number of chunks gets them all of one length, and one of them is on its way.
    assert Schedule(16 * MIB, 1_000_000).length(1_000_000) == 16 * MIB
    assert Schedule(16 * MIB, 1_000_000).held(1) == 48 * MIB


class Slow:
    """An upload with parts in flight until the writer must wait for one."""

    def __init__(self) -> None:
        self.got: Dict[int, bytes] = {}
        self.most = 0
        self._held = 0
        self._lock = threading.Lock()

    def put(self, data: bytes, sha256: str) -> None:
        self.got[1] = bytes(data)

    def begin(self) -> None:
        pass

    def send(self, number: int, data: bytes, last: bool) -> int:
        self.got[number] = bytes(data)
        return number

    def complete(self, parts: List[Any]) -> None:
        assert parts == sorted(self.got)

    def drop(self) -> None:
        raise AssertionError("nothing failed")


@settings(max_examples=examples(200), deadline=None)
@given(
    first=st.integers(1, 50),
    count=st.integers(1, 60),
    reach=st.integers(1, 5000),
    parallel=st.integers(1, 5),
    held=st.integers(1, 400),
    chunks=st.lists(st.integers(0, 300), max_size=30),
)
def test_every_byte_arrives_and_memory_has_its_bound(
    first: int, count: int, reach: int, parallel: int, held: int, chunks: List[int]
) -> None:
    schedule, upload = Schedule(first, count, reach, 1), Slow()
    total = sum(schedule.length(number) for number in range(1, count + 1))
    before, parts.HELD = parts.HELD, held
    try:
        bound, most, data, left = schedule.held(parallel), 0, b"", total
        with PartsWriter("x", upload, schedule, parallel) as writer:
            for number, size in enumerate(chunks):
                chunk = bytes([number]) * min(size, left)
                data, left = data + chunk, left - len(chunk)
                writer.write(chunk)
                most = max(most, sum(writer._lengths) + len(writer._buffer))
            longest = schedule.length(len(writer._parts) + len(writer._pending) + 1)
    finally:
        parts.HELD = before
    assert b"".join(upload.got[number] for number in sorted(upload.got)) == data
    assert [len(upload.got[n]) for n in sorted(upload.got)][:-1] == [
        schedule.length(n) for n in range(1, len(upload.got))
    ]
    assert most <= max(bound, 2 * longest)
