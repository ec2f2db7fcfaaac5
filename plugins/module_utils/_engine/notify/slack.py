# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incoming webhook of Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

from __future__ import annotations

import json
from typing import Any, Dict

from ..config.notifications import SlackOptions
from .channel import secret_of
from .http import Post
from .notice import CRITICAL, OPEN, WARNING, Notice, readable

# Slack truncates messages at 40,000 characters, more than anybody reads.
_LINES, _CHARACTERS = 40, 3000


class Slack:
    """Slack, or a compatible service."""

    def __init__(self, options: SlackOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`."""
        options = self._options
        url = secret_of(options.webhook_url, options.webhook_url_file)
        post = Post(url, options.ca_bundle, options.allow_http, options.timeout)
        post.send(json.dumps(message(notice)).encode(), {})
        return ""


def message(notice: Notice) -> Dict[str, Any]:
    """The payload, without mentions, links or markup. Pure."""
    mark = {CRITICAL: ":rotating_light:", WARNING: ":warning:"}.get(notice.severity, ":information_source:")
    if notice.state != OPEN:
        mark = ":white_check_mark:" if notice.resolved else ":eyes:"
    lines = [f"{mark} {_escaped(notice.title)}"]
    if notice.text:
        text = _escaped(readable(notice.text, _LINES, _CHARACTERS)).replace("```", "'''")
        lines.append(f"```\n{text}\n```")
    return {"text": "\n".join(lines)}


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
