# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: schedule_jobs
short_description: Turn lifeboat_schedule into the jobs of a cluster
version_added: 0.1.0
author: The Lifeboat authors (@lifeboat)
description:
  - Merges the user's mapping into the defaults, validates every cron expression, and returns when each job runs, or why
    it does not.
  - A cron expression is also converted to systemd's C(OnCalendar), for use in timers and with C(systemd-analyze
    calendar).
positional: _input
options:
  _input:
    description: The user's mapping, from job to C(cron) or C(calendar), C(enabled), C(jitter), C(on_change).
    type: dict
    required: true
  defaults:
    description: The same mapping with defaults for every job, and its C(title) and C(unavailable).
    type: dict
    required: true
  method:
    description: How the jobs are started.
    type: str
    choices: [cron, systemd]
    default: cron
"""

EXAMPLES = r"""
- name: Show the schedule
  ansible.builtin.debug:
    msg: "{{ {'full': {'cron': '30 3 * * *'}} | lifeboat.postgres.schedule_jobs(defaults=defaults) }}"
"""

RETURN = r"""
_value:
  description:
    - A list of mappings C(job), C(title), C(cron), C(calendar), C(interval), C(jitter), C(on_change), C(runs) and
      C(reason).
    - C(calendar) is empty if systemd has no equivalent; C(reason) is empty if the job runs. C(interval) is the longest
      time in seconds between two starts, or 0 if only C(calendar) was given.
  type: list
  elements: dict
"""

import re
from datetime import date
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ansible.errors import AnsibleFilterError

_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of the week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_KEYS = ("cron", "calendar", "enabled", "jitter", "on_change")
_ZONE = re.compile(r"\s(UTC|[A-Za-z_]+/[A-Za-z_/+-]+)$")


class Field(NamedTuple):
    """What a field of a cron expression may hold."""

    name: str
    low: int
    high: int


_FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12),
    Field("day of the week", 0, 7),
)


def _number(field: Field, text: str) -> int:
    """A number or a name; ValueError with a message for the user."""
    names = _NAMES.get(field.name, [])
    if text.lower() in names:
        return names.index(text.lower()) + (1 if field.name == "month" else 0)
    if not text.isdecimal() or not field.low <= int(text) <= field.high:
        raise ValueError(f"the {field.name} is {text!r}: use {field.low} to {field.high}")
    return int(text)


def _parts(field: Field, text: str) -> List[Tuple[int, int, int]]:
    """First, last and step of each part of a field."""
    out = []
    for part in text.split(","):
        span, _slash, step = part.partition("/")
        if _slash and (not step.isdecimal() or int(step) == 0):
            raise ValueError(f"the {field.name} is {part!r}: use a number of 1 or more after the slash")
        if span == "*":
            low, high = field.low, 6 if field.high == 7 else field.high
        else:
            first, dash, last = span.partition("-")
            low = _number(field, first)
            high = _number(field, last) if dash else low
            if _slash and not dash:
                raise ValueError(f"the {field.name} is {part!r}: a step needs a range or * before the slash")
            if high < low:
                raise ValueError(f"the {field.name} is {part!r}: the range goes backwards")
        out.append((low, high, int(step or 1)))
    return out


def _component(field: Field, text: str) -> str:
    """A field in the notation of OnCalendar."""
    parts = _parts(field, text)
    if field.name == "day of the week":
        days = sorted({day % 7 for low, high, step in parts for day in range(low, high + 1, step)})
        return ",".join(_NAMES[field.name][day].capitalize() for day in days)
    if text == "*":
        return "*"
    words = []
    for low, high, step in parts:
        if low == high:
            words.append(f"{low:02d}")
        elif step == 1:
            words.append(f"{low:02d}..{high:02d}")
        elif field.name in ("day of the month", "month"):
            # Not by a step of systemd: in version 252, *-*-01/7 goes from 29 December to 8 January.
            words += [f"{number:02d}" for number in range(low, high + 1, step)]
        elif high == field.high:
            words.append(f"{low:02d}/{step}")
        else:
            words.append(f"{low:02d}..{high:02d}/{step}")
    return ",".join(words)


def on_calendar(cron: str) -> str:
    """A cron expression as ``OnCalendar`` in UTC, empty if there is no equivalent; ValueError if it is invalid."""
    fields = _MACROS.get(cron.strip(), cron).split()
    if len(fields) != len(_FIELDS):
        raise ValueError("it must have five fields (minute hour day month weekday), or be @daily and the like")
    minute, hour, day, month, weekday = (_component(f, text) for f, text in zip(_FIELDS, fields))
    days, weekdays = (not fields[i].startswith("*") for i in (2, 4))
    if days and weekdays:
        # cron runs if either of them matches, systemd if both do.
        return ""
    on = f"{weekday} " if fields[4] != "*" else ""
    return f"{on}*-{month}-{day} {hour}:{minute}:00 UTC"


def longest_interval(cron: str) -> int:
    """The longest time between two starts, in seconds (crontab(5)); 0 if there are no two within eight years."""
    fields = _MACROS.get(cron.strip(), cron).split()
    minutes, hours, days, months, weekdays = (
        {number for low, high, step in _parts(field, text) for number in range(low, high + 1, step)}
        for field, text in zip(_FIELDS, fields)
    )
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    starts = sorted(60 * hour + minute for hour in hours for minute in minutes)
    inner = max((b - a for a, b in zip(starts, starts[1:])), default=0)
    # 2096 to 2103 contain the longest time without a 29 February.
    dates = [date.fromordinal(number) for number in range(date(2096, 1, 1).toordinal(), date(2104, 1, 1).toordinal())]
    on = []
    for day in dates:
        fits = day.day in days, day.isoweekday() % 7 in {number % 7 for number in weekdays}
        if day.month in months and (any(fits) if either else all(fits)):
            on.append(day.toordinal())
    apart = max((b - a for a, b in zip(on, on[1:])), default=0)
    return 60 * max(inner, apart * 24 * 60 - starts[-1] + starts[0]) if apart else 0


def _merged(name: str, default: Mapping[str, Any], given: Any) -> Dict[str, Any]:
    """A job's options. A given cron or calendar replaces both of the default's."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise AnsibleFilterError(
            f"lifeboat_schedule.{name} is {given!r}: use a mapping, such as {{cron: '{default.get('cron')}'}}."
        )
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        known = ", ".join(_KEYS)
        raise AnsibleFilterError(f"lifeboat_schedule.{name} has unknown keys: {', '.join(unknown)}; use {known}.")
    base = dict(default)
    if given.get("cron") or given.get("calendar"):
        base.pop("cron", None)
        base.pop("calendar", None)
    return {**base, **{key: value for key, value in given.items() if value is not None}}


