# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``schedule_jobs``: accepted input, error messages, and that systemd and cron agree."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
from ansible.errors import AnsibleFilterError

_PATH = Path(__file__).parents[3] / "plugins" / "filter" / "schedule_jobs.py"
_SPEC = importlib.util.spec_from_file_location("schedule_jobs", _PATH)
assert _SPEC and _SPEC.loader
plugin = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plugin)

DEFAULTS: Dict[str, Any] = {
    "full": {"title": "full backup", "cron": "0 2 * * *", "jitter": 900},
    "check": {"title": "check", "cron": "*/5 * * * *"},
    "retention": {"title": "retention", "cron": "0 4 * * *", "unavailable": "not in this version"},
}


def jobs(given: Any, method: str = "cron") -> Dict[str, Dict[str, Any]]:
    return {job["job"]: job for job in plugin.schedule_jobs(given, DEFAULTS, method)}


def test_nothing_given_is_the_defaults() -> None:
    full = jobs({})["full"]
    assert full == {
        "job": "full", "title": "full backup", "cron": "0 2 * * *", "calendar": "*-*-* 02:00:00 UTC", "jitter": 900,
        "interval": 86400, "on_change": False, "runs": True, "reason": "",
    }  # fmt: skip
    assert list(jobs(None)) == ["full", "check", "retention"]


def test_what_is_switched_off_and_what_cannot_be_says_why() -> None:
    found = jobs({"check": {"enabled": False}, "retention": {"enabled": True}})
    assert (found["check"]["runs"], found["check"]["reason"]) == (False, "switched off in lifeboat_schedule")
    assert (found["retention"]["runs"], found["retention"]["reason"]) == (False, "not in this version")


def test_a_time_of_the_user_drops_the_defaults_other_form() -> None:
    full = jobs({"full": {"calendar": "Mon..Fri 03:10"}}, "systemd")["full"]
    assert (full["cron"], full["calendar"], full["jitter"]) == ("", "Mon..Fri 03:10 UTC", 900)
    full = jobs({"full": {"calendar": "03:10 Europe/Berlin"}}, "systemd")["full"]
    assert full["calendar"] == "03:10 Europe/Berlin"


@pytest.mark.parametrize(
    "given, words",
    [
        ({"ful": {}}, "unknown jobs: ful"),
        ([], "lifeboat_schedule is []"),
        ({"full": "daily"}, "lifeboat_schedule.full is 'daily'"),
        ({"full": {"hour": 2}}, "unknown keys: hour"),
        ({"full": {"enabled": "yes"}}, "enabled is 'yes'"),
        ({"full": {"jitter": "10 min"}}, "jitter is '10 min'"),
        ({"full": {"calendar": "daily"}}, "only calendar: 'daily'"),
        ({"full": {"cron": "0 2 * *"}}, "five fields"),
        ({"full": {"cron": "0 24 * * *"}}, "the hour is '24': use 0 to 23"),
        ({"full": {"cron": "60 2 * * *"}}, "the minute is '60'"),
        ({"full": {"cron": "0 2 0 * *"}}, "the day of the month is '0'"),
        ({"full": {"cron": "0 2 * foo *"}}, "the month is 'foo'"),
        ({"full": {"cron": "0 2 * * 5-1"}}, "goes backwards"),
        ({"full": {"cron": "5/10 2 * * *"}}, "a step needs a range"),
        ({"full": {"cron": "*/0 2 * * *"}}, "1 or more"),
        ({"full": {"cron": "@reboot"}}, "five fields"),
    ],
)
def test_a_mistake_is_named(given: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(words)):
        jobs(given)


def test_what_systemd_cannot_say_stays_crons() -> None:
    both = {"full": {"cron": "0 2 1 * mon"}}
    assert jobs(both)["full"]["calendar"] == ""
    with pytest.raises(AnsibleFilterError, match="a day of the month and a weekday"):
        jobs(both, "systemd")


# --- cron and systemd mean the same -------------------------------------------------------------------------------


def members(text: str, low: int, high: int) -> Set[int]:
    """The numbers of a field, read independently of the filter (numbers only)."""
    found: Set[int] = set()
    for part in text.split(","):
        span, _slash, step = part.partition("/")
        first, _dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def cron_runs(cron: str, begin: datetime, count: int) -> List[datetime]:
    """The next runs according to cron, minute by minute."""
    fields = cron.split()
    minutes, hours, days, months = (
        members(f, *limits) for f, limits in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12)))
    )
    weekdays = {day % 7 for day in members(fields[4], 0, 6)}
    out: List[datetime] = []
    at = begin
    while len(out) < count:
        at += timedelta(minutes=1) if at.hour in hours and at.day in days else timedelta(minutes=60 - at.minute)
        fits = at.minute in minutes and at.hour in hours and at.day in days and at.month in months
        if fits and at.isoweekday() % 7 in weekdays:
            out.append(at)
    return out


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not there")
@pytest.mark.parametrize(
    "cron",
    [
        "0 2 * * *", "*/5 * * * *", "7-59/13 */6 * * *", "0 8 1 1,4,7,10 *", "30 1 * * 1-5", "0 0 * * 0", "0 0 * * 7",
        "15,45 0-4,20-22/2 * * *", "0 3 */7 * *", "5 4 31 * *", "0 12 10-20/3 2 *", "0 0 * * 5-7",
    ],
)  # fmt: skip
def test_systemd_runs_when_cron_does(cron: str) -> None:
    begin = datetime(2026, 11, 22, 18, 31, tzinfo=timezone.utc)
    said = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=9", f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC",
         plugin.on_calendar(cron)],
        capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    runs = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ ([0-9-]+ [0-9:]+) UTC", said)
    assert runs == [f"{at:%Y-%m-%d %H:%M:%S}" for at in cron_runs(cron, begin, 9)]


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("*/5 * * * *", 300),
        ("7-59/20 * * * *", 1200),
        ("0 8,9 * * *", 23 * 3600),
        ("0 2 * * *", 86400),
        ("@weekly", 7 * 86400),
        ("0 2 * * 1-5", 3 * 86400),
        ("0 2 * * 0,7", 7 * 86400),
        ("0 5 1 * *", 31 * 86400),
        ("0 8 1 1,4,7,10 *", 92 * 86400),
        # Either of them: a week is the longest time.
        ("0 2 13 * 5", 7 * 86400),
        ("0 0 31 2 *", 0),
        # From 2096 to 2104, which this range does not reach.
        ("0 0 29 2 *", 0),
    ],
)
def test_the_longest_time_between_two_starts(cron: str, seconds: int) -> None:
    assert jobs({"full": {"cron": cron}})["full"]["interval"] == seconds


def test_a_calendar_alone_has_no_known_interval() -> None:
    assert jobs({"full": {"calendar": "Mon..Fri 03:10"}}, "systemd")["full"]["interval"] == 0
