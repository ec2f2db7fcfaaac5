# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events API v2 of PagerDuty: trigger, acknowledge and resolve an alert by its ``dedup_key``."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict

from ..config.notifications import PagerDutyOptions
from ..records.model import format_time
from .channel import secret_of
from .http import Post
from .notice import ACKNOWLEDGED, OPEN, RESOLVED, Notice, one_line, readable

_ACTIONS = {OPEN: "trigger", ACKNOWLEDGED: "acknowledge", RESOLVED: "resolve"}
# Limits of the API: 255 characters of a dedup_key, 1024 of a summary, 512 kB of an event.
_MOST_KEY, _MOST_SUMMARY = 255, 1024


class PagerDuty:
    """One service of PagerDuty."""

    def __init__(self, options: PagerDutyOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`."""
        options = self._options
        key = secret_of(options.routing_key, options.routing_key_file)
        post = Post(options.endpoint, options.ca_bundle, options.allow_http, options.timeout)
        post.send(json.dumps(event(notice, key, token)).encode(), {})
        return ""


def event(notice: Notice, routing_key: str, token: str) -> Dict[str, Any]:
    """The event. A notice without a key opens its own alert, only once even if it is sent repeatedly. Pure."""
    found: Dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[notice.state],
        "dedup_key": dedup_key(notice.key or token),
    }
    if notice.state == OPEN:
        found["client"] = "Lifeboat"
        found["payload"] = {
            "summary": one_line(notice.subject, _MOST_SUMMARY),
            "source": notice.host or "lifeboat",
            "severity": notice.severity,
            "timestamp": format_time(notice.at),
            "component": notice.job or "lifeboat",
            "group": notice.cluster,
            "custom_details": {"text": readable(notice.text), "status": notice.status},
        }
    return found


def dedup_key(key: str) -> str:
    """The key, or its digest if it is too long for PagerDuty."""
    return key if len(key) <= _MOST_KEY else hashlib.sha256(key.encode()).hexdigest()
