# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extend the locks of stored objects, if the store of a repository has locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import LifeboatError
from ..config.load import Config
from ..config.store_options import StoreOptions
from ..store.protocol import Term
from ..store.s3.bucket import Locks, open_locks
from .kinds import kind_of
from .terms import term

__all__ = ["Locks", "Renewed", "extend", "is_locked", "is_locking", "locked_until", "open_locks", "term_of"]

_PARALLEL = 8


@dataclass(frozen=True)
class Renewed:
    """How many locks were extended, and which could not be, with the first error."""

    extended: int = 0
    failed: Tuple[str, ...] = ()
    error: Optional[LifeboatError] = None


def term_of(config: Config) -> Term:
    """For how long a new object is locked, by its key and the configured retention."""
    return lambda key: term(kind_of(config.cluster, key), config.retention)


def is_locking(options: StoreOptions) -> bool:
    """Whether new objects are locked."""
    return bool(options.lock_mode)


def locked_until(options: StoreOptions, key: str) -> Optional[datetime]:
    """When the lock of the object ends; None if there is none, or if the credentials cannot see it."""
    locks = open_locks(options)
    if locks is None:
        return None
    try:
        return locks.until(key)
    finally:
        locks.close()


def is_locked(locks: Locks, key: str) -> bool:
    """Whether the object is locked."""
    until = locks.until(key)
    return until is not None and until > clock.now()


def extend(locks: Locks, keys: Sequence[str], least: datetime, until: datetime) -> Renewed:
    """Extend locks that end before ``least`` to ``until``: one or two requests per object, 8 at a time."""

    def one(key: str) -> Tuple[bool, Optional[LifeboatError]]:
        try:
            found = locks.until(key)
            if found is not None and found >= least:
                return False, None
            locks.extend(key, until)
        except LifeboatError as exc:
            # An object that has disappeared meanwhile needs no lock.
            return False, None if exc.details.get("http_status") == 404 else exc
        return True, None

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-locks") as pool:
        done = list(pool.map(one, keys))
    failed = tuple(key for key, (_extended, error) in zip(keys, done) if error)
    return Renewed(sum(extended for extended, _error in done), failed, next((e for _x, e in done if e), None))
