# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LSNs and the names of WAL files, for every segment size that initdb supports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import (
    Segment,
    format_lsn,
    history_name,
    is_history,
    is_segment,
    is_wal_file,
    parse_lsn,
    segments_between,
    split_name,
)

sizes = st.sampled_from([2**n for n in range(20, 31)])
lsns = st.integers(0, 2**64 - 1)
timelines = st.integers(1, 2**32 - 1)


@given(lsns)
def test_an_lsn_survives_its_text(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == parse_lsn(format_lsn(lsn).lower()) == lsn


def test_lsn_text_is_postgresqls() -> None:
    assert format_lsn(50331688) == "0/3000028"
    assert parse_lsn("1A/FF000000") == (0x1A << 32) + 0xFF000000


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/G", "0/123456789", "-1/0", "0/3000028/1", "0x1/2", "١/٢"])
def test_what_is_no_lsn(text: str) -> None:
    with pytest.raises(ValueError, match="is not an LSN"):
        parse_lsn(text)


@given(timelines, lsns, sizes)
def test_a_segment_survives_its_name(timeline: int, lsn: int, size: int) -> None:
    segment = Segment.at(timeline, lsn, size)
    assert segment.name == f"{timeline:08X}{lsn >> 32:08X}{(lsn & 0xFFFFFFFF) // size:08X}"
    assert Segment.parse(segment.name, size) == segment
    assert is_segment(segment.name)
    assert segment.start <= lsn < segment.end == segment.start + size
    assert split_name(segment.name) == (segment.name[:8], segment.name[8:16])


@given(timelines, st.tuples(lsns, lsns), sizes)
def test_names_sort_as_their_positions_do(timeline: int, pair: tuple[int, int], size: int) -> None:
    one, other = (Segment.at(timeline, lsn, size) for lsn in pair)
    assert (one.name < other.name) == (one.number < other.number)


@pytest.mark.parametrize("size", [2**n for n in range(20, 31)])
def test_the_last_segment_of_a_log(size: int) -> None:
    last, first = Segment.at(1, 2**32 - 1, size), Segment.at(1, 2**32, size)
    assert last.end == first.start == 2**32
    assert first.name == "000000010000000100000000"
    beyond = f"0000000100000000{2**32 // size:08X}"
    with pytest.raises(ValueError, match="segments of"):
        Segment.parse(beyond, size)


@given(timelines, lsns.filter(bool), sizes)
def test_the_segment_that_ends_at_an_lsn_holds_the_byte_before(timeline: int, lsn: int, size: int) -> None:
    assert Segment.ending_at(timeline, lsn, size) == Segment.at(timeline, lsn - 1, size)


@given(timelines, st.integers(0, 2**40), st.integers(1, 2**31), sizes)
def test_segments_between_cover_exactly_the_span(timeline: int, start: int, length: int, size: int) -> None:
    stop = start + length
    found = list(segments_between(timeline, start, stop, size))
    assert found[0].start <= start < found[0].end
    assert found[-1].start < stop <= found[-1].end
    assert [s.number for s in found] == list(range(found[0].number, found[-1].number + 1))
    assert {s.timeline for s in found} == {timeline}


def test_a_span_that_ends_at_a_boundary_needs_no_further_segment() -> None:
    mib16 = 16 * 2**20
    assert [s.name[-2:] for s in segments_between(1, 2 * mib16 + 40, 3 * mib16)] == ["02"]
    assert [s.name[-2:] for s in segments_between(1, 2 * mib16 + 40, 3 * mib16 + 1)] == ["02", "03"]


NAME = "0000000100000000000000FF"


@pytest.mark.parametrize("name", [NAME, f"{NAME}.partial", f"{NAME}.00000028.backup", "00000002.history"])
def test_the_files_that_postgresql_archives(name: str) -> None:
    assert is_wal_file(name)
    assert is_segment(name) == (name == NAME)
    assert is_history(name) == name.endswith("history")


@pytest.mark.parametrize(
    "name",
    [
        "",
        NAME[:-1],
        NAME + "0",
        NAME.lower(),
        f"{NAME}.zst",
        f"{NAME}.tmp",
        f"{NAME}.28.backup",
        f"../{NAME}",
        f"{NAME}\n",
        "2.history",
        "00000002.history.x",
        "00000002.history\n",
        f"{NAME}.partial\n",
        "RECOVERYXLOG",
    ],
)
def test_what_postgresql_never_archives(name: str) -> None:
    assert not is_wal_file(name)
    assert not is_segment(name)
    assert not is_history(name)


def test_the_name_of_a_history_file() -> None:
    assert history_name(0x1F) == "0000001F.history"
    assert is_history(history_name(2**32 - 1))
