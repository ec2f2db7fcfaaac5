# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an audit trail: missing, changed and reordered events. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional

from ..errors import ObjectCorrupt
from .event import Event, digest, load_event

#: The records of one source by chain and by the number that their place (key or line) tells.
Trail = Mapping[str, Mapping[int, bytes]]
MISSING, CHANGED, REORDERED, DIFFERENT = "missing", "changed", "reordered", "different"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. ``kind``: ``missing``, ``changed``, ``reordered`` or ``different`` (in two sources)."""

    source: str
    kind: str
    chain: str
    number: int
    message: str


@dataclass(frozen=True)
class Source:
    """A place that keeps the trail. A ``partial`` one (the local file) may begin anywhere, and lacks chains."""

    name: str
    trail: Trail
    partial: bool = False


def find_faults(sources: List[Source]) -> List[Fault]:
    """All that can be told: within each source, and by what one of them knows of another.

    A tail that is gone from every source, and that no event of another chain witnessed, cannot be told.
    """
    events = {source.name: _read(source) for source in sources}
    cuts = _cuts(events)
    found: List[Fault] = []
    for source in sources:
        for chain, records in sorted(source.trail.items()):
            found += _within(source, chain, records, events[source.name][chain], cuts.get(source.name, {}))
    found += _between(sources)
    found += _unwitnessed(sources, events)
    return list({(f.source, f.chain, f.number, f.kind): f for f in reversed(found)}.values())[::-1]


def _read(source: Source) -> Dict[str, Dict[int, Optional[Event]]]:
    """The events; None where a record does not match its own checksum."""
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
    """Up to which number retention removed each chain, by repository: what its own events tell."""
    found: Dict[str, Dict[str, int]] = {}
    for chains in events.values():
        for event in (e for numbers in chains.values() for e in numbers.values() if e and e.what == "prune"):
            for repository, cut in (event.details.get("audit_removed") or {}).items():
                known = found.setdefault(repository, {})
                known.update({chain: max(int(n), known.get(chain, 0)) for chain, n in cut.items()})
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

    first = min(records)
    if not source.partial:
        for number in range(min(first, cut.get(chain, 0) + 1), first):
            tell(MISSING, number, "is missing, and no prune tells that it removed it")
    for number in range(first, max(records) + 1):
        if number not in records:
            tell(MISSING, number, "is missing")
            continue
        event = events[number]
        if event is None:
            tell(CHANGED, number, "was changed: it does not match its own checksum")
            continue
        if (event.chain, event.number) != (chain, number):
            tell(REORDERED, number, f"was reordered: what lies there is event {event.number} of {event.chain}")
            continue
        before = records.get(number - 1)
        if number == 1 and event.previous is not None:
            tell(CHANGED, 1, "was changed: the first one of a chain has none before it")
        if before is not None and events[number - 1] is not None and event.previous != digest(before):
            tell(CHANGED, number - 1, f"was changed: it is not the one that event {number} names as the one before it")
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
                    words = f"event {number} of {chain} is another one in {other.name} than in {holder.name}"
                    out.append(Fault(other.name, DIFFERENT, chain, number, words))
            for other in whole:
                if number > max(other.trail.get(chain, {}), default=0):
                    words = f"{other.name}: event {number} of {chain} is missing at the end; {holder.name} has it"
                    out.append(Fault(other.name, MISSING, chain, number, words))
            # A local file that has this chain at all has its newest event.
            for other in (s for s in sources if s.partial and chain in s.trail):
                if number > max(other.trail[chain]):
                    words = f"{other.name}: event {number} of {chain} is missing at the end; {holder.name} has it"
                    out.append(Fault(other.name, MISSING, chain, number, words))
    return out


def _unwitnessed(
    sources: List[Source], events: Mapping[str, Mapping[str, Mapping[int, Optional[Event]]]]
) -> List[Fault]:
    """Events that an event of another chain saw, and that are not there."""
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
