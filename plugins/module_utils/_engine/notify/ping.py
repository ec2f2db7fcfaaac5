# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dead man's switches: a ping when a job starts, succeeds or fails (healthchecks.io, "Pinging API")."""

from __future__ import annotations

from typing import List, Sequence

from ..base.errors import LifeboatError
from ..config.notifications import PingConfig
from .channel import secret_of
from .http import Post

START, SUCCESS, FAIL = EVENTS = ("start", "success", "fail")
_PATHS = {START: "/start", SUCCESS: "", FAIL: "/fail"}


def event_of(status: str) -> str:
    """The event for a job's exit status, or the signal that ended it; a warning (10) counts as success. Pure."""
    return SUCCESS if status in ("0", "10") else FAIL


def ping(switches: Sequence[PingConfig], job: str, event: str) -> int:
    """Ping each switch of this job; returns their number. Raises the first error after all were tried."""
    errors: List[LifeboatError] = []
    ours = [switch for switch in switches if switch.job == job]
    for switch in ours:
        try:
            url = secret_of(switch.ping_url, switch.ping_url_file).rstrip("/") + _PATHS[event]
            Post(url, switch.ca_bundle, switch.allow_http, switch.timeout).send(b"", {})
        except LifeboatError as exc:
            errors.append(exc)
    if errors:
        raise errors[0]
    return len(ours)
