# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of WAL: many segments in few words, so that a record of 100,000 of them stays small. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping

from ..postgres.wal_names import Segment


@dataclass(frozen=True, order=True)
class Span:
    """The segments ``first`` to ``last`` (both are in it; numbers as in :class:`Segment`) of one timeline."""

    timeline: int
    first: int
    last: int
    size: int

    def segments(self) -> Iterator[Segment]:
        """Each of them."""
        return (Segment(self.timeline, number, self.size) for number in range(self.first, self.last + 1))

    def as_dict(self) -> Mapping[str, Any]:
        """By the names of the first and the last."""
        names = (Segment(self.timeline, number, self.size).name for number in (self.first, self.last))
        return {"first": next(names), "last": next(names), "segment_size": self.size}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Span:
        """The reverse of :meth:`as_dict`; ValueError, KeyError or TypeError when it is none."""
        first, last = (Segment.parse(data[key], data["segment_size"]) for key in ("first", "last"))
        if first.timeline != last.timeline or last.number < first.number:
            raise ValueError(f"{data} is no span")
        return cls(first.timeline, first.number, last.number, first.size)


def join(segments: Iterable[Segment]) -> List[Span]:
    """The spans that hold exactly these segments, in their order."""
    found: List[Span] = []
    for segment in sorted(set(segments)):
        last = found[-1] if found else None
        if last and (last.timeline, last.last + 1, last.size) == (segment.timeline, segment.number, segment.size):
            found[-1] = Span(last.timeline, last.first, segment.number, last.size)
        else:
            found.append(Span(segment.timeline, segment.number, segment.number, segment.size))
    return found
