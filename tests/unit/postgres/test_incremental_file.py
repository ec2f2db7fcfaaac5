# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import struct
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.incremental_file import Changes, Geometry, Label, as_full, read_changes, read_label

GEOMETRY = Geometry(8192, 131072)
LABEL = """START WAL LOCATION: 0/8000028 (file 000000010000000000000008)
CHECKPOINT LOCATION: 0/8000080
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-28 07:00:00 UTC
LABEL: 20261128T070000-full
START TIMELINE: 1
"""
PARENT = "INCREMENTAL FROM LSN: 0/6000028\nINCREMENTAL FROM TLI: 1\n"


def header(count: int, keep: int, numbers: List[int], magic: int = 0xD3AE1F0D) -> bytes:
    raw = struct.pack(f"=III{len(numbers)}I", magic, count, keep, *numbers)
    return raw + bytes(-len(raw) % 8192 if count else 0)


def read(raw: bytes, more: int = 0) -> Changes:
    return read_changes(io.BytesIO(raw), len(raw) + more, GEOMETRY)


def test_the_header_of_a_file_without_changes_has_no_padding() -> None:
    assert read(header(0, 7, [])) == Changes(7, (), 12)
    assert read(header(0, 0, [])).blocks == 0


def test_blocks_begin_after_a_whole_page() -> None:
    changes = read(header(2, 3, [1, 9]), 2 * 8192)
    assert changes == Changes(3, (1, 9), 8192) and changes.blocks == 10


@pytest.mark.parametrize(
    ("raw", "more", "why"),
    [
        (b"short", 0, "shorter than a header"),
        (header(0, 0, [], magic=1), 0, "begins with 0x1"),
        (header(2**31, 0, []), 0, "has 2147483648 blocks"),
        (header(0, 131073, []), 0, "keeps 131073"),
        (header(1, 0, [0]), 8191, "bytes instead of"),
        (header(1, 0, [0]), 3 * 8192, "bytes instead of"),
        (header(1, 0, [4_000_000_000]), 8192, "number over 131071"),
        (header(1, 0, [131072]), 8192, "number over 131071"),
    ],
)
def test_what_no_server_writes_is_refused(raw: bytes, more: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(raw, more)


@given(st.sets(st.integers(0, 300)), st.integers(1, 8))
def test_runs_are_all_blocks_once(numbers: set[int], most: int) -> None:
    changes = Changes(0, tuple(sorted(numbers)), 0)
    found: List[Tuple[int, int]] = []
    for first, index, count in changes.runs(most):
        assert 1 <= count <= most
        found += [(first + i, index + i) for i in range(count)]
    assert found == [(number, index) for index, number in enumerate(sorted(numbers))]


def test_a_label_names_its_start_and_its_parent() -> None:
    assert read_label(LABEL) == Label((1, 0x8000028), None)
    assert read_label(LABEL + PARENT) == Label((1, 0x8000028), (1, 0x6000028))
    assert as_full(LABEL + PARENT) == LABEL == as_full(LABEL)


@pytest.mark.parametrize("text", ["", "START TIMELINE: 1\n", LABEL + "INCREMENTAL FROM LSN: 0/6000028\n"])
def test_a_label_without_its_lines_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_label(text)
