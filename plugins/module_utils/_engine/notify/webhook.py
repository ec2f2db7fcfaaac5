# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A POST of JSON, signed according to Standard Webhooks: HMAC-SHA256 over the ID, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Dict

from ..base import clock
from ..base.errors import ChannelRefused
from ..config.notifications import WebhookOptions
from .channel import secret_of
from .http import Post
from .notice import Notice

_PREFIX = "whsec_"


class Webhook:
    """A receiver of Lifeboat's own JSON format."""

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`."""
        options = self._options
        url = secret_of(options.webhook_url, options.webhook_url_file)
        secret = secret_of(options.secret, options.secret_file)
        body = json.dumps(notice.as_dict()).encode()
        now = int(clock.now().timestamp())
        Post(url, options.ca_bundle, options.allow_http, options.timeout).send(body, headers(secret, token, now, body))
        return ""


def headers(secret: str, token: str, now: int, body: bytes) -> Dict[str, str]:
    """The headers of one attempt at ``now`` (seconds since 1970); without a secret there is no signature. Pure."""
    found = {"Webhook-Id": token, "Webhook-Timestamp": str(now)}
    if secret:
        made = hmac.new(_key(secret), f"{token}.{now}.".encode() + body, hashlib.sha256).digest()
        found["Webhook-Signature"] = f"v1,{base64.b64encode(made).decode()}"
    return found


def _key(secret: str) -> bytes:
    """The key: base64 after ``whsec_``, otherwise the bytes of the secret."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret[len(_PREFIX) :], validate=True)
    except binascii.Error:
        raise ChannelRefused(
            "The webhook's secret begins with whsec_, but is not base64 after that.", "Copy the complete secret again."
        ) from None
