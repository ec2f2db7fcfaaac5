# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an event: into every repository, the local file and the system's log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Dict, List, Mapping, Optional, Tuple, Union

from ..config import Config
from ..errors import LifeboatError, ObjectExists, StoreError
from ..repository.hasty import open_hasty, require_begun
from ..repository.layout import audit_place
from ..repository.repository import Repository
from . import localfile
from .event import Event, digest, load_event

_ATTEMPTS = 5


@dataclass(frozen=True)
class Written:
    """An event and where it is: ``missing`` are the repositories that did not take it, and why.

    ``local`` and ``system`` tell whether the file and the system's log have it.
    """

    event: Event
    repositories: Tuple[str, ...]
    missing: Mapping[str, LifeboatError]
    local: bool
    system: bool

    @property
    def durable(self) -> bool:
        """Whether any store has it. The system's log is somebody else's to keep."""
        return bool(self.repositories or self.local)


@dataclass
class _Place:
    """A repository while an event is written: the keys of the chain that it has from the tail on, by number."""

    repository: Repository
    keys: Dict[int, str]
    witnessed: Dict[str, int]


def write(config: Config, draft: Event) -> Written:
    """Give the draft its place in its chain, and put it everywhere. Raises nothing of a store's."""
    missing: Dict[str, LifeboatError] = {}
    path = localfile.path_of(config)
    # One attempt: somebody may wait for the server that was just restored, and the next event brings what is lacking.
    opened = open_hasty(config, 1)
    try:
        with localfile.locked(path) as stream, ThreadPoolExecutor(len(opened), "lifeboat-audit") as pool:
            tail = localfile.tail(stream, draft.chain)
            looked = list(pool.map(_look, opened, [draft.chain] * len(opened)))
            places = [found for found in looked if isinstance(found, _Place)]
            missing.update({r.name: e for r, e in zip(opened, looked) if isinstance(e, LifeboatError)})
            event, refused = _store(pool, draft, tail, places)
            missing.update(refused)
            record = event.record()
            local = _append(stream, tail, places, event, record)
    finally:
        for repository in opened:
            repository.store.close()
    system = bool(config.audit.syslog) and localfile.tell_system(config.audit.syslog, record)
    names = tuple(r.name for r in opened if r.name not in missing)
    return Written(event, names, missing, local, system)


def _store(
    pool: ThreadPoolExecutor, draft: Event, tail: Mapping[int, bytes], places: List[_Place]
) -> Tuple[Event, Dict[str, LifeboatError]]:
    """The event with its number, put everywhere; what refused it. Of two at once the later takes the next number."""
    for _attempt in range(_ATTEMPTS):
        caught_up = _catch_up(places, tail)
        event = _placed(draft, _last(tail, places, draft.chain), places, caught_up)
        answers = list(pool.map(_put, places, [event] * len(places)))
        if not any(isinstance(error, ObjectExists) for error in answers):
            break
        for place in places:
            again = _look(place.repository, draft.chain)
            if isinstance(again, _Place):
                place.keys = again.keys
    return event, {p.repository.name: error for p, error in zip(places, answers) if error is not None}


def _look(repository: Repository, chain: str) -> Union[_Place, LifeboatError]:
    """What the repository has of the chain, and the last number of each other one; its error where it does not answer.

    All is listed: a year has some thousand events, which are a few pages.
    """
    layout, store = repository.layout, repository.store
    keys: Dict[int, str] = {}
    witnessed: Dict[str, int] = {}
    try:
        require_begun(repository)
        for name in store.list_names(layout.audit):
            numbers = {}
            for info in store.list(f"{layout.audit}{name}"):
                place = audit_place(info.key)
                if place is not None:
                    numbers[place[2]] = info.key
            if name.rstrip("/") == chain:
                keys = numbers
            elif numbers:
                witnessed[name.rstrip("/")] = max(numbers)
    except LifeboatError as exc:
        return exc
    return _Place(repository, keys, witnessed)


def _last(tail: Mapping[int, bytes], places: List[_Place], chain: str) -> Optional[Tuple[int, bytes]]:
    """Number and record of the newest event of the chain, wherever it is."""
    number = max([*tail, *(n for p in places for n in p.keys)], default=0)
    if not number:
        return None
    if number in tail:
        return number, tail[number]
    for place in places:
        if number in place.keys:
            with suppress(StoreError):
                return number, place.repository.store.get(place.keys[number])
    # It is there and cannot be read: its successor names nothing, and verify tells it.
    return number, b""


def _placed(
    draft: Event, last: Optional[Tuple[int, bytes]], places: List[_Place], caught_up: Mapping[str, int]
) -> Event:
    witnessed: Dict[str, int] = {}
    for place in places:
        for chain, number in place.witnessed.items():
            witnessed[chain] = max(number, witnessed.get(chain, 0))
    return replace(
        draft,
        number=last[0] + 1 if last else 1,
        previous=digest(last[1]) if last else None,
        witnessed=witnessed,
        details={**draft.details, **({"caught_up": dict(caught_up)} if caught_up else {})},
    )


def _catch_up(places: List[_Place], tail: Mapping[int, bytes]) -> Dict[str, int]:
    """Bring what a repository lacks at the end of the chain, of what the local file has; how many, by repository."""
    done: Dict[str, int] = {}
    for place in places:
        newest = max(place.keys, default=0)
        for number in sorted(n for n in tail if n > newest):
            try:
                key = _key(place.repository, tail[number])
                place.repository.store.put(key, tail[number])
            except LifeboatError:
                break
            place.keys[number] = key
            done[place.repository.name] = done.get(place.repository.name, 0) + 1
    return done


def _key(repository: Repository, record: bytes) -> str:
    """Where it belongs; ObjectCorrupt for a damaged line, which must not be brought anywhere."""
    event = load_event(record, "the local file")
    return repository.layout.audit_event(event.chain, event.at, event.number)


def _put(place: _Place, event: Event) -> Optional[LifeboatError]:
    store, key, record = place.repository.store, place.repository.layout.audit_event, event.record()
    name = key(event.chain, event.at, event.number)
    try:
        store.put(name, record)
    except ObjectExists as exc:
        # An answer that was lost may have been a success.
        with suppress(StoreError):
            return None if store.get(name) == record else exc
        return exc
    except LifeboatError as exc:
        return exc
    return None


def _append(
    stream: Optional[IO[bytes]], tail: Mapping[int, bytes], places: List[_Place], event: Event, record: bytes
) -> bool:
    """The event at the end of the file, behind those that it lacks of the repositories."""
    if stream is None:
        return False
    try:
        if tail:
            for number in range(max(tail) + 1, event.number):
                place = next((p for p in places if number in p.keys), None)
                with suppress(StoreError):
                    if place:
                        localfile.append(stream, place.repository.store.get(place.keys[number]))
        localfile.append(stream, record)
    except OSError:
        return False
    return True
