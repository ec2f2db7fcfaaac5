# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The class of a channel for each class of options."""

from __future__ import annotations

from typing import Any, Dict, Type

from ..config.notifications import (
    AppriseOptions,
    ChannelConfig,
    CommandOptions,
    PagerDutyOptions,
    SlackOptions,
    SmtpOptions,
    WebhookOptions,
)
from .apprise import Apprise
from .channel import Channel
from .command import Program
from .pagerduty import PagerDuty
from .slack import Slack
from .smtp import Mail
from .webhook import Webhook

_KINDS: Dict[Type[Any], Any] = {
    SmtpOptions: Mail,
    WebhookOptions: Webhook,
    SlackOptions: Slack,
    PagerDutyOptions: PagerDuty,
    AppriseOptions: Apprise,
    CommandOptions: Program,
}


def open_channel(config: ChannelConfig) -> Channel:
    """The channel with these options, without connecting yet."""
    channel: Channel = _KINDS[type(config.options)](config.options)
    return channel
