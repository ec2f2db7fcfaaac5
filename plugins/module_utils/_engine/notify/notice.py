# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict

from ..config.notifications import SEVERITIES
from ..records.model import format_time

INFO, WARNING, CRITICAL = SEVERITIES
OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
#: Statuses of ``lifeboat-job``: the job ended with a warning; it was still running at two starts in a row.
WARNS, BUSY = "10", "75"
_MOST_LINES, _MOST_CHARACTERS = 200, 30_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


@dataclass(frozen=True)
class Notice:
    """One notice.

    ``key`` names the problem, which ``state`` opens, acknowledges or resolves. Without a key, a notice is independent.
    ``status``: a job's exit status; if it changes, the notice is news.
    """

    severity: str
    subject: str
    at: datetime
    text: str = ""
    key: str = ""
    state: str = OPEN
    cluster: str = ""
    host: str = ""
    job: str = ""
    status: str = ""

    @property
    def resolved(self) -> bool:
        """Whether the problem is over."""
        return self.state == RESOLVED

    @property
    def news(self) -> str:
        """The part that a repetition has in common with this notice."""
        return f"{self.severity}:{self.status}" if self.state == OPEN else self.state

    @property
    def title(self) -> str:
        """The subject, as a single safe line."""
        return one_line(f"[lifeboat] {self.subject}")

    def as_dict(self) -> Dict[str, Any]:
        """The JSON-serializable data for programs."""
        return {
            "format": 1,
            "severity": self.severity,
            "state": self.state,
            "key": self.key,
            "subject": self.subject,
            "text": self.text,
            "cluster": self.cluster,
            "host": self.host,
            "job": self.job,
            "status": self.status,
            "at": format_time(self.at),
        }


def one_line(words: str, most: int = 250) -> str:
    """The text without line breaks and control characters, shortened."""
    line = _BREAKS.sub(" ", words).strip()
    return line if len(line) <= most else line[: most - 1] + "…"


def readable(text: str, lines: int = _MOST_LINES, characters: int = _MOST_CHARACTERS) -> str:
    """The end of a text, without control characters."""
    end = "\n".join(text.replace("\r\n", "\n").rstrip().split("\n")[-lines:])
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", end[-characters:])


def of_job(cluster: str, host: str, job: str, status: str, text: str, at: datetime) -> Notice:
    """The notice of a job's end: ``status`` is a number, or the name of the signal that ended it."""
    severity, state = CRITICAL, OPEN
    if status == "0":
        words, state = "works again", RESOLVED
    elif status == WARNS:
        words, severity = "warns", WARNING
    elif status == BUSY:
        words = "was still running at two starts in a row, which were skipped"
    elif status.isdigit():
        words = f"ended with status {status}"
    else:
        words = f"was ended by signal {status}"
    subject = f"{host}: {job} of cluster {cluster} {words}"
    key = f"lifeboat/{host}/{cluster}/{job}"
    return Notice(severity, subject, at, readable(text), key, state, cluster, host, job, status)


def of_success(cluster: str, host: str, job: str, text: str, at: datetime) -> Notice:
    """The independent notice that a job succeeded."""
    subject = f"{host}: {job} of cluster {cluster} is done"
    return Notice(INFO, subject, at, readable(text), cluster=cluster, host=host, job=job, status="0")


def of_person(
    cluster: str, host: str, severity: str, subject: str, text: str, at: datetime, key: str = "", state: str = OPEN
) -> Notice:
    """A notice from a person or another program."""
    return Notice(severity, one_line(subject), at, readable(text), key, state, cluster, host)


def of_test(cluster: str, host: str, channel: str, at: datetime) -> Notice:
    """The notice that tests one channel."""
    subject = f"{host}: test of channel {channel} for cluster {cluster}"
    text = "Nothing is wrong: this is a test by lifeboat notify test."
    return Notice(INFO, subject, at, text, cluster=cluster, host=host)
