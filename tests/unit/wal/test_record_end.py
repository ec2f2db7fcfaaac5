# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a WAL record ends, after the headers of the pages that it crosses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.wal.segment import record_end

SEGMENT = 2**20


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        (0x5000028, 114, 0x50000A0),
        # Exactly to the end of a page, and 8 bytes more: behind the header of the next one.
        (0x5002000 - 120, 114, 0x5002000),
        (0x5002000 - 112, 114, 0x5002000 + 24 + 8),
        # Into the next segment, whose header is longer.
        (0x5100000 - 8, 114, 0x5100000 + 40 + 112),
        (0x5100000 - 120, 120, 0x5100000),
    ],
)
def test_known_ends(start: int, length: int, end: int) -> None:
    assert record_end(start, length, 8192, SEGMENT) == end


@given(
    slot=st.integers(0, 3 * SEGMENT // 8),
    length=st.integers(24, 40_000),
    block=st.sampled_from([1024, 4096, 8192, 65536]),
)
def test_it_is_where_counting_byte_by_byte_ends(slot: int, length: int, block: int) -> None:
    def is_header(at: int) -> bool:
        return at % block < (40 if at // block * block % SEGMENT == 0 else 24)

    start = slot * 8
    while is_header(start):
        start += 8
    at, left = start, length
    while left:
        left -= not is_header(at)
        at += 1
    assert record_end(start, length, block, SEGMENT) == -(-at // 8) * 8
