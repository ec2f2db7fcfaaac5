# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the events of incidents are: in each repository, and in a directory of this host while none answers.

The first repository that answers, required ones first and then by name, decides between two writers: it takes a number
once. The other repositories get the same bytes. What only one of them or this host has is brought to the others.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ..audit.scope import who
from ..base import clock
from ..base.errors import (
    ForeignRepository,
    IncidentMissing,
    IncidentRefused,
    IncidentUnrecorded,
    LifeboatError,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreError,
    StoreUnavailable,
)
from ..base.files import make_directory
from ..config.load import Config, DirectoryOptions, RepositoryConfig
from ..records.model import seal_record
from ..repository.hasty import open_hasty, require_begun
from ..repository.kinds import incident_place
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo
from .record import MOST_BYTES, MOST_EVENTS, OPENED, Event, load_event
from .timeline import Found, Incident, decide, group

#: What the directory of this host is called beside the repositories.
HERE = "this host"
_MOST_LISTED, _PARALLEL, _ATTEMPTS, _PATIENT = 100_000, 8, 100, 2
_Stamp = Tuple[str, str, int, datetime]
#: From the state of an incident and the time, the event to be added; None for nothing.
Make = Callable[[Incident, datetime], Optional[Event]]


@dataclass(frozen=True)
class Look:
    """What was found in each place that answered, and why the others did not."""

    found: Tuple[Found, ...]
    answered: Tuple[Repository, ...]
    unread: Mapping[str, LifeboatError]
    now: datetime

    def require_known(self) -> Look:
        """Itself; the first error where nothing answered and this host has nothing, so that nothing is known."""
        if not self.answered and not self.found and self.unread:
            raise next(iter(self.unread.values()))
        return self

    def incident(self, incident: str) -> Incident:
        """One incident; an empty one where there is nothing of it."""
        return decide(incident, (f for f in self.found if f.incident == incident))

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """All of them, oldest first."""
        return group(self.found)


@dataclass(frozen=True)
class Added:
    """An event that was recorded, the incident with it, and the places that have it."""

    event: Event
    incident: Incident
    places: Tuple[str, ...]

    @property
    def spooled(self) -> bool:
        """Whether only this host has it."""
        return self.places == (HERE,)


