# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each kind of data is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Iterable, Mapping, Tuple

from ..base.errors import ConfigError
from .logs import SECURITY
from .option import option

#: What a backup needs to count when others are removed; each level includes the ones before it.
TRUST: Tuple[str, ...] = ("whole", "verified", "restored")


@dataclass(frozen=True)
class RetentionConfig:
    """How many days each kind is kept, and what is kept at any age.

    ``wal_days`` is the window of point-in-time recovery: the last backup before its start stays, with all WAL since.
    ``keep_last`` full backups always stay, and so does the newest of each of the last ``daily`` days, ``weekly`` weeks
    (ISO), ``monthly`` months and ``yearly`` years that have one (UTC). Leftovers of a crash (a backup without a record,
    a piece of a segment that is complete by now) are removed after ``grace_hours``. ``file_sets`` has the days of file
    sets, by name, that are not kept for ``file_set_days``, with those of the application's data (``data_days``);
    ``damaged_days`` is for objects that a repair removed, ``drill_days`` for the evidence of drills, ``diverged_days``
    for the WAL that an old primary wrote after a fork.

    A plan is refused if it removes more than ``max_share`` percent of the bytes, if the newest backup is older
    than ``max_backup_age_days``, or if the clocks of this host and the store differ by more than
    ``max_clock_skew`` seconds.

    Nothing is removed on the strength of a backup, copy or dump that the store has had for less than ``settle_hours``,
    that is smaller than the one before it by more than ``max_shrink`` percent, or of a backup that does not meet
    ``trust`` (one of :data:`TRUST`). See :mod:`.strength`.
    """

    full_days: float = option("Days to keep a full backup.", 30.0)
    differential_days: float = option("Days to keep a differential backup.", 7.0)
    incremental_days: float = option("Days to keep an incremental backup.", 7.0)
    wal_days: float = option("Days of point-in-time recovery.", 7.0)
    dump_days: float = option("Days to keep a dump.", 30.0)
    file_set_days: float = option("Days to keep a copy of a file set of kind V(config).", 90.0)
    data_days: float = option("Days to keep a copy of a file set of kind V(data).", 30.0)
    file_sets: Mapping[str, float] = option("Days to keep individual file sets, by name.", factory=dict)
    audit_days: float = option("Days to keep an event of the audit trail.", 365.0)
    log_days: float = option("Days to keep logs.", 30.0)
    security_log_days: float = option("Days to keep the log stream C(security).", 365.0)
    damaged_days: float = option("Days to keep the damaged bytes that a repair removed.", 90.0)
    drill_days: float = option(
        "Days to keep the evidence of a drill; the newest one of each scenario is always kept.", 1095.0
    )
    diverged_days: float = option("Days to keep the WAL that an old primary wrote after the fork of a failover.", 365.0)
    keep_last: int = option("Full backups to keep at any age.", 2)
    daily: int = option("Days of which to keep the newest full backup.", 0)
    weekly: int = option("ISO weeks of which to keep the newest full backup.", 0)
    monthly: int = option("Months of which to keep the newest full backup.", 0)
    yearly: int = option("Years of which to keep the newest full backup.", 0)
    grace_hours: float = option("Hours before unfinished objects are removed.", 24.0)
    max_share: float = option("Refuse to remove more than this percentage of the repository's bytes at once.", 50.0)
    max_backup_age_days: float = option("Remove nothing while the newest backup is older than this many days.", 3.0)
    max_clock_skew: float = option(
        "Remove nothing while the clocks of the host and the store differ by more than this many seconds.", 300.0
    )
    settle_hours: float = option(
        "Hours a backup must have been in the store before anything is removed because of it.", 24.0
    )
    max_shrink: float = option(
        "Percentage by which a backup may be smaller than the one before it and still replace it.", 90.0
    )
    trust: str = option(
        "What a backup must be before others are removed on the strength of it.", "whole", choices=TRUST
    )

    def days_of(self, backup_type: str) -> float:
        """How many days a backup of this type is kept."""
        return {"full": self.full_days, "differential": self.differential_days}.get(backup_type, self.incremental_days)

    def days_of_set(self, name: str) -> float:
        """How many days copies of this file set are kept."""
        return self.file_sets.get(name, self.file_set_days)

    def days_of_copy(self, kind: str, name: str) -> float:
        """How many days copies of this file set, or dumps of this database, are kept."""
        return self.dump_days if kind == "dump" else self.days_of_set(name)

    def days_of_log(self, stream: str) -> float:
        """How many days chunks of this log stream are kept."""
        return self.security_log_days if stream == SECURITY else self.log_days

    def window_start(self, now: datetime) -> datetime:
        """The start of the window of point-in-time recovery."""
        return now - timedelta(days=self.wal_days)

    @property
    def grace(self) -> timedelta:
        """How long unfinished objects are left alone."""
        return timedelta(hours=self.grace_hours)

    @property
    def settle(self) -> timedelta:
        """How long the store must have had an object before anything is removed because of it."""
        return timedelta(hours=self.settle_hours)

    def is_shrunk(self, size: int, before: int) -> bool:
        """Whether an object of this size is too small to replace one of the size ``before``."""
        return size < before * (1 - self.max_shrink / 100)


def with_data_sets(policy: RetentionConfig, names: Iterable[str]) -> RetentionConfig:
    """The policy with ``data_days`` for the file sets of these names, which are the application's data."""
    return replace(policy, file_sets={**dict.fromkeys(names, policy.data_days), **policy.file_sets})


def require_possible(policy: RetentionConfig, where: str) -> None:
    """ConfigError for numbers that would keep nothing, or make no sense."""
    numbers = {f.name: getattr(policy, f.name) for f in fields(policy) if f.name not in ("file_sets", "trust")}
    numbers.update({f"file_sets.{name}": value for name, value in policy.file_sets.items()})
    for name, value in numbers.items():
        least = 1 if name == "keep_last" else 0
        if not _is_number(value) or value < least:
            raise ConfigError(f"{where}: retention.{name} is {value!r}.", f"It must be a number, at least {least}.")
    if policy.grace_hours < 1:
        raise ConfigError(
            f"{where}: retention.grace_hours is {policy.grace_hours:g}.",
            "It must be at least 1, because objects that are being written are unfinished too.",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
