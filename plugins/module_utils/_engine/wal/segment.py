# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a WAL segment: its first page header (PostgreSQL source ``xlog_internal.h``).

``XLogLongPageHeaderData``: magic u16, info u16, timeline u32, page address u64, rest length u32, padding u32,
system identifier u64, segment size u32, block size u32; in the byte order of the server's machine.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import Optional, Tuple

from ..base.errors import WalInvalid
from ..base.wal_names import Segment, format_lsn

_HEADER = struct.Struct("=HHIQI4xQII")
_LONG_HEADER = 0x0002
# XLogPageHeaderData, at the start of every other page.
_SHORT = 24
_ALIGNED = 8


@dataclass(frozen=True)
class SegmentHeader:
    """The identity of a segment, read from its first 40 bytes."""

    timeline: int
    start: int
    system_identifier: str
    size: int
    block: int


def read_header(name: str, data: bytes) -> SegmentHeader:
    """The header at the start of ``data``; WalInvalid if there is none."""
    hint = "Check where the file comes from: its disk, and its writer. Nothing was stored or handed over."
    if len(data) < _HEADER.size:
        raise WalInvalid(f"WAL segment {name} has only {len(data)} bytes.", hint, name=name)
    _magic, info, timeline, start, _rest, system, size, block = _HEADER.unpack_from(data)
    if (
        not info & _LONG_HEADER
        or block not in (1024, 2048, 4096, 8192, 16384, 32768, 65536)
        or size & (size - 1)
        or not size
    ):
        raise WalInvalid(f"WAL segment {name} does not begin with a WAL page header.", hint, name=name)
    return SegmentHeader(timeline, start, str(system), size, block)


def check_segment(name: str, data: bytes, system_identifier: str) -> SegmentHeader:
    """Check that ``data`` is the whole segment ``name`` of the cluster ``system_identifier``.

    The timeline in the header may be an older one: the first segment after a switch begins with a copy.
    """
    header = read_header(name, data)
    hint = "Find out which server wrote it. Nothing was stored or handed over."
    if header.system_identifier != system_identifier:
        raise WalInvalid(
            f"WAL segment {name} belongs to the cluster with system identifier {header.system_identifier},"
            f" not {system_identifier}.",
            hint,
            name=name,
        )
    if len(data) != header.size:
        raise WalInvalid(f"WAL segment {name} has {len(data)} bytes instead of {header.size}.", hint, name=name)
    try:
        expected = Segment.parse(name, header.size)
    except ValueError as exc:
        raise WalInvalid(
            f"The name of WAL segment {name} does not fit its size of {header.size}.", hint, name=name
        ) from exc
    if header.start != expected.start or header.timeline > expected.timeline:
        raise WalInvalid(
            f"WAL segment {name} contains timeline {header.timeline} at {format_lsn(header.start)}.",
            hint,
            name=name,
        )
    return header


def record_end(start: int, length: int, block: int, size: int) -> int:
    """The LSN after a record of ``length`` bytes that begins at the LSN ``start``, as PostgreSQL counts it. Pure.

    A record continues after the header of the next page, and ends at a multiple of 8 (``XLogDecodeNextRecord`` in
    ``xlogreader.c``): at the end of a page that it fills, before the header of the next one. ``block`` is the size of a
    page, ``size`` that of a segment.
    """
    at, left = start, length
    while left > (room := block - at % block):
        at, left = at + room, left - room
        at += _HEADER.size if at % size == 0 else _SHORT
    return at + -(-left // _ALIGNED) * _ALIGNED


def next_record(end: int, block: int, size: int) -> int:
    """The LSN where the record begins that follows one which ended at ``end``: behind a page's header. Pure."""
    if end % block:
        return end
    return end + (_HEADER.size if end % size == 0 else _SHORT)


def is_cut_off(begin: int, total: int, end: int, block: int, size: int) -> bool:
    """Whether a record of ``total`` bytes (0: there is none) from the LSN ``begin`` on reaches beyond ``end``. Pure."""
    return total > 0 and record_end(begin, total, block, size) > end


def fills(segment: Segment, content: bytes, last: Optional[Tuple[int, int, str]]) -> bool:
    """Whether the records of a whole segment reach its end, given the last complete one. Pure.

    ``last`` is its LSN, length and kind; None if no record that begins in the segment ends in it. The record after it
    must reach into the next segment, unless the last one is a switch, after which everything is zero.
    """
    block = read_header(segment.name, content).block
    if last is None:
        # The middle of a record that is larger than a segment: every page has a header with its address.
        address = int.from_bytes(content[segment.size - block + 8 : segment.size - block + 16], sys.byteorder)
        return address == segment.end - block
    lsn, length, kind = last
    after = record_end(lsn, length, block, segment.size)
    if kind == "SWITCH" or after >= segment.end:
        return True
    after = next_record(after, block, segment.size)
    (total,) = struct.unpack_from("=I", content, after - segment.start)
    return is_cut_off(after, total, segment.end, block, segment.size)
