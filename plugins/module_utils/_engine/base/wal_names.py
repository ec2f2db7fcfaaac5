# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LSNs and the names of WAL files (PostgreSQL manual, chapter "WAL Internals"; source ``xlog_internal.h``).

An LSN is a plain ``int``: the byte position in the WAL. Its text form is ``X/X``, two hexadecimal halves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Tuple

DEFAULT_SEGMENT_SIZE = 16 * 1024 * 1024
#: What ``initdb --wal-segsize`` allows.
SEGMENT_SIZES = tuple(2**power for power in range(20, 31))
_LSN = re.compile(r"^([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})\Z")
_SEGMENT = re.compile(r"^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})\Z")
_HISTORY = re.compile(r"^([0-9A-F]{8})\.history\Z")
_EXTRA = re.compile(r"^([0-9A-F]{24})\.(partial|[0-9A-F]{8}\.backup)\Z")


def parse_lsn(text: str) -> int:
    """``"0/3000028"`` to 50331688; ValueError if it is not an LSN."""
    match = _LSN.match(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not an LSN; write it like 0/3000028")
    return (int(match.group(1), 16) << 32) | int(match.group(2), 16)


def format_lsn(lsn: int) -> str:
    """50331688 to ``"0/3000028"``."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True, order=True)
class Segment:
    """A complete WAL segment: its timeline and its number (LSN divided by the segment size)."""

    timeline: int
    number: int
    size: int = DEFAULT_SEGMENT_SIZE

    @property
    def name(self) -> str:
        """The 24 hexadecimal digits of the file name."""
        per_log = 0x100000000 // self.size
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"

    @property
    def start(self) -> int:
        """LSN of its first byte."""
        return self.number * self.size

    @property
    def end(self) -> int:
        """LSN just after its last byte."""
        return (self.number + 1) * self.size

    @property
    def following(self) -> Segment:
        """The next one on the same timeline."""
        return Segment(self.timeline, self.number + 1, self.size)

    @classmethod
    def parse(cls, name: str, size: int = DEFAULT_SEGMENT_SIZE) -> Segment:
        """The segment of a file name; ValueError if it is not the name of one."""
        match = _SEGMENT.match(name)
        if not match:
            raise ValueError(f"{name!r} is not the name of a WAL segment")
        timeline, log, low = (int(part, 16) for part in match.groups())
        per_log = 0x100000000 // size
        if low >= per_log:
            raise ValueError(f"{name!r} is not a segment of a server with segments of {size} bytes")
        return cls(timeline, log * per_log + low, size)

    @classmethod
    def at(cls, timeline: int, lsn: int, size: int = DEFAULT_SEGMENT_SIZE) -> Segment:
        """The segment that contains the byte at ``lsn``."""
        return cls(timeline, lsn // size, size)

    @classmethod
    def ending_at(cls, timeline: int, lsn: int, size: int = DEFAULT_SEGMENT_SIZE) -> Segment:
        """The segment that contains the last byte before ``lsn`` (``XLByteToPrevSeg``)."""
        return cls(timeline, max(lsn - 1, 0) // size, size)


def segments_between(timeline: int, start: int, stop: int, size: int = DEFAULT_SEGMENT_SIZE) -> Iterator[Segment]:
    """The segments that contain the WAL from ``start`` up to, not including, ``stop``."""
    last = Segment.ending_at(timeline, stop, size).number
    for number in range(start // size, max(last, start // size) + 1):
        yield Segment(timeline, number, size)


def is_segment(name: str) -> bool:
    """Whether this is the name of a complete segment."""
    return bool(_SEGMENT.match(name))


def is_history(name: str) -> bool:
    """Whether this is the name of a timeline history file."""
    return bool(_HISTORY.match(name))


def is_wal_file(name: str) -> bool:
    """Whether PostgreSQL archives files of this name: segment, ``.partial``, ``.backup`` or ``.history``."""
    return bool(_SEGMENT.match(name) or _HISTORY.match(name) or _EXTRA.match(name))


def history_name(timeline: int) -> str:
    """``2`` to ``"00000002.history"``."""
    return f"{timeline:08X}.history"


def split_name(name: str) -> Tuple[str, str]:
    """Timeline and log parts (8 hexadecimal digits each) of a segment's, ``.partial`` or ``.backup`` file name."""
    return name[:8], name[8:16]
