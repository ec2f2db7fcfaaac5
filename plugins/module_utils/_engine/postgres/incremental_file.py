# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental files and the ``backup_label`` of incremental backups, as PostgreSQL 17 and 18 write them.

Sources: ``GetIncrementalFilePrefix`` and ``GetIncrementalHeaderSize`` in ``basebackup_incremental.c``, ``sendFile`` in
``basebackup.c``, and ``pg_combinebackup``, which reads them. All of it is pure.
"""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass
from typing import BinaryIO, Iterator, Optional, Tuple

from ..base.wal_names import parse_lsn

PREFIX = "INCREMENTAL."
_MAGIC = 0xD3AE1F0D
# Magic, number of blocks, length before the first block that is new in any case.
_HEAD = struct.Struct("=III")
_NUMBER = 4
_FROM = re.compile(r"^INCREMENTAL FROM (?:LSN|TLI): .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Geometry:
    """The size of a page in bytes, and the most pages that a file of a relation has."""

    block_size: int
    segment_blocks: int


@dataclass(frozen=True)
class Changes:
    """What an incremental file says of its relation's file.

    ``keep``: how many blocks of the older file remain; ``numbers``: the blocks that replace them or follow, whose
    contents begin at ``offset`` in the incremental file.
    """

    keep: int
    numbers: Tuple[int, ...]
    offset: int

    @property
    def blocks(self) -> int:
        """The length of the newer file, in blocks; what neither file has is zeros."""
        return max(self.keep, max(self.numbers, default=-1) + 1)

    def runs(self, most: int) -> Iterator[Tuple[int, int, int]]:
        """Stretches of at most ``most`` consecutive blocks: the first block, its index in ``numbers``, and how many."""
        start = 0
        for i in range(1, len(self.numbers) + 1):
            ended = i == len(self.numbers) or self.numbers[i] != self.numbers[i - 1] + 1
            if ended or i - start == most:
                yield self.numbers[start], start, i - start
                start = i


def read_changes(stream: BinaryIO, size: int, geometry: Geometry) -> Changes:
    """Read the header of an incremental file of ``size`` bytes; ValueError, with the reason, if no server wrote it."""
    raw = stream.read(_HEAD.size)
    if len(raw) < _HEAD.size:
        raise ValueError("it is shorter than a header")
    magic, count, keep = _HEAD.unpack(raw)
    if magic != _MAGIC:
        raise ValueError(f"it begins with {magic:#x} instead of {_MAGIC:#x}")
    most = geometry.segment_blocks
    if count > most or keep > most:
        raise ValueError(f"it has {count} blocks and keeps {keep}, but a file has at most {most}")
    offset = _HEAD.size + _NUMBER * count
    if count:
        offset += -offset % geometry.block_size
    if size != offset + count * geometry.block_size:
        raise ValueError(f"it has {size} bytes instead of {offset + count * geometry.block_size}")
    numbers = array("I", stream.read(_NUMBER * count))
    if len(numbers) != count or any(number >= most for number in numbers):
        raise ValueError(f"it has a block with a number over {most - 1}")
    return Changes(keep, tuple(numbers), offset)


@dataclass(frozen=True)
class Label:
    """What a ``backup_label`` says of the chain: timeline and LSN of the start, and of the start of its parent."""

    start: Tuple[int, int]
    parent: Optional[Tuple[int, int]]


def read_label(text: str) -> Label:
    """Parse a ``backup_label``; ValueError if lines are missing."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        start = (int(fields["START TIMELINE"]), parse_lsn(fields["START WAL LOCATION"].split()[0]))
        lsn, timeline = fields.get("INCREMENTAL FROM LSN"), fields.get("INCREMENTAL FROM TLI")
        parent = (int(timeline or ""), parse_lsn(lsn or "")) if lsn or timeline else None
    except (KeyError, IndexError) as exc:
        raise ValueError(f"a line is missing: {exc}") from exc
    return Label(start, parent)


def as_full(text: str) -> str:
    """The ``backup_label`` of the combined backup, which depends on no other. The rest stays as it is."""
    return _FROM.sub("", text)
