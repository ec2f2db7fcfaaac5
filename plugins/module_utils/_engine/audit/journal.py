# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an event to every repository, the local file and the system log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Dict, List, Mapping, Optional, Tuple, Union

from ..base.errors import LifeboatError, ObjectExists, StoreError
from ..config.load import Config
from ..records.fields import MOST_SMALL
from ..repository.hasty import open_hasty, require_begun
from ..repository.layout import audit_place
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo
from . import localfile
from .event import Event, digest, load_event
from .numbers import connected

_ATTEMPTS = 5


@dataclass(frozen=True)
class Written:
    """An event and where it was stored: ``missing`` are the repositories that did not accept it, and why.

    ``local`` and ``system``: whether the local file and the system log have it; ``refused``: why the file does not.
    """

    event: Event
    repositories: Tuple[str, ...]
    missing: Mapping[str, LifeboatError]
    local: bool
    system: bool
    refused: str = ""

    @property
    def durable(self) -> bool:
        """Whether it is in a repository or the local file. The system log is not under Lifeboat's control."""
        return bool(self.repositories or self.local)


@dataclass
class _Place:
    """A repository while an event is written: its keys of the chain, and the last number of each other one."""

    repository: Repository
    keys: Dict[int, str]
    witnessed: Dict[str, int]

    def keep(self, ours: range) -> None:
        """Drop keys of events outside of the chain: one far ahead would leave no number for the next."""
        self.keys = {number: key for number, key in self.keys.items() if number in ours}


def write(config: Config, draft: Event) -> Written:
    """Number the draft within its chain, and store it everywhere. Raises no store errors."""
    missing: Dict[str, LifeboatError] = {}
    # One attempt: somebody may be waiting for the restored server, and the next event adds what is missing.
    opened = open_hasty(config, 1, all_of_them=False)
    try:
        with localfile.locked(config) as stream, ThreadPoolExecutor(len(opened), "lifeboat-audit") as pool:
            tail = localfile.tail(stream, draft.chain)
            looked = list(pool.map(_look, opened, [draft.chain] * len(opened)))
            places = [found for found in looked if isinstance(found, _Place)]
            missing.update({r.name: e for r, e in zip(opened, looked) if isinstance(e, LifeboatError)})
            event, refused = _store(pool, draft, tail, places)
            missing.update(refused)
            record = event.record()
            local, why = _append(stream, tail, places, event, record)
    finally:
        for repository in opened:
            repository.store.close()
    system = bool(config.audit.syslog) and localfile.tell_system(config.audit.syslog, record)
    names = tuple(r.name for r in opened if r.name not in missing)
    return Written(event, names, missing, local, system, why)


def _store(
    pool: ThreadPoolExecutor, draft: Event, tail: Mapping[int, bytes], places: List[_Place]
) -> Tuple[Event, Dict[str, LifeboatError]]:
    """Store the event with its number everywhere; the errors by repository. If another writer was faster, it takes
    the next number.
    """
    for _attempt in range(_ATTEMPTS):
        ours = connected((n for p in places for n in p.keys), max(tail, default=None))
        for place in places:
            place.keep(ours)
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
    """The repository's keys of the chain, and the last number of each other one; its error if it does not answer.

    Lists everything: a year has a few thousand events, in a few pages.
    """
    layout, store = repository.layout, repository.store
    keys: Dict[int, str] = {}
    witnessed: Dict[str, int] = {}
    try:
        require_begun(repository)
        for name in store.list_names(layout.audit):
            numbers: Dict[int, ObjectInfo] = {}
            for info in store.list(f"{layout.audit}{name}"):
                place = audit_place(info.key)
                # Of two with different days, the one that was stored first.
                if place is not None and (place[2] not in numbers or info.modified < numbers[place[2]].modified):
                    numbers[place[2]] = info
            if name.rstrip("/") == chain:
                keys = {number: info.key for number, info in numbers.items()}
            elif numbers and (ours := connected(numbers)):
                witnessed[name.rstrip("/")] = ours[-1]
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
                return number, place.repository.get_record(place.keys[number], MOST_SMALL)
    # It exists but cannot be read: its successor gets a wrong digest, and verify reports it.
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
    """Add events from the local file that a repository lacks at the end of the chain; how many, by repository."""
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
    """The event's key; ObjectCorrupt for a damaged line, which must not be copied anywhere."""
    event = load_event(record, "the local file")
    return repository.layout.audit_event(event.chain, event.at, event.number)


def _put(place: _Place, event: Event) -> Optional[LifeboatError]:
    store, key, record = place.repository.store, place.repository.layout.audit_event, event.record()
    name = key(event.chain, event.at, event.number)
    try:
        store.put(name, record)
    except ObjectExists as exc:
        # The request may have succeeded although its response was lost.
        with suppress(StoreError):
            return None if place.repository.get_record(name, MOST_SMALL) == record else exc
        return exc
    except LifeboatError as exc:
        return exc
    return None


def _append(
    stream: Optional[IO[bytes]], tail: Mapping[int, bytes], places: List[_Place], event: Event, record: bytes
) -> Tuple[bool, str]:
    """Append to the file the events that only repositories have, then this one; whether, and why not."""
    if stream is None:
        return False, ""
    try:
        if tail:
            for number in sorted({n for p in places for n in p.keys if max(tail) < n < event.number}):
                place = next(p for p in places if number in p.keys)
                with suppress(StoreError):
                    found = place.repository.get_record(place.keys[number], MOST_SMALL)
                    known = load_event(found, place.keys[number])
                    if (known.chain, known.number) == (event.chain, number):
                        localfile.append(stream, found)
        localfile.append(stream, record)
    except OSError as exc:
        return False, exc.strerror or str(exc)
    return True, ""
