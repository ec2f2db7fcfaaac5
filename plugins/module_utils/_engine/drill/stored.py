# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the WAL in the store goes after the disaster: with complete segments only, and with the stream's pieces.

Pure: it follows from the names of the objects. Of several repositories, the shortest counts: each one must suffice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Set, Tuple

from ..base.wal_names import Segment, format_lsn, is_segment, parse_lsn
from ..repository.layout import piece_of, wal_name


@dataclass(frozen=True)
class Stored:
    """``whole``: the LSN where the complete segments end. ``pieced``: where the pieces after them end, or the same LSN.

    ``pieces``: the total number of pieces.
    """

    whole: int
    pieced: int
    pieces: int

    def as_dict(self) -> Dict[str, Any]:
        return {"whole_lsn": format_lsn(self.whole), "pieced_lsn": format_lsn(self.pieced), "pieces": self.pieces}


def stored(disaster: Mapping[str, Any]) -> Stored:
    """How far the WAL in the inventory of ``disaster.json`` goes after ``archived_wal``."""
    last = Segment.parse(disaster["archived_wal"], int(disaster["segment_size"]))
    each = [reach(store["objects"], last) for store in disaster["inventory"].values()]
    return min(each, key=lambda s: (s.pieced, s.whole))


def stored_end(target: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    """The LSN up to which a restore to ``target`` has WAL: the pieces count unless the restore ignores them."""
    return parse_lsn(found["pieced_lsn" if with_pieces(target) else "whole_lsn"])


def with_pieces(target: Mapping[str, Any]) -> bool:
    """Whether a restore to this target uses the streamed pieces; without them it is only a measurement."""
    return bool(target.get("pieces", True))


def reach(keys: Iterable[str], archived: Segment) -> Stored:
    """How far the objects continue without a gap after a segment that is known to be archived."""
    whole: Set[str] = set()
    pieces: Dict[str, List[Tuple[int, int]]] = {}
    for key in keys:
        piece = piece_of(key)
        if piece:
            pieces.setdefault(piece[0], []).append(piece[1:])
        elif "/wal/" in key and is_segment(wal_name(key)):
            whole.add(wal_name(key))
    segment = archived
    while segment.following.name in whole:
        segment = segment.following
    end = pieced = segment.end
    while pieced == segment.end:
        segment = segment.following
        covered = segment.size if segment.name in whole else _covered(pieces.get(segment.name, ()))
        if not covered:
            break
        pieced = segment.start + min(covered, segment.size)
    return Stored(end, pieced, sum(len(parts) for parts in pieces.values()))


def _covered(parts: Iterable[Tuple[int, int]]) -> int:
    """The LSN up to which the parts cover a segment from its beginning without a gap."""
    end = 0
    for start, stop in sorted(parts):
        if start > end:
            break
        end = max(end, stop)
    return end
