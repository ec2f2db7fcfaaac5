# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register of erasures in the repositories."""

from __future__ import annotations

import getpass
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Set, Tuple, Union

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ErasureFailed, LifeboatError, ObjectExists, RecordForeign
from ..config.load import Config
from ..repository.clocks import require_clock
from ..repository.erasures import MARGIN, Erasure, ErasureRequest, load_erasure, make_erasure
from ..repository.hasty import open_hasty, require_begun
from ..repository.records import StoredRecord, iterate_records
from ..repository.repository import Repositories, Repository

# A restore must not fail because a store is busy briefly.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Register:
    """All erasures of the readable repositories, oldest first, and the errors of the others.

    ``unread``: errors by repository name, and by key for records that do not count. ``late``: the confirmations of
    erasures that no repository had at its ``as_of``.
    """

    erasures: Tuple[Erasure, ...]
    unread: Mapping[str, LifeboatError]
    late: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Registered:
    """The erasure, the repositories that it was added to, and the optional ones that did not accept it."""

    erasure: Erasure
    repositories: Tuple[str, ...]
    missing: Mapping[str, LifeboatError]


def read_register(config: Config) -> Register:
    """Read the whole register, without waiting long for an unreachable repository.

    ErasureFailed if a record cannot be read, or no repository responds.
    """
    # An earlier state lacks later erasures, and whoever tampered with it may have tampered with the register.
    past = open_hasty(config, _ATTEMPTS, past=True)
    opened = open_hasty(config, _ATTEMPTS) + past
    seen_as_of = {r.name for r in past}
    # If two repositories have different erasures with one ID, both are used, so that neither hides the other.
    found: Dict[str, Erasure] = {}
    then: Set[str] = set()
    unread: Dict[str, LifeboatError] = {}
    try:
        with ThreadPoolExecutor(len(opened), "lifeboat-erasures") as pool:
            for repository, answer in zip(opened, pool.map(lambda r: _look(r, not past), opened)):
                if isinstance(answer, LifeboatError):
                    unread[repository.name] = answer
                else:
                    known = {e.confirmation: e for e in answer}
                    found.update(known)
                    if repository in past or repository.name not in seen_as_of:
                        then.update(known)
    finally:
        for repository in opened:
            repository.store.close()
    if len(unread) == len(opened):
        why = "; ".join(f"{name}: {exc.message}" for name, exc in unread.items())
        raise ErasureFailed(
            f"Cannot read the erasure register in any repository: {why}",
            "Correct the cause, or restore without the register: --without-erasures.",
        )
    for repository in opened:
        unread.update(repository.signatures.foreign)
    erasures = tuple(sorted(found.values(), key=lambda e: (e.erased_at, e.id)))
    return Register(erasures, unread, frozenset(found) - then)


def _look(repository: Repository, strict: bool) -> Union[List[Erasure], LifeboatError]:
    """Unless ``strict``, an unreadable record is treated like an unreadable repository."""
    try:
        require_begun(repository)
        # The first unreadable one decides.
        return _those_that_count(iterate_records(repository, repository.layout.erasures))
    except ErasureFailed as exc:
        if strict:
            raise
        return exc
    except LifeboatError as exc:
        return exc


def _those_that_count(records: Iterable[StoredRecord]) -> List[Erasure]:
    """The erasures in these records, without those that lack a valid signature; ErasureFailed for an unreadable one."""
    return [load_erasure(r.raw, r.key) for r in records if not isinstance(r.error, RecordForeign)]


def plan(config: Config, request: ErasureRequest) -> Registered:
    """What :func:`apply` would register, and where; nothing is written."""
    with _looked_up(config, request) as (erasure, lacking, missing):
        return Registered(erasure, tuple(repository.name for repository in lacking), missing)


def apply(config: Config, request: ErasureRequest) -> Registered:
    """Store the erasure in every repository that lacks it; the same one is registered only once.

    It is an error if a required repository does not accept it; repeat the call to complete it.
    """
    new: List[str] = []
    with audited(config, "erasure") as note, _looked_up(config, request) as (erasure, lacking, missing):
        for repository in lacking:
            try:
                _put(repository, erasure)
                new.append(repository.name)
            except LifeboatError as exc:
                if repository.required:
                    raise
                missing[repository.name] = exc
        note.skip = not new
        note.objects.append(erasure.id)
        note.details.update(table=erasure.table, reference=erasure.reference)
        return Registered(erasure, tuple(new), missing)


@contextmanager
def _looked_up(
    config: Config, request: ErasureRequest
) -> Iterator[Tuple[Erasure, List[Repository], Dict[str, LifeboatError]]]:
    """The erasure as registered or to be registered, the repositories that lack it, and the unreadable ones."""
    missing: Dict[str, LifeboatError] = {}
    repositories = Repositories.open(config)
    try:
        have: Dict[str, Optional[Erasure]] = {}
        for repository in repositories.items:
            try:
                require_begun(repository)
                if request.erased_at is None:
                    # A restore to a time before the erasure applies it, so the time must be right.
                    require_clock(repository, "host's", clock.now(), MARGIN / 2, "the erasure would have that time")
                known = _those_that_count(iterate_records(repository, repository.layout.erasures))
                have[repository.name] = next((e for e in known if e.covers(request)), None)
            except LifeboatError as exc:
                if repository.required:
                    raise
                missing[repository.name] = exc
        known_one = next((e for e in have.values() if e), None)
        erasure = known_one or make_erasure(request, clock.now(), f"{getpass.getuser()}@{socket.gethostname()}")
        yield erasure, [r for r in repositories.items if have.get(r.name, erasure) is None], missing
    finally:
        repositories.close()


def _put(repository: Repository, erasure: Erasure) -> None:
    key = repository.layout.erasure(erasure.recorded_at, erasure.id.rsplit("-", 1)[1])
    try:
        repository.put_record(key, erasure.as_dict())
    except ObjectExists:
        if load_erasure(repository.get_record(key), key) != erasure:
            raise
