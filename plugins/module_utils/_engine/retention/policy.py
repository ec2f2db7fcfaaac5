# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each kind of data is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Iterable, Mapping

from ..errors import ConfigError
from ..logs.policy import SECURITY


@dataclass(frozen=True)
class RetentionConfig:
    """Days that each kind is kept, and what stays whatever its age.

    ``wal_days`` is the window of point-in-time recovery: the backup before its beginning stays, with all WAL since.
    ``keep_last`` full backups always stay, and the newest one of each of the last ``daily`` days, ``weekly`` weeks
    (ISO), ``monthly`` months and ``yearly`` years that have one (UTC). What a crash left (a backup without its record,
    a piece of a segment that is complete by now) goes after ``grace_hours``. ``file_sets`` has the days of those file
    sets, by name, that are not kept for ``file_set_days``, with those of the application's data (``data_days``);
    ``damaged_days`` is for what a repair removed.

    A plan is refused where it removes more than ``max_share`` per cent of the bytes, where the newest backup is older
    than ``max_backup_age_days``, and where the clocks of this host and of the store differ by more than
    ``max_clock_skew`` seconds.
    """

    full_days: float = 30.0
    differential_days: float = 7.0
    incremental_days: float = 7.0
    wal_days: float = 7.0
    dump_days: float = 30.0
    file_set_days: float = 90.0
    data_days: float = 30.0
    file_sets: Mapping[str, float] = field(default_factory=dict)
    audit_days: float = 365.0
    log_days: float = 30.0
    security_log_days: float = 365.0
    damaged_days: float = 90.0
    keep_last: int = 2
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    grace_hours: float = 24.0
    max_share: float = 50.0
    max_backup_age_days: float = 3.0
    max_clock_skew: float = 300.0

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
        """When the window of point-in-time recovery begins."""
        return now - timedelta(days=self.wal_days)

    @property
    def grace(self) -> timedelta:
        """How long what is not finished is left alone."""
        return timedelta(hours=self.grace_hours)


def with_data_sets(policy: RetentionConfig, names: Iterable[str]) -> RetentionConfig:
    """The policy for a configuration in which the sets of these names are the application's data."""
    return replace(policy, file_sets={**dict.fromkeys(names, policy.data_days), **policy.file_sets})


def require_possible(policy: RetentionConfig, where: str) -> None:
    """ConfigError for numbers that would keep nothing, or mean nothing."""
    numbers = {f.name: getattr(policy, f.name) for f in fields(policy) if f.name != "file_sets"}
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