def _times(name: str, options: Mapping[str, Any], method: str) -> Tuple[str, str]:
    """The job's time in both forms."""
    cron, calendar = str(options.get("cron") or "").strip(), str(options.get("calendar") or "").strip()
    where = f"lifeboat_schedule.{name}"
    if method == "cron" and not cron:
        raise AnsibleFilterError(
            f"{where} has only calendar: {calendar!r}, which cron does not support."
            " Set cron, for example '30 3 * * *', or schedule_method: systemd."
        )
    translated = ""
    if cron:
        try:
            translated = on_calendar(cron)
        except ValueError as exc:
            raise AnsibleFilterError(f"{where}.cron is {cron!r}: {exc}.") from None
    if calendar and not _ZONE.search(calendar):
        calendar += " UTC"
    if method == "systemd" and not (calendar or translated):
        raise AnsibleFilterError(
            f"{where}.cron is {cron!r}: with both a day of the month and a weekday, cron means either and systemd both."
            " Set calendar, or schedule_method: cron."
        )
    return cron, translated if method == "cron" else calendar or translated


def _job(name: str, options: Mapping[str, Any], method: str) -> Dict[str, Any]:
    cron, calendar = _times(name, options, method)
    enabled, jitter = options.get("enabled", True), options.get("jitter", 0)
    if not isinstance(enabled, bool):
        raise AnsibleFilterError(f"lifeboat_schedule.{name}.enabled is {enabled!r}: use true or false.")
    if isinstance(jitter, bool) or not str(jitter).isdecimal():
        raise AnsibleFilterError(f"lifeboat_schedule.{name}.jitter is {jitter!r}: use a number of seconds.")
    reason: Optional[str] = options.get("unavailable") or ("" if enabled else "switched off in lifeboat_schedule")
    return {
        "job": name,
        "title": options.get("title", name),
        "cron": cron,
        "calendar": calendar,
        "interval": longest_interval(cron) if cron else 0,
        "jitter": int(jitter),
        "on_change": bool(options.get("on_change", False)),
        "runs": not reason,
        "reason": reason,
    }


def schedule_jobs(given: Any, defaults: Mapping[str, Mapping[str, Any]], method: str = "cron") -> List[Dict[str, Any]]:
    """Every job of the defaults, with the user's changes; AnsibleFilterError names the option and its value."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise AnsibleFilterError(f"lifeboat_schedule is {given!r}: use a mapping of jobs.")
    if method not in ("cron", "systemd"):
        raise AnsibleFilterError(f"schedule_method is {method!r}: use cron or systemd.")
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise AnsibleFilterError(
            f"lifeboat_schedule has unknown jobs: {', '.join(unknown)}; the jobs are {', '.join(defaults)}."
        )
    return [_job(name, _merged(name, default, given.get(name)), method) for name, default in defaults.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Their names."""
        return {"schedule_jobs": schedule_jobs}
