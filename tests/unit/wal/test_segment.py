# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a segment, compared with its name and its cluster."""

from __future__ import annotations

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import WalInvalid
from lifeboat.base.wal_names import Segment
from lifeboat.wal.segment import check_segment, read_header
from support.records import SYSTEM

MIB = 2**20
ORDER = "<" if sys.byteorder == "little" else ">"


def header(
    timeline: int = 1, start: int = 2 * MIB, system: str = SYSTEM, size: int = MIB, info: int = 2, block: int = 8192
) -> bytes:
    """``XLogLongPageHeaderData``, laid out by hand."""
    fields = struct.pack(ORDER + "HHIQII", 0xD116, info, timeline, start, 0, 0)
    return fields + struct.pack(ORDER + "QII", int(system), size, block)


def segment(**fields: int | str) -> bytes:
    return header(**fields).ljust(MIB, b"\0")  # type: ignore[arg-type]


NAME = Segment(1, 2, MIB).name


def test_the_whole_segment_of_that_name_passes() -> None:
    found = check_segment(NAME, segment(), SYSTEM)
    assert (found.timeline, found.start, found.system_identifier, found.size) == (1, 2 * MIB, SYSTEM, MIB)


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**63), st.integers(0, 2**64 - 1), st.integers(20, 30))
def test_a_header_is_read_as_it_was_written(timeline: int, start: int, system: int, power: int) -> None:
    found = read_header(NAME, header(timeline, start, str(system), 2**power))
    assert (found.timeline, found.start, found.system_identifier, found.size) == (
        timeline,
        start,
        str(system),
        2**power,
    )


def test_the_first_segment_after_a_switch_may_begin_with_a_copy_of_the_old_timeline() -> None:
    check_segment(Segment(3, 2, MIB).name, segment(timeline=1), SYSTEM)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (header()[:39], "39 bytes"),
        (bytes(MIB), "WAL page header"),
        (b"no wal at all " * 1000, "WAL page header"),
        (segment(info=0), "WAL page header"),
        (segment(block=8191), "WAL page header"),
        (segment(size=MIB + 1), "WAL page header"),
        (segment(size=0), "WAL page header"),
        (segment()[:-1], f"{MIB - 1} bytes instead of {MIB}"),
        (segment() + b"\0", f"{MIB + 1} bytes instead of {MIB}"),
        (segment(size=2 * MIB), f"{MIB} bytes instead of {2 * MIB}"),
        (segment(system="7"), "system identifier 7, not " + SYSTEM),
        (segment(start=3 * MIB), "timeline 1 at 0/300000"),
        (segment(timeline=2), "timeline 2 at 0/200000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_is_refused_by_name(data: bytes, says: str) -> None:
    with pytest.raises(WalInvalid, match=NAME) as caught:
        check_segment(NAME, data, SYSTEM)
    assert says in caught.value.message


def test_a_name_that_no_server_with_such_segments_gives() -> None:
    name = "000000010000000000001000"
    with pytest.raises(WalInvalid, match=name):
        check_segment(name, segment(), SYSTEM)
