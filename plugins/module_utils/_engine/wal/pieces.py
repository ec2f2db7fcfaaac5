# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces: bytes of a segment stored before it was complete (see :mod:`.stream`).

A piece never replaces the segment: it neither closes a gap nor makes a backup consistent. A restore to the latest
moment continues after the last complete segment with the pieces that follow it without a hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Iterable, List, Optional, Tuple

from ..base.errors import ObjectCorrupt, ObjectMissing, WalInvalid
from ..base.wal_names import Segment
from ..codec import zstd
from ..postgres.timeline import TimelinePath
from ..repository.layout import piece_of
from ..repository.repository import Repository
from .inventory import Run
from .segment import check_segment, read_header

#: The most bytes in one piece.
MOST = 16 * 1024 * 1024
# More segments than this are not missing because archive_command is late.
_MOST_SEGMENTS = 64


@dataclass(frozen=True)
class Piece:
    """The bytes from ``start`` up to ``stop`` (offsets in the segment), and when they were stored."""

    start: int
    stop: int
    key: str
    modified: datetime
    size: int


@dataclass(frozen=True)
class Pieced:
    """A segment put together: intact up to offset ``end``, zeros after it. ``damaged``: what ended it early."""

    content: bytes
    end: int
    damaged: str = ""


@dataclass(frozen=True)
class Tail:
    """What pieces add after the complete segments: their segments, and the LSN after the last byte."""

    segments: Tuple[Segment, ...] = ()
    end: Optional[int] = None
    stored_at: Optional[datetime] = None

    def __bool__(self) -> bool:
        return self.end is not None


NO_TAIL = Tail()


def contiguous(pieces: Iterable[Piece], begin: int = 0) -> Tuple[Piece, ...]:
    """The pieces that cover the segment from offset ``begin`` on without a hole, in order; they may overlap. Pure."""
    chosen: List[Piece] = []
    end = begin
    for piece in sorted(pieces, key=lambda p: (p.start, -p.stop)):
        if piece.start > end:
            break
        if piece.stop > end:
            chosen.append(piece)
            end = piece.stop
    return tuple(chosen)


def list_pieces(repository: Repository, system: str, segment: str) -> Tuple[Piece, ...]:
    """The pieces of a segment in the repository; impossible ones are ignored."""
    found = []
    for info in repository.store.list(repository.layout.wal_pieces(system, segment)):
        named = piece_of(info.key)
        if named and named[0] == segment and named[1] < named[2] and info.size > 0:
            found.append(Piece(named[1], named[2], info.key, info.modified, info.size))
    return tuple(found)


def follow(repository: Repository, system: str, path: TimelinePath, run: Run) -> Tail:
    """What pieces add to ``run``, by listing: nothing after a gap, and nothing before the first complete segment."""
    if run.missing or not run.segments:
        return NO_TAIL
    return follow_from(repository, system, path, run.end, run.segments[-1].size)


def follow_from(repository: Repository, system: str, path: TimelinePath, start: int, size: int) -> Tail:
    """What pieces cover from the beginning of the segment of the LSN ``start`` on, by listing; ``size`` in bytes."""
    tail = NO_TAIL
    for segment in path.segments(start, size):
        pieces = contiguous(list_pieces(repository, system, segment.name))
        if not pieces or len(tail.segments) == _MOST_SEGMENTS:
            break
        end = min(pieces[-1].stop, size)
        tail = Tail((*tail.segments, segment), segment.start + end, max(p.modified for p in pieces))
        if end < size:
            break
    return tail


def read_pieces(repository: Repository, system: str, segment: str, have: bytes = b"") -> Pieced:
    """Put a segment together from its pieces; ``end`` is 0 without any. A damaged piece ends it.

    ``have`` is its beginning as already known: only pieces that go beyond that are read, and one that differs from it
    counts as damaged. Memory: the segment and one piece.
    """
    data = bytearray(have)
    damaged = ""
    for piece in contiguous(list_pieces(repository, system, segment), len(have)):
        try:
            part = zstd.decompress(repository.store.get(piece.key), piece.key, piece.stop - piece.start)
            if len(part) != piece.stop - piece.start:
                raise ObjectCorrupt(f"{piece.key} has {len(part)} bytes.", "Find out who stored it.", key=piece.key)
            if have[piece.start :] != part[: max(len(have) - piece.start, 0)]:
                raise ObjectCorrupt(
                    f"{piece.key} differs from the bytes before it.", "Find out who stored it.", key=piece.key
                )
        except (ObjectCorrupt, ObjectMissing) as exc:
            damaged = exc.message
            break
        data += part[len(data) - piece.start :]
    try:
        # The header has the size; bytes that no piece has are zero, as in a segment that the server has just begun.
        size = read_header(segment, bytes(data[:64])).size if data else 0
        end = min(len(data), size)
        content = bytes(data[:size].ljust(size, b"\0"))
        if data:
            check_segment(segment, content, system)
    except WalInvalid as exc:
        return Pieced(b"", 0, damaged or exc.message)
    return Pieced(content, end, damaged)
