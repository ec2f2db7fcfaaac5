# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claim the leadership: the next epoch, put into every required repository.

The first of them by name decides between two sites that claim at once, whatever the order in their configurations. A
claim that reached only some repositories is finished by making it again.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ..audit.scope import Note, audited
from ..base import clock
from ..base.errors import (
    ConfigError,
    LeadershipUnsure,
    LifeboatError,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from ..base.wal_names import parse_lsn
from ..config.load import Config
from ..postgres.controldata import read_control
from ..records.model import seal_record
from ..repository.hasty import open_answering
from ..repository.repository import Repository
from .decide import Leadership, Request, begun_already, taken
from .read import look, system_of
from .record import KINDS, MOST_BYTES, TOKEN, Epoch, load_epoch


@dataclass(frozen=True)
class Claimed:
    """The epoch, and the repositories that it, or an epoch before it that they lacked, is new in.

    ``begun``: an earlier run, with the same token, has put it into at least one of them.
    """

    epoch: Epoch
    repositories: Tuple[str, ...]
    begun: bool

    def as_dict(self) -> Dict[str, Any]:
        names = list(self.repositories)
        return {"changed": bool(names), "epoch": self.epoch.shown(), "repositories": names, "begun": self.begun}


@dataclass(frozen=True)
class _Step:
    """The epoch that is to be everywhere, its record where it is stored already, and who leads before it."""

    epoch: Epoch
    begun: bool
    now: Leadership


def require_possible(request: Request) -> None:
    """ConfigError for a claim that makes no sense."""
    if not request.site:
        raise ConfigError("This configuration has no site, so that it can claim nothing.", "Set site: docs/regions.md.")
    if request.kind not in KINDS:
        raise ConfigError(f"The kind of a claim is {request.kind!r}.", f"Choose one of: {', '.join(KINDS)}.")
    if request.token is not None and not TOKEN.match(request.token):
        raise ConfigError(
            f"The token {request.token!r} cannot be used.", "Use 8 to 64 letters, digits, '-' and '_'."
        )


def timeline_of(config: Config, given: Optional[int]) -> int:
    """The timeline of a claim: ``given``, or that of the last checkpoint in the data directory."""
    if given is not None:
        if not 1 <= given < 2**32:
            raise ConfigError(f"The timeline is {given}.", "It is a number from 1 on.")
        return given
    if not config.data_dir:
        raise ConfigError("The timeline is not known here: data_dir is not set.", "Give the timeline.")
    return read_control(config.bin_dir, config.data_dir).timeline


def handover_of(text: Optional[str]) -> Optional[int]:
    """The hand-over LSN of a claim, such as ``0/3000028``."""
    try:
        return None if text is None else parse_lsn(text)
    except ValueError as exc:
        raise ConfigError(f"The hand-over LSN {exc}.", "Take it from pg_controldata of the site before.") from exc


def plan(config: Config, request: Request) -> Claimed:
    """What :func:`apply` would put, and where; nothing is written."""
    with _opened(config) as (order, system):
        step = _step(order, system, request)
        lacking = [r.name for r in order if r.store.head(r.layout.epoch(system, step.epoch.number)) is None]
        return Claimed(step.epoch, tuple(lacking), step.begun)


def apply(config: Config, request: Request) -> Claimed:
    """Put the next epoch into every required repository, or finish what was begun.

    LeadershipTaken if another site, or another attempt, has it. LeadershipUnsure if the store cannot keep one winner,
    or what was put does not count. The error of a repository that does not answer: nothing is claimed blindly.
    """
    require_possible(request)
    with audited(config, "leader-claim") as note, _opened(config) as (order, system):
        for repository in order:
            repository.signatures.require("epoch")
            _require_create_only(repository, system)
        step = _step(order, system, request)
        note.details.update(site=request.site, kind=step.epoch.kind, repositories=[])
        return _put_everywhere(order, step, note)


def _put_everywhere(order: List[Repository], step: _Step, note: Note) -> Claimed:
    system, wanted = step.epoch.system, step.epoch
    note.objects.append(f"{system}/{wanted.number:08X}")
    records = _stored(order, step.now)
    if not step.begun:
        key = order[0].layout.epoch(system, wanted.number)
        # Signed once: the bytes are the same everywhere.
        records[wanted.number] = seal_record(order[0].signatures.sign(key, wanted.as_dict()))
        wanted = load_epoch(records[wanted.number], key)
    changed: List[str] = []
    for repository in order:
        # What is missing before it would make it count for nothing where the other repositories are lost.
        filled = [_fill(repository, system, n, raw) for n, raw in sorted(records.items()) if n < wanted.number]
        put = _put(repository, wanted, records[wanted.number])
        if put or any(filled):
            changed.append(repository.name)
        if put:
            note.details["repositories"].append(repository.name)
    seen = look(order, system)
    leader = seen.now.leader
    if leader is None or leader.digest != wanted.digest:
        if leader is not None and leader.number > wanted.number:
            raise taken(leader, f"Site {leader.site} leads by {leader.describe()}, which was claimed after this one.")
        raise LeadershipUnsure(
            f"{wanted.describe()} of site {wanted.site} was put, but does not count: what lies in the repositories"
            " contradicts it.",
            "lifeboat leader show tells what was set apart; claim again, which takes the next number.",
            epoch=wanted.number,
        )
    note.skip = not changed
    return Claimed(leader, tuple(changed), step.begun)


@contextmanager
def _opened(config: Config) -> Iterator[Tuple[List[Repository], str]]:
    """The required repositories by name, and the system identifier, which all of them must know."""
    repositories = open_answering(config)
    try:
        order = sorted(repositories.required, key=lambda r: r.name)
        system = system_of(config, order)
        for repository in order:
            repository.owns(system)
        yield order, system
    finally:
        repositories.close()


def _step(order: List[Repository], system: str, request: Request) -> _Step:
    require_possible(request)
    seen = look(order, system)
    for error in seen.unread.values():
        raise error
    begun = begun_already(seen.now, request)
    if begun is not None:
        return _Step(begun, True, seen.now)
    leader = seen.now.leader
    return _Step(_make(system, request, seen.now.next, leader.digest if leader else None), False, seen.now)


def _make(system: str, request: Request, number: int, previous: Optional[str]) -> Epoch:
    token = request.token or secrets.token_hex(16)
    where = (request.site, token, request.kind, request.timeline, request.handover)
    return Epoch(system, number, *where, previous, clock.now())


def _stored(order: List[Repository], now: Leadership) -> Dict[int, bytes]:
    """The records of the epochs that count, by number, each from a repository that has it intact."""
    found: Dict[int, bytes] = {}
    for epoch in now.epochs:
        for repository in order:
            raw = _get(repository, repository.layout.epoch(epoch.system, epoch.number), epoch)
            if raw is not None:
                found[epoch.number] = raw
                break
    return found


def _get(repository: Repository, key: str, epoch: Epoch) -> Optional[bytes]:
    """The bytes of this epoch's record; None if it is not there, or not intact."""
    if repository.store.head(key) is None:
        return None
    try:
        raw = repository.get_record(key, MOST_BYTES)
        return raw if load_epoch(raw, key) == epoch else None
    except ObjectCorrupt:
        return None


def _fill(repository: Repository, system: str, number: int, raw: bytes) -> bool:
    """Whether this earlier epoch is new there; what lies there is left alone."""
    key = repository.layout.epoch(system, number)
    if repository.store.head(key) is not None:
        return False
    with suppress(ObjectExists):
        repository.store.put(key, raw)
        return True
    return False


def _put(repository: Repository, wanted: Epoch, raw: bytes) -> bool:
    """Whether it is new there. LeadershipTaken if somebody else has the number."""
    key, number = repository.layout.epoch(wanted.system, wanted.number), wanted.number
    try:
        repository.store.put(key, raw)
        return True
    except ObjectExists:
        pass
    try:
        there = load_epoch(repository.get_record(key, MOST_BYTES), key)
    except ObjectCorrupt as exc:
        raise LeadershipUnsure(
            f"In repository {repository.location} epoch {number} is taken by an object that counts for nothing:"
            f" {exc.message}",
            "Heal it (lifeboat verify --repair), or claim again, which takes the next number.",
            repository=repository.name,
            key=key,
        ) from exc
    if there.digest != wanted.digest:
        raise taken(there, f"Site {there.site} has {there.describe()} in repository {repository.location}.")
    return False


def _require_create_only(repository: Repository, system: str) -> None:
    """LeadershipUnsure unless the store refuses to put what is there, tried with the bytes that are there anyway."""
    key = repository.layout.system(system)
    try:
        repository.store.put(key, repository.store.get(key))
    except ObjectExists:
        return
    except (StoreUnavailable, StoreAccessDenied, ObjectMissing):
        raise
    except StoreError as exc:
        raise _no_winner(repository, exc) from exc
    raise _no_winner(repository, None)


def _no_winner(repository: Repository, error: Optional[LifeboatError]) -> LeadershipUnsure:
    said = f" ({error.message})" if error else ""
    return LeadershipUnsure(
        f"Repository {repository.location} does not put an object only if there is none{said}: two sites could claim"
        " the same epoch, and both would win.",
        "Keep the leadership in a store with conditional puts (If-None-Match) or in a directory: docs/regions.md.",
        repository=repository.name,
    )
