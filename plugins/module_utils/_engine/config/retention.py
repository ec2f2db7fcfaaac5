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
    """Days that each kind is kept, and what stays whatever its age.

    ``wal_days`` is the window of point-in-time recovery: the backup before its beginning stays, with all WAL since.
    ``keep_last`` full backups always stay, and the newest one of each of the last ``daily`` days, ``weekly`` weeks
    (ISO), ``monthly`` months and ``yearly`` years that have one (UTC). What a crash left (a backup without its record,
    a piece of a segment that is complete by now) goes after ``grace_hours``. ``file_sets`` has the days of those file
    sets, by name, that are not kept for ``file_set_days``, with those of the application's data (``data_days``);
    ``damaged_days`` is for what a repair removed, ``diverged_days`` for what an old primary wrote behind a fork.

    A plan is refused where it removes more than ``max_share`` percent of the bytes, where the newest backup is older
    than ``max_backup_age_days``, and where the clocks of this host and of the store differ by more than
    ``max_clock_skew`` seconds.

    Nothing is removed on the strength of a backup, copy or dump that the store has had for less than ``settle_hours``,
    that is smaller than the one before it by more than ``max_shrink`` percent, or, of backups, that is not what
    ``trust`` (one of :data:`TRUST`) asks for. See :mod:`.strength`.
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
    diverged_days: float = option("Days to keep the WAL of an old primary behind the fork of a failover.", 365.0)
    keep_last: int = option("Full backups to keep whatever their age.", 2)
    daily: int = option("Days of which to keep the newest full backup.", 0)
    weekly: int = option("ISO weeks of which to keep the newest full backup.", 0)
    monthly: int = option("Months of which to keep the newest full backup.", 0)
    yearly: int = option("Years of which to keep the newest full backup.", 0)
    grace_hours: float = option("Hours before unfinished objects are removed.", 24.0)
    max_share: float = option("Refuse to remove more than this percentage of the repository's bytes at once.", 50.0)
    max_backup_age_days: float = option("Remove nothing while the newest backup is older than this many days.", 3.0)
    max_clock_skew: float = option(
        "Remove nothing while the clocks of host and store differ by more than this many seconds.", 300.0
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
        """The days that a backup of this type is kept."""
        return {"full": self.full_days, "differential": self.differential_days}.get(backup_type, self.incremental_days)

    def days_of_set(self, name: str) -> float:
        """The days that copies of this file set are kept."""
        return self.file_sets.get(name, self.file_set_days)

    def days_of_copy(self, kind: str, name: str) -> float:
        """The days that copies of the file set, or dumps of the database, of this name are kept."""
        return self.dump_days if kind == "dump" else self.days_of_set(name)

    def days_of_log(self, stream: str) -> float:
        """The days that chunks of this stream of logs are kept."""
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
        """How long the store must have had an object before anything is removed on its strength."""
        return timedelta(hours=self.settle_hours)

    def is_shrunk(self, size: int, before: int) -> bool:
        """Whether an object of this size is too small to replace one of the size ``before``."""
        return size < before * (1 - self.max_shrink / 100)


def with_data_sets(policy: RetentionConfig, names: Iterable[str]) -> RetentionConfig:
    """The policy for a configuration in which the sets of these names are the application's data."""
    return replace(policy, file_sets={**dict.fromkeys(names, policy.data_days), **policy.file_sets})


def require_possible(policy: RetentionConfig, where: str) -> None:
    """ConfigError for numbers that would keep nothing, or mean nothing."""
    numbers = {f.name: getattr(policy, f.name) for f in fields(policy) if f.name not in ("file_sets", "trust")}
    numbers.update({f"file_sets.{name}": value for name, value in policy.file_sets.items()})
    for name, value in numbers.items():
        least = 1 if name == "keep_last" else 0
        if not _is_number(value) or value < least:
            raise ConfigError(f"{where}: retention.{name} is {value!r}.", f"It must be a number, at least {least}.")
    if policy.grace_hours < 1:
        raise ConfigError(
            f"{where}: retention.grace_hours is {policy.grace_hours:g}.",
            "It must be at least 1: what is being written right now is not finished either.",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
