# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extend the locks of stored objects, where the store of a repository has locks."""

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
    """How many locks were extended, and whose could not be, with the first error."""

    extended: int = 0
    failed: Tuple[str, ...] = ()
    error: Optional[LifeboatError] = None


def term_of(config: Config) -> Term:
    """For how long the object of a key is locked when it is put, by the policy of this configuration."""
    return lambda key: term(kind_of(config.cluster, key), config.retention)


def is_locking(options: StoreOptions) -> bool:
    """Whether objects are locked when they are put."""
    return bool(options.lock_mode)


def locked_until(options: StoreOptions, key: str) -> Optional[datetime]:
    """Until when a lock keeps the object; None where there is no lock, or where these credentials may not see it."""
    locks = open_locks(options)
    if locks is None:
        return None
    try:
        return locks.until(key)
    finally:
        locks.close()


def is_locked(locks: Locks, key: str) -> bool:
    """Whether a lock keeps the object."""
    until = locks.until(key)
    return until is not None and until > clock.now()


def extend(locks: Locks, keys: Sequence[str], least: datetime, until: datetime) -> Renewed:
    """Lock these to ``until`` where the lock ends before ``least``: one or two requests for each, 8 at a time."""

    def one(key: str) -> Tuple[bool, Optional[LifeboatError]]:
        try:
            found = locks.until(key)
            if found is not None and found >= least:
                return False, None
            locks.extend(key, until)
        except LifeboatError as exc:
            # An object that has vanished meanwhile needs no lock.
            return False, None if exc.details.get("http_status") == 404 else exc
        return True, None

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-locks") as pool:
        done = list(pool.map(one, keys))
    failed = tuple(key for key, (_extended, error) in zip(keys, done) if error)
    return Renewed(sum(extended for extended, _error in done), failed, next((e for _x, e in done if e), None))
