# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the faults of an audit trail: missing, changed and reordered events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.errors import ObjectCorrupt
from .event import Event, digest, load_event
from .numbers import connected

#: The records of one source by chain and by the number in their key or line.
Trail = Mapping[str, Mapping[int, bytes]]
MISSING, CHANGED, REORDERED, DIFFERENT = "missing", "changed", "reordered", "different"
UNCONNECTED = "unconnected"
# The most events of a gap that are reported individually.
_TOLD = 50


@dataclass(frozen=True)
class Fault:
    """One fault. ``kind``: ``missing``, ``changed``, ``reordered``, ``different`` (between two sources) or
    ``unconnected`` (its number does not follow those of its chain, so it does not belong there).
    """

    source: str
    kind: str
    chain: str
    number: int
    message: str


@dataclass(frozen=True)
class Source:
    """A place with the trail. A ``partial`` one (the local file) may begin anywhere, and lack chains."""

    name: str
    trail: Trail
    partial: bool = False


def find_faults(sources: List[Source]) -> List[Fault]:
    """All faults that can be detected, within each source and by comparing sources.

    A tail that is missing in every source, and that no event of another chain witnessed, cannot be detected.
    """
    sources, found = _connected(sources)
    events = {source.name: _read(source) for source in sources}
    cuts = _cuts(events)
    for source in sources:
        for chain, records in sorted(source.trail.items()):
            found += _within(source, chain, records, events[source.name][chain], cuts.get(source.name, {}))
    found += _between(sources)
    found += _unwitnessed(sources, events)
    return list({(f.source, f.chain, f.number, f.kind): f for f in reversed(found)}.values())[::-1]


def _connected(sources: Sequence[Source]) -> Tuple[List[Source], List[Fault]]:
    """The sources without events whose numbers are not connected with the others, and a fault for each of those."""
    numbers: Dict[str, Set[int]] = {}
    anchors: Dict[str, int] = {}
    for source in sources:
        for chain, records in source.trail.items():
            numbers.setdefault(chain, set()).update(records)
            # The keys of a store do not allow writing the local file.
            if source.partial and records:
                anchors[chain] = max(records)
    ours = {chain: connected(known, anchors.get(chain)) for chain, known in numbers.items()}
    left: List[Source] = []
    found: List[Fault] = []
    for source in sources:
        trail = {c: {n: raw for n, raw in records.items() if n in ours[c]} for c, records in source.trail.items()}
        left.append(replace(source, trail={chain: records for chain, records in trail.items() if records}))
        for chain, records in sorted(source.trail.items()):
            for number in sorted(n for n in records if n not in ours[chain]):
                words = f"{source.name}: event {number} of {chain} does not belong there: the chain ends at"
                found.append(Fault(source.name, UNCONNECTED, chain, number, f"{words} {max(ours[chain], default=0)}"))
    return left, found


def _read(source: Source) -> Dict[str, Dict[int, Optional[Event]]]:
    """The events; None for a damaged record."""
    out: Dict[str, Dict[int, Optional[Event]]] = {}
    for chain, records in source.trail.items():
        out[chain] = {}
        for number, raw in records.items():
            try:
                out[chain][number] = load_event(raw, f"{chain} {number}")
            except ObjectCorrupt:
                out[chain][number] = None
    return out


def _cuts(events: Mapping[str, Mapping[str, Mapping[int, Optional[Event]]]]) -> Dict[str, Dict[str, int]]:
    """The number up to which retention removed each chain, by repository, according to its own events."""
    found: Dict[str, Dict[str, int]] = {}
    for chains in events.values():
        for event in (e for numbers in chains.values() for e in numbers.values() if e and e.what == "prune"):
            told = event.details.get("audit_removed")
            for repository, cut in told.items() if isinstance(told, dict) else ():
                known = found.setdefault(repository, {})
                for chain, number in cut.items() if isinstance(cut, dict) else ():
                    if isinstance(number, int):
                        known[chain] = max(number, known.get(chain, 0))
    return found


