# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a segment contains records up to its end."""

from __future__ import annotations

import struct
from typing import Dict, Optional, Tuple

import pytest
from lifeboat.base.wal_names import Segment
from lifeboat.wal.segment import fills

SIZE, BLOCK = 2**20, 8192
SEGMENT = Segment(1, 5, SIZE)


def content(lengths: Dict[int, int], address: int = 0) -> bytes:
    """A segment with a header, lengths of records at offsets, and the address of its last page."""
    data = bytearray(SIZE)
    data[:40] = struct.pack("=HHIQI4xQII", 0xD110, 2, 1, SEGMENT.start, 0, 7, SIZE, BLOCK)
    for at, length in lengths.items():
        data[at : at + 4] = struct.pack("=I", length)
    data[SIZE - BLOCK + 8 : SIZE - BLOCK + 16] = struct.pack("=Q", address)
    return bytes(data)


@pytest.mark.parametrize(
    ("lengths", "last", "whole"),
    [
        ({}, (SEGMENT.end - 120, 114, "INSERT"), True),
        ({SIZE - 80: 114}, (SEGMENT.end - 200, 114, "INSERT"), True),
        # Zero, and a record that would end before the segment does but is not there as a whole.
        ({}, (SEGMENT.end - 200, 114, "INSERT"), False),
        ({SIZE - 4000: 114}, (SEGMENT.end - 4120, 114, "INSERT"), False),
        ({}, (SEGMENT.start + 40, 24, "SWITCH"), True),
        # Behind a page that the last record fills stands the header of the next one.
        ({SIZE - BLOCK + 24: 9000}, (SEGMENT.end - BLOCK - 120, 114, "INSERT"), True),
        ({SIZE - BLOCK: 9000}, (SEGMENT.end - BLOCK - 120, 114, "INSERT"), False),
    ],
)
def test_the_last_record_tells(lengths: Dict[int, int], last: Optional[Tuple[int, int, str]], whole: bool) -> None:
    assert fills(SEGMENT, content(lengths), last) is whole


def test_in_the_middle_of_a_huge_record_the_last_page_tells() -> None:
    assert fills(SEGMENT, content({}, SEGMENT.end - BLOCK), None)
    assert not fills(SEGMENT, content({}), None)