@dataclass
class Places:
    """The repositories in the order in which they decide, and the directory of this host. One thread uses it.

    A repository that did not answer is not asked again until :meth:`ask_again`: a later event brings it what it lacks.
    """

    config: Config
    repositories: Tuple[Repository, ...]
    here: Repository
    _known: Dict[_Stamp, Found] = field(default_factory=dict)
    _begun: Set[str] = field(default_factory=set)
    _silent: Dict[str, LifeboatError] = field(default_factory=dict)

    def ask_again(self) -> None:
        """Ask those again that did not answer: a process that runs on does so at each turn."""
        self._silent.clear()

    def look(self, incident: str = "") -> Look:
        """All incidents, or one."""
        every = (*self.repositories, self.here)
        with ThreadPoolExecutor(len(every), "lifeboat-incidents") as pool:
            answers = list(pool.map(lambda r: self._ask(r, incident), every))
        unread = {r.name: a for r, a in zip(every, answers) if isinstance(a, LifeboatError)}
        self._silent.update({name: exc for name, exc in unread.items() if isinstance(exc, StoreUnavailable)})
        answered = tuple(r for r in self.repositories if r.name not in unread)
        found = [f for answer in answers if isinstance(answer, list) for f in answer]
        return Look(tuple(found), answered, unread, self._now(answered))

    def _now(self, answered: Tuple[Repository, ...]) -> datetime:
        """The time of a store, since the clock of a host may be wrong."""
        for repository in answered:
            with suppress(LifeboatError):
                return repository.store.clock()
        return clock.now()

    def _ask(self, repository: Repository, incident: str) -> object:
        layout = repository.layout
        if repository.name in self._silent:
            return self._silent[repository.name]
        try:
            if repository is not self.here and repository.name not in self._begun:
                # It may be a mount point without its mount.
                require_begun(repository)
                self._begun.add(repository.name)
            infos = islice(repository.store.list(layout.incidents(incident)), _MOST_LISTED)
            placed = [(info, place) for info in infos for place in [incident_place(info.key)] if place]
            placed = [(info, place) for info, place in placed if place[1] <= MOST_EVENTS]
            new = [(i, p) for i, p in placed if (repository.name, i.key, i.size, i.modified) not in self._known]
            with ThreadPoolExecutor(_PARALLEL, "lifeboat-events") as pool:
                read = list(pool.map(lambda item: self._one(repository, *item), new))
        except LifeboatError as exc:
            # A directory that was never made has nothing.
            return [] if repository is self.here else exc
        for (info, _place), found in zip(new, read):
            if found is not None:
                self._known[repository.name, info.key, info.size, info.modified] = found
        stamps = ((repository.name, i.key, i.size, i.modified) for i, _place in placed)
        return [self._known[stamp] for stamp in stamps if stamp in self._known]

    def _one(self, repository: Repository, info: ObjectInfo, place: Tuple[str, int]) -> Optional[Found]:
        try:
            raw = repository.get_record(info.key, MOST_BYTES, info)
            return Found(repository.name, *place, load_event(raw, info.key, info.modified), raw)
        except ObjectMissing:
            return None
        except ObjectCorrupt as exc:
            return Found(repository.name, *place, error=exc)

    def add(self, incident: str, make: Make) -> Optional[Added]:
        """Add what ``make`` gives, under the first number that nobody has; None where it gives nothing.

        Where another writer is faster, ``make`` is asked again with the new state. IncidentUnrecorded where no place
        takes it, IncidentRefused where all numbers are taken.
        """
        for _attempt in range(_ATTEMPTS):
            look = self.look(incident)
            state = look.incident(incident)
            stray = self._heal(look, state)
            draft = stray or make(state, look.now)
            if draft is None:
                return None
            event = self._placed(look, state, draft)
            took = self._put(look, event)
            if took and stray is None:
                after = self.look(incident).incident(incident)
                return Added(event, after, took)
        raise IncidentRefused(
            f"Incident {incident} got no event in {_ATTEMPTS} attempts: others are always faster.",
            "Find out who writes so many events: lifeboat incident show.",
        )

    def _placed(self, look: Look, state: Incident, draft: Event) -> Event:
        if draft.what == OPENED and state.next != 1 and not draft.copy_of:
            raise IncidentRefused(f"Incident {state.id} is there already.", "Choose another identifier.")
        if draft.what != OPENED and not state.events:
            raise IncidentMissing(f"There is no incident {state.id}.", "lifeboat incident list names them.")
        if state.next > MOST_EVENTS:
            raise IncidentRefused(
                f"Incident {state.id} has {MOST_EVENTS} events, which is the most.", "Find out who writes so many."
            )
        # Where repositories differ, it must fit for whoever reads only the one that decides.
        first = look.answered[0].name if look.answered else HERE
        own = decide(state.id, (f for f in look.found if f.incident == state.id and f.repository == first))
        return replace(draft, incident=state.id, number=state.next, previous=own.last or state.last)

    def _put(self, look: Look, event: Event) -> Tuple[str, ...]:
        """The places that took it; none where its number was taken meanwhile."""
        key = self.here.layout.incident_event(event.incident, event.number)
        # Signed once: the bytes are the same everywhere.
        raw = seal_record(self.here.signatures.sign(key, event.as_dict()))
        took: List[str] = []
        failed: List[LifeboatError] = list(look.unread.values())
        for repository in look.answered:
            try:
                repository.store.put(key, raw)
                took.append(repository.name)
            except ObjectExists:
                if not took:
                    return ()
            except StoreError as exc:
                failed.append(exc)
                if isinstance(exc, StoreUnavailable):
                    self._silent[repository.name] = exc
        if took:
            return tuple(took)
        try:
            make_directory(self.config.incidents.directory(), 0o700)
            self.here = _here(self.config)
            self.here.store.put(key, raw)
            return (HERE,)
        except ObjectExists:
            return ()
        except (OSError, LifeboatError) as exc:
            why = failed[0].message if failed else "no repository is configured"
            raise IncidentUnrecorded(
                f"No place took event {event.number} of incident {event.incident}: {why} This host: {exc}",
                "Run it as root, or name a directory in incidents.spool_dir; it is needed while no repository answers.",
            ) from exc

    def _heal(self, look: Look, state: Incident) -> Optional[Event]:
        """Bring what is missing to each repository; an event to be added again, where its number is taken there."""
        raws = {f.event.digest: f.raw for f in look.found if f.event and f.incident == state.id}
        copied = {e.copy_of for e in state.events}
        copied |= {f.event.copy_of for f in look.found if f.event}
        stray: Optional[Event] = None
        for repository in look.answered:
            there = {f.number: f for f in look.found if f.repository == repository.name and f.incident == state.id}
            digests = {f.event.digest for f in there.values() if f.event}
            for event in state.events:
                if event.digest in digests or event.digest not in raws:
                    continue
                if event.number not in there:
                    with suppress(StoreError):
                        key = repository.layout.incident_event(event.incident, event.number)
                        repository.store.put(key, raws[event.digest])
                elif repository is look.answered[0] and there[event.number].event and event.digest not in copied:
                    stray = stray or replace(event, copy_of=event.digest, digest=None, stored=None)
        return stray

    def adopt(self, incident: str) -> None:
        """Bring the events that this host, or one repository, has alone to all others, each once."""
        self.add(incident, lambda _state, _now: None)


def draft(what: str, now: datetime, text: str = "", **details: str) -> Event:
    """An event of whoever runs this, without its place."""
    told = {name: value for name, value in details.items() if value}
    return Event("", 0, None, now, what, who(), text, told)


def stored_in(config: Config, repository: Repository) -> Mapping[str, Incident]:
    """The incidents as this repository alone has them; its error where it does not answer."""
    look = Places(config, (repository,), _here(config)).look()
    for error in look.unread.values():
        if not isinstance(error, ForeignRepository):
            raise error
    return group(f for f in look.found if f.repository == repository.name)


def _here(config: Config) -> Repository:
    options = DirectoryOptions(config.incidents.directory())
    return Repository.open(RepositoryConfig(HERE, options, False, signing=config.signing), config.cluster)


@contextmanager
def opened(config: Config) -> Iterator[Places]:
    """The places of this configuration."""
    # In an incident a store may be dead: nobody waits for it for minutes.
    repositories = open_hasty(config, _PATIENT, all_of_them=False)
    names = {entry.name for entry in config.repositories if entry.writable}
    writable = (r for r in repositories if r.name in names)
    try:
        yield Places(config, tuple(sorted(writable, key=lambda r: (not r.required, r.name))), _here(config))
    finally:
        for repository in repositories:
            repository.store.close()
