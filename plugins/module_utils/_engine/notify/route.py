# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which channels get a notice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..config.notifications import ChannelConfig, NotificationsConfig
from .notice import OPEN, Notice


@dataclass(frozen=True)
class Told:
    """The last notice that a channel has delivered about a key, and when (aware)."""

    news: str
    at: datetime


#: By the name of the channel.
Tellings = Mapping[str, Told]


@dataclass(frozen=True)
class Route:
    """The channels to use now, in order; the ``reserve`` if one fails. ``quiet`` channels have delivered it already."""

    now: Tuple[ChannelConfig, ...]
    quiet: Tuple[str, ...] = ()
    reserve: Tuple[ChannelConfig, ...] = ()


def route(config: NotificationsConfig, notice: Notice, told: Tellings, but: Sequence[str] = ()) -> Route:
    """The channels for this notice, except ``but``; ``told``: past deliveries about its key.

    A problem goes to the channels with its severity. Its acknowledgement and its end go to the channels that delivered
    the problem, whatever its severity; if there are none, to those with its severity. The end of a problem needs no
    reserve: it is sent at the next opportunity.
    """
    channels = [channel for channel in config.channels if channel.name not in but]
    known = [channel for channel in channels if channel.name in told]
    if notice.state == OPEN or not known:
        meant = [channel for channel in channels if notice.severity in channel.severities]
    else:
        meant = known
    due = [c for c in meant if is_due(told.get(c.name), notice, config.repeat)]
    others = [c for c in channels if c not in meant] if notice.state == OPEN else []
    return Route(tuple(due), tuple(c.name for c in meant if c not in due), tuple(others))


def is_due(told: Optional[Told], notice: Notice, repeat: float) -> bool:
    """Whether a channel has to deliver this notice."""
    if told is None or told.news != notice.news or not notice.key:
        return True
    return notice.state == OPEN and (notice.at - told.at).total_seconds() >= repeat


def after(told: Tellings, notice: Notice, delivered: Sequence[str], channels: Sequence[str]) -> Dict[str, Told]:
    """The deliveries about the key after these channels have delivered, only of the configured ``channels``.

    A problem is forgotten channel by channel: one that could not deliver its end stays.
    """
    kept = {name: was for name, was in told.items() if name in channels}
    if not notice.key:
        return {}
    if notice.resolved:
        return {name: was for name, was in kept.items() if name not in delivered}
    return {**kept, **{name: Told(notice.news, notice.at) for name in delivered}}


def pauses(patience: float) -> List[float]:
    """The seconds between the attempts at one channel: 1, 2, 4 and so on, together less than ``patience``."""
    found: List[float] = []
    pause = 1.0
    while sum(found) + pause < patience:
        found.append(pause)
        pause = min(2 * pause, 30.0)
    return found
