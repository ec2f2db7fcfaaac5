# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an object is locked, and when a lock is renewed. Pure.

An object is locked when it is put, for the days that its kind is kept. What stays longer than that (a parent, a held
backup, one of the last fulls, WAL that they need) has its lock renewed, a week at a time, by every run of retention
that finds it to end within three days. A lock is never shortened.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

from ..config.retention import RetentionConfig
from .kinds import Kind
from .labels import type_of

#: A lock that ends so soon is renewed, for so long from now on.
RENEW_WITHIN = timedelta(days=3)
RENEW_FOR = timedelta(days=7)

# Objects that are never removed are locked for the longest term.
_FOR_EVER = ("core", "history", "hold", "release", "report", "erasure", "epoch")


def term(kind: Kind, policy: RetentionConfig) -> Optional[timedelta]:
    """For how long such an object is locked when it is put.

    None for what is no part of the repository, for what restores tell of themselves, and for pieces of segments, which
    go when the segment is complete.
    """
    days = _days(kind, policy)
    return timedelta(days=days) if days > 0 else None


def _days(kind: Kind, policy: RetentionConfig) -> float:
    if kind.name == "wal":
        return 0.0 if kind.piece else policy.wal_days
    if kind.name == "backup":
        return policy.days_of(type_of(kind.owner))
    if kind.name == "files":
        return policy.days_of_set(kind.part)
    if kind.name == "log":
        return policy.days_of_log(kind.owner)
    if kind.name in _FOR_EVER:
        return longest(policy)
    own = {"dump": policy.dump_days, "audit": policy.audit_days, "damaged": policy.damaged_days,
           "diverged": policy.diverged_days}  # fmt: skip
    return own.get(kind.name, 0.0)


def longest(policy: RetentionConfig) -> float:
    """The longest retention, in days."""
    kinds = (policy.full_days, policy.wal_days, policy.dump_days, policy.file_set_days, policy.audit_days)
    logs = (policy.log_days, policy.security_log_days)
    others = (policy.differential_days, policy.incremental_days, policy.damaged_days, policy.diverged_days)
    return max(*kinds, *logs, *others, *policy.file_sets.values())


def is_due(kind: Kind, stored: datetime, policy: RetentionConfig, now: datetime) -> bool:
    """Whether the lock with which such an object was put ends soon or has ended; a renewal is not known here."""
    if kind.piece or kind.name in ("foreign", "lease", "verification"):
        return False
    return stored + (term(kind, policy) or timedelta()) < now + RENEW_WITHIN
