# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpret a target time without a zone as PostgreSQL does, in the server's TimeZone, or refuse it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional, Tuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..base.errors import ConfigError, PostgresError
from ..config.load import Config
from ..postgres.connection import session
from ..records.model import Target, format_time, read_moment


def readings(local: datetime, zone: str) -> Tuple[datetime, ...]:
    """The possible meanings of a time without a zone, in UTC: two if clocks change then, none in an unknown zone."""
    try:
        found = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ()
    return tuple(sorted({local.replace(tzinfo=found, fold=fold).astimezone(timezone.utc) for fold in (0, 1)}))


def resolve(config: Config, zone: str, target: Target) -> Tuple[Target, Tuple[str, ...]]:
    """The target with its time in UTC, and a note if it had no zone: ``zone`` is the source server's TimeZone.

    If a time has no meaning here (a POSIX zone), or two, the configured server is asked for its own. ConfigError, with
    the possible meanings, if it does not answer.
    """
    if target.kind != "time" or read_moment(target.value or "").tzinfo:
        return target.resolved(timezone.utc), ()
    local = read_moment(target.value or "")
    found = readings(local, zone)
    note = f"the time has no zone: read as {zone}, the server's TimeZone"
    if len(found) == 1:
        return target.resolved(ZoneInfo(zone)), (note,)
    told = _ask(config, zone, local)
    if told is None:
        raise _refused(str(target.value), zone, found)
    return Target("time", format_time(told), target.inclusive, target.timeline), (f"{note}: {format_time(told)}",)


def _ask(config: Config, zone: str, local: datetime) -> Optional[datetime]:
    try:
        with session(config.connection) as sql:
            sql.value("SELECT set_config('TimeZone', %s, false)", [zone])
            told: datetime = sql.value("SELECT %s::text::timestamptz", [local.isoformat(sep=" ")])
            return told.astimezone(timezone.utc)
    except PostgresError:
        return None


def _refused(value: str, zone: str, found: Tuple[datetime, ...]) -> ConfigError:
    if not found:
        return ConfigError(
            f"The time {value} has no zone, the server's TimeZone {zone} is unknown on this host, and the configured"
            " server does not answer.",
            "Give the time with its zone: 2026-11-22 14:02:00+00.",
            zone=zone,
        )
    words = " or ".join(format_time(one) for one in found)
    return ConfigError(
        f"The time {value} is ambiguous in the server's TimeZone {zone}, where clocks change just then:"
        f" it is {words}, and the configured server does not answer.",
        f"Give the one that you mean, with its zone: {format_time(found[0])}.",
        zone=zone,
        readings=[format_time(one) for one in found],
    )
