# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the audit trail from every repository and the local files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import AuditUnreadable, LifeboatError, ObjectCorrupt, UntrustedPath
from ..config.load import Config
from ..records.fields import printable
from ..repository.layout import audit_place
from ..repository.records import read_records
from ..repository.repository import Repositories, Repository
from .event import Event, load_event
from .faults import CHANGED, Fault, Source, find_faults
from .localfile import paths_of, read_file


@dataclass(frozen=True)
class AuditTrail:
    """All sources that could be read, those that could not (with the reason), and faults found while reading."""

    sources: Tuple[Source, ...]
    unread: Mapping[str, LifeboatError]
    faults: Tuple[Fault, ...]

    def events(
        self, since: Optional[datetime] = None, whats: Sequence[str] = (), newest: Optional[int] = None
    ) -> List[Event]:
        """The events of all sources, each once, oldest first; damaged ones are omitted, ``verify`` reports them."""
        found: Dict[Tuple[str, int], Event] = {}
        for source in self.sources:
            for chain, records in source.trail.items():
                for number, raw in records.items():
                    with suppress(ObjectCorrupt):
                        found.setdefault((chain, number), load_event(raw, f"{chain} {number}"))
        chosen = [e for e in found.values() if (since is None or e.at >= since) and (not whats or e.what in whats)]
        chosen.sort(key=lambda e: (e.at, e.chain, e.number))
        return chosen[-newest:] if newest else chosen


@dataclass(frozen=True)
class AuditVerified:
    """The number of events by source, and every fault. ``unread`` sources could not be compared."""

    events: Mapping[str, int]
    faults: Tuple[Fault, ...]
    unread: Mapping[str, LifeboatError]

    @property
    def intact(self) -> bool:
        """Whether there are no faults in the sources that could be read."""
        return not self.faults

    def as_dict(self) -> Dict[str, Any]:
        return {
            "intact": self.intact,
            "events": dict(self.events),
            "faults": [asdict(f) for f in self.faults],
            "unread": {name: exc.as_dict() for name, exc in self.unread.items()},
        }


def read_trail(config: Config) -> AuditTrail:
    """Read everything. AuditUnreadable if no source can be read."""
    sources: List[Source] = []
    unread: Dict[str, LifeboatError] = {}
    faults: List[Fault] = []
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                trail, wrong = _of(repository)
            except LifeboatError as exc:
                unread[repository.name] = exc
                continue
            sources.append(Source(repository.name, trail))
            faults += wrong
    finally:
        repositories.close()
    for path in paths_of(config):
        try:
            chains, wrong = read_file(path)
        except OSError as exc:
            why = f"The audit file {path} cannot be read: {exc.strerror}."
            unread[path] = AuditUnreadable(why, "Run as its owner, or as root.", path=path)
        except UntrustedPath as exc:
            unread[path] = exc
        else:
            faults += wrong
            if chains:
                sources.append(Source(path, chains, partial=True))
    if not sources:
        raise next(iter(unread.values()))
    return AuditTrail(tuple(sources), unread, tuple(faults))


def _of(repository: Repository) -> Tuple[Dict[str, Dict[int, bytes]], List[Fault]]:
    chains: Dict[str, Dict[int, bytes]] = {}
    faults: List[Fault] = []
    for record in read_records(repository, repository.layout.audit):
        key, raw = record.key, record.raw
        if record.error is not None:
            words = f"{repository.name}: {record.error.message}"
            faults.append(Fault(repository.name, CHANGED, "", 0, words))
            continue
        place = audit_place(key)
        if place is None:
            words = f"{repository.name}: {printable(key)} is in the audit trail, but is not one of its events"
            faults.append(Fault(repository.name, CHANGED, "", 0, words))
            continue
        chain, _day, number = place
        if number in chains.setdefault(chain, {}):
            words = f"{repository.name}: event {number} of {chain} exists twice"
            faults.append(Fault(repository.name, CHANGED, chain, number, words))
        chains[chain][number] = raw
    return chains, faults


def verify_trail(config: Config) -> AuditVerified:
    """Read and compare all sources that can be read."""
    return verified(read_trail(config))


def verified(trail: AuditTrail) -> AuditVerified:
    """Compare the sources of the trail. Pure."""
    faults = (*trail.faults, *find_faults(list(trail.sources)))
    counts = {s.name: sum(len(records) for records in s.trail.values()) for s in trail.sources}
    return AuditVerified(counts, faults, trail.unread)
