# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of WAL: a compact form for many segments, so that a record of 100,000 of them stays small. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple, Union, overload

from .wal_names import SEGMENT_SIZES, Segment


@dataclass(frozen=True, order=True)
class Span:
    """The segments ``first`` to ``last`` (inclusive; numbers as in :class:`Segment`) of one timeline."""

    timeline: int
    first: int
    last: int
    size: int

    def segments(self) -> Iterator[Segment]:
        """Iterate over the segments."""
        return (Segment(self.timeline, number, self.size) for number in range(self.first, self.last + 1))

    def as_dict(self) -> Mapping[str, Any]:
        """The names of the first and the last segment, and their size."""
        names = (Segment(self.timeline, number, self.size).name for number in (self.first, self.last))
        return {"first": next(names), "last": next(names), "segment_size": self.size}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Span:
        """The reverse of :meth:`as_dict`; ValueError, KeyError or TypeError if ``data`` is not a span."""
        size = data["segment_size"]
        if isinstance(size, bool) or size not in SEGMENT_SIZES:
            raise ValueError(f"{size!r} is not a segment size")
        first, last = (Segment.parse(data[key], size) for key in ("first", "last"))
        if first.timeline != last.timeline or last.number < first.number:
            raise ValueError(f"{data} is not a span")
        return cls(first.timeline, first.number, last.number, first.size)


def join(segments: Iterable[Segment]) -> List[Span]:
    """The spans that contain exactly these segments, in order."""
    found: List[Span] = []
    for segment in sorted(set(segments)):
        last = found[-1] if found else None
        if last and (last.timeline, last.last + 1, last.size) == (segment.timeline, segment.number, segment.size):
            found[-1] = Span(last.timeline, last.first, segment.number, last.size)
        else:
            found.append(Span(segment.timeline, segment.number, segment.number, segment.size))
    return found


class Stretch(Sequence[Segment]):
    """The segments of these spans in sequence, each created only when accessed."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans = tuple(spans)
        self._behind = list(accumulate(span.last - span.first + 1 for span in self.spans))

    def __len__(self) -> int:
        return self._behind[-1] if self._behind else 0

    @overload
    def __getitem__(self, index: int) -> Segment: ...

    @overload
    def __getitem__(self, index: slice) -> Tuple[Segment, ...]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Segment, Tuple[Segment, ...]]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        which = bisect_right(self._behind, place)
        span = self.spans[which]
        return Segment(span.timeline, span.last + 1 - (self._behind[which] - place), span.size)

    def __iter__(self) -> Iterator[Segment]:
        return (segment for span in self.spans for segment in span.segments())


class SpanSet:
    """A set of segments, stored as spans: any number of consecutive segments takes the memory of one."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        # For each timeline and size, the first and last numbers of disjoint spans, in order.
        self._known: Dict[Tuple[int, int], Tuple[List[int], List[int]]] = {}
        for span in spans:
            self.add(span)

    def __contains__(self, segment: object) -> bool:
        if not isinstance(segment, Segment):
            return False
        firsts, lasts = self._known.get((segment.timeline, segment.size), ([], []))
        index = bisect_right(firsts, segment.number)
        return index > 0 and segment.number <= lasts[index - 1]

    @property
    def count(self) -> int:
        """The number of segments."""
        return sum(last - first + 1 for known in self._known.values() for first, last in zip(*known))

    def add(self, span: Span) -> None:
        """Add these segments."""
        firsts, lasts = self._known.setdefault((span.timeline, span.size), ([], []))
        # Merge the spans that it overlaps or touches.
        begin, end = bisect_left(lasts, span.first - 1), bisect_right(firsts, span.last + 1)
        first = min([span.first, *firsts[begin:end]])
        last = max([span.last, *lasts[begin:end]])
        firsts[begin:end], lasts[begin:end] = [first], [last]

    def remove(self, span: Span) -> None:
        """Remove these segments."""
        firsts, lasts = self._known.setdefault((span.timeline, span.size), ([], []))
        begin, end = bisect_left(lasts, span.first), bisect_right(firsts, span.last)
        left = [(first, span.first - 1) for first in firsts[begin:end] if first < span.first]
        right = [(span.last + 1, last) for last in lasts[begin:end] if last > span.last]
        kept = left[:1] + right[-1:]
        firsts[begin:end], lasts[begin:end] = [one[0] for one in kept], [one[1] for one in kept]
