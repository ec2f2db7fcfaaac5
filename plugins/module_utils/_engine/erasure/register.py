# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register of erasures in the repositories."""

from __future__ import annotations

import getpass
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple, Union

from .. import clock
from ..audit.scope import audited
from ..config import Config
from ..errors import ErasureFailed, LifeboatError, ObjectExists
from ..repository.hasty import open_hasty, require_begun
from ..repository.records import read_records
from ..repository.repository import Repositories, Repository
from .record import Erasure, ErasureRequest, load_erasure, make_erasure

# A restore reads it beside the unpacking, and must not fail for a store that is busy for a moment.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Register:
    """All erasures of all repositories that answered, oldest first, and why the others did not."""

    erasures: Tuple[Erasure, ...]
    unread: Mapping[str, LifeboatError]


@dataclass(frozen=True)
class Registered:
    """The erasure, the repositories that it is new in, and those that are not required and did not take it."""

    erasure: Erasure
    repositories: Tuple[str, ...]
    missing: Mapping[str, LifeboatError]


def read_register(config: Config) -> Register:
    """Read all of it, without waiting long for a repository that is away.

    ErasureFailed for a record that cannot be read, or where no repository answers.
    """
    # Who was erased since is not known in the past, and who hid the past may have hidden the register too.
    past = open_hasty(config, _ATTEMPTS, past=True)
    opened = open_hasty(config, _ATTEMPTS) + past
    found: Dict[str, Erasure] = {}
    unread: Dict[str, LifeboatError] = {}
    try:
        with ThreadPoolExecutor(len(opened), "lifeboat-erasures") as pool:
            for repository, answer in zip(opened, pool.map(lambda r: _look(r, not past), opened)):
                if isinstance(answer, LifeboatError):
                    unread[repository.name] = answer
                else:
                    found.update({e.id: e for e in answer})
    finally:
        for repository in opened:
            repository.store.close()
    if len(unread) == len(opened):
        why = "; ".join(f"{name}: {exc.message}" for name, exc in unread.items())
        raise ErasureFailed(
            f"No repository tells what was erased: {why}",
            "A restore goes on without the register by --without-erasures.",
        )
    return Register(tuple(sorted(found.values(), key=lambda e: (e.erased_at, e.id))), unread)


def _look(repository: Repository, strict: bool) -> Union[List[Erasure], LifeboatError]:
    """Not ``strict``, a record that cannot be read is no more than a repository that cannot be."""
    try:
        require_begun(repository)
        records = read_records(repository, repository.layout.erasures)
    except LifeboatError as exc:
        return exc
    try:
        return [load_erasure(raw, key) for key, raw in records]
    except LifeboatError as exc:
        if strict:
            raise
        return exc


def register(config: Config, request: ErasureRequest, apply: bool = True) -> Registered:
    """Write the erasure into every repository that lacks it; the same one is registered once.

    A required repository that does not take it is an error; the next run completes what this one began.
    """
    with audited(config, "erasure", apply=apply) as note:
        done = _register(config, request, apply)
        note.skip = not apply or not done.repositories
        note.objects.append(done.erasure.id)
        note.details.update(table=done.erasure.table, reference=done.erasure.reference)
        return done


def _register(config: Config, request: ErasureRequest, apply: bool) -> Registered:
    new: List[str] = []
    missing: Dict[str, LifeboatError] = {}
    repositories = Repositories.open(config)
    try:
        have: Dict[str, Optional[Erasure]] = {}
        for repository in repositories.items:
            try:
                require_begun(repository)
                records = read_records(repository, repository.layout.erasures)
                known = [load_erasure(raw, key) for key, raw in records]
                have[repository.name] = next((e for e in known if e.is_of(request)), None)
            except LifeboatError as exc:
                if repository.required:
                    raise
                missing[repository.name] = exc
        now = clock.now()
        known_one = next((e for e in have.values() if e), None)
        erasure = known_one or make_erasure(request, now, f"{getpass.getuser()}@{socket.gethostname()}")
        for repository in (r for r in repositories.items if have.get(r.name, erasure) is None):
            try:
                if apply:
                    _put(repository, erasure)
                new.append(repository.name)
            except LifeboatError as exc:
                if repository.required:
                    raise
                missing[repository.name] = exc
    finally:
        repositories.close()
    return Registered(erasure, tuple(new), missing)


def _put(repository: Repository, erasure: Erasure) -> None:
    key = repository.layout.erasure(erasure.recorded_at, erasure.id.rsplit("-", 1)[1])
    try:
        repository.store.put(key, erasure.record())
    except ObjectExists:
        if repository.store.get(key) != erasure.record():
            raise
