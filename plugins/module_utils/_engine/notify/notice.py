# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody is told. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict

from ..config.notifications import SEVERITIES
from ..records.model import format_time

INFO, WARNING, CRITICAL = SEVERITIES
OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
#: Of ``lifeboat-job``: the job warns; it still runs at two starts in a row.
WARNS, BUSY = "10", "75"
_MOST_LINES, _MOST_CHARACTERS = 200, 30_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


@dataclass(frozen=True)
class Notice:
    """One notice.

    ``key`` names the problem: notices of the same key are about the same one, which ``state`` opens, acknowledges or
    resolves. Without a key it is a message by itself. ``status`` is what else makes it news: a job's exit status.
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
        """What a repetition has in common with this one."""
        return f"{self.severity}:{self.status}" if self.state == OPEN else self.state

    @property
    def title(self) -> str:
        """The subject, as a line of its own that nothing can get out of."""
        return one_line(f"[lifeboat] {self.subject}")

    def as_dict(self) -> Dict[str, Any]:
        """As a program gets it."""
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
    """Words without line breaks and control characters, shortened."""
    line = _BREAKS.sub(" ", words).strip()
    return line if len(line) <= most else line[: most - 1] + "…"


def readable(text: str, lines: int = _MOST_LINES, characters: int = _MOST_CHARACTERS) -> str:
    """The end of a text, without control characters."""
    end = "\n".join(text.replace("\r\n", "\n").rstrip().split("\n")[-lines:])
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", end[-characters:])


def of_job(cluster: str, host: str, job: str, status: str, text: str, at: datetime) -> Notice:
    """How a job ended: ``status`` is a number, or the name of the signal that ended it."""
    severity, state = CRITICAL, OPEN
    if status == "0":
        words, state = "is well again", RESOLVED
    elif status == WARNS:
        words, severity = "warns", WARNING
    elif status == BUSY:
        words = "still runs, so that it was not started, twice in a row"
    elif status.isdigit():
        words = f"ended with status {status}"
    else:
        words = f"was ended by signal {status}"
    subject = f"{host}: {job} of cluster {cluster} {words}"
    key = f"lifeboat/{host}/{cluster}/{job}"
    return Notice(severity, subject, at, readable(text), key, state, cluster, host, job, status)


def of_success(cluster: str, host: str, job: str, text: str, at: datetime) -> Notice:
    """That a job ended well: a message by itself."""
    subject = f"{host}: {job} of cluster {cluster} is done"
    return Notice(INFO, subject, at, readable(text), cluster=cluster, host=host, job=job, status="0")


def of_person(
    cluster: str, host: str, severity: str, subject: str, text: str, at: datetime, key: str = "", state: str = OPEN
) -> Notice:
    """What somebody, or another program, has to say."""
    return Notice(severity, one_line(subject), at, readable(text), key, state, cluster, host)


def of_test(cluster: str, host: str, channel: str, at: datetime) -> Notice:
    """A test of one channel."""
    subject = f"{host}: test of channel {channel} for cluster {cluster}"
    text = "Nothing is wrong: this is a test by lifeboat notify test."
    return Notice(INFO, subject, at, text, cluster=cluster, host=host)