def _within(
    source: Source,
    chain: str,
    records: Mapping[int, bytes],
    events: Mapping[int, Optional[Event]],
    cut: Mapping[str, int],
) -> List[Fault]:
    out: List[Fault] = []

    def tell(kind: str, number: int, words: str) -> None:
        out.append(Fault(source.name, kind, chain, number, f"{source.name}: event {number} of {chain} {words}"))

    def gap(begin: int, end: int, words: str) -> None:
        """From ``begin`` up to, not including, ``end``."""
        for number in range(begin, min(end, begin + _TOLD)):
            tell(MISSING, number, words)
        if end - begin > _TOLD:
            tell(MISSING, begin + _TOLD, f"{words}, and so are all up to {end - 1}")

    first = min(records)
    if not source.partial:
        gap(min(first, cut.get(chain, 0) + 1), first, "is missing, and no prune recorded its removal")
    expected = first
    for number in sorted(records):
        gap(expected, number, "is missing")
        expected = number + 1
        event = events[number]
        if event is None:
            tell(CHANGED, number, "was changed: it does not match its own checksum")
            continue
        if (event.chain, event.number) != (chain, number):
            tell(REORDERED, number, f"was reordered: event {event.number} of {event.chain} is in its place")
            continue
        before = records.get(number - 1)
        if number == 1 and event.previous is not None:
            tell(CHANGED, 1, "was changed: it is the first of its chain, but names a previous one")
        if before is not None and events[number - 1] is not None and event.previous != digest(before):
            tell(CHANGED, number - 1, f"was changed: it is not the one that event {number} names as its previous one")
    return out


def _between(sources: List[Source]) -> List[Fault]:
    out: List[Fault] = []
    whole = [s for s in sources if not s.partial]
    known: Dict[str, Dict[int, Source]] = {}
    for source in sources:
        for chain, records in source.trail.items():
            for number in records:
                known.setdefault(chain, {}).setdefault(number, source)
    for chain, numbers in sorted(known.items()):
        for number, holder in sorted(numbers.items()):
            raw = holder.trail[chain][number]
            for other in sources:
                have = other.trail.get(chain, {}).get(number)
                if have is not None and have != raw:
                    words = f"event {number} of {chain} differs between {other.name} and {holder.name}"
                    out.append(Fault(other.name, DIFFERENT, chain, number, words))
            for other in whole:
                if number > max(other.trail.get(chain, {}), default=0):
                    words = f"{other.name}: event {number} of {chain} is missing at the end; {holder.name} has it"
                    out.append(Fault(other.name, MISSING, chain, number, words))
            # If the local file has this chain at all, it has its newest event.
            for other in (s for s in sources if s.partial and chain in s.trail):
                if number > max(other.trail[chain]):
                    words = f"{other.name}: event {number} of {chain} is missing at the end; {holder.name} has it"
                    out.append(Fault(other.name, MISSING, chain, number, words))
    return out


def _unwitnessed(
    sources: List[Source], events: Mapping[str, Mapping[str, Mapping[int, Optional[Event]]]]
) -> List[Fault]:
    """Missing events that an event of another chain has seen."""
    out: List[Fault] = []
    seen: Dict[str, int] = {}
    by: Dict[str, str] = {}
    for chains in events.values():
        for event in (e for numbers in chains.values() for e in numbers.values() if e):
            for chain, number in event.witnessed.items():
                if number > seen.get(chain, 0):
                    seen[chain], by[chain] = number, f"event {event.number} of {event.chain}"
    for source in (s for s in sources if not s.partial):
        for chain, number in sorted(seen.items()):
            if number > max(source.trail.get(chain, {}), default=0):
                words = f"{source.name}: event {number} of {chain} is missing at the end; {by[chain]} saw it"
                out.append(Fault(source.name, MISSING, chain, number, words))
    return out
