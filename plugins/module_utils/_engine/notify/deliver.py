# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deliver a notice through the chosen channels, through the reserve if one fails, and record the deliveries."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..audit.scope import Note, record
from ..base import clock
from ..base.errors import ChannelRefused, ChannelUnavailable, LifeboatError, NoticeUndelivered
from ..config.load import Config
from ..config.notifications import ChannelConfig
from .channel import Channel
from .notice import Notice
from .registry import open_channel
from .route import Told, after, is_due, pauses, route
from .state import Delivery, State, held, read_state, write_state

Open = Callable[[ChannelConfig], Channel]


@dataclass(frozen=True)
class Sent:
    """The result of one channel: delivered unless there is an ``error``."""

    channel: str
    attempts: int
    error: Optional[LifeboatError] = None
    remark: str = ""

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        error = self.error.as_dict() if self.error else None
        return {"channel": self.channel, "attempts": self.attempts, "error": error, "remark": self.remark}


@dataclass(frozen=True)
class Outcome:
    """The result of a notice. ``quiet`` channels had delivered it before; ``unnoted``: why the state was not saved."""

    sent: Tuple[Sent, ...] = ()
    quiet: Tuple[str, ...] = ()
    unnoted: str = ""

    @property
    def delivered(self) -> Tuple[str, ...]:
        """The channels that have delivered it now."""
        return tuple(s.channel for s in self.sent if s.error is None)

    @property
    def failed(self) -> Tuple[Sent, ...]:
        """The channels that have failed."""
        return tuple(s for s in self.sent if s.error is not None)

    @property
    def known(self) -> bool:
        """Whether any channel has delivered it, now or before."""
        return bool(self.delivered or self.quiet)

    def require_known(self, notice: Notice) -> Outcome:
        """Itself; NoticeUndelivered if no channel has delivered it."""
        if self.known:
            return self
        if not self.failed:
            raise NoticeUndelivered(
                f"No channel has severity {notice.severity}.",
                "Add the severity to a channel in notifications.channels.",
            )
        why = " ".join(f"{s.channel}: {s.error.message}" for s in self.failed if s.error)
        raise NoticeUndelivered(
            f"No channel delivered {notice.subject!r}. {why}",
            "Correct the channel, then test it: lifeboat notify test.",
            channels={s.channel: s.error.error_code for s in self.failed if s.error},
        )

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-serializable data."""
        return {
            "delivered": list(self.delivered),
            "quiet": list(self.quiet),
            "channels": [s.as_dict() for s in self.sent],
            "unnoted": self.unnoted,
        }


def tell(config: Config, notice: Notice, but: Sequence[str] = (), opener: Open = open_channel) -> Outcome:
    """Send the notice through each channel that needs it and has not delivered it yet, except ``but``."""
    section = config.notifications
    told, unread = _told(config, notice)
    way = route(section, notice, told, but)
    token = f"lifeboat-{secrets.token_hex(12)}"
    # In parallel, because a dead relay must not delay the pager.
    with ThreadPoolExecutor(max(1, len(way.now))) as pool:
        sent = list(pool.map(lambda c: attempt(c, notice, token, section.patience, opener), way.now))
    quiet = way.quiet
    if any(s.error for s in sent):
        for channel in way.reserve:
            if not is_due(told.get(channel.name), notice, section.repeat):
                quiet = (*quiet, channel.name)
                break
            sent.append(attempt(channel, notice, token, section.patience, opener))
            if sent[-1].error is None:
                break
    return _noted(config, notice, Outcome(tuple(sent), quiet, unread))


def try_channels(config: Config, notices: Mapping[str, Notice], opener: Open = open_channel) -> Outcome:
    """Send each named channel its notice in a single attempt, whatever its severities."""
    outcome = Outcome()
    for channel in config.notifications.channels:
        if channel.name in notices:
            token = f"lifeboat-{secrets.token_hex(12)}"
            notice = notices[channel.name]
            one = Outcome((attempt(channel, notice, token, 0.0, opener),))
            noted = _noted(config, notice, one)
            outcome = Outcome((*outcome.sent, *noted.sent), (), noted.unnoted)
    return outcome


def attempt(config: ChannelConfig, notice: Notice, token: str, patience: float, opener: Open) -> Sent:
    """Send through one channel, with repetitions if that may help, for about ``patience`` seconds."""
    deadline = clock.monotonic() + patience
    waits: List[Optional[float]] = [*pauses(patience), None]
    for number, wait in enumerate(waits, 1):
        try:
            return Sent(config.name, number, None, opener(config).send(notice, token))
        except ChannelUnavailable as exc:
            error: LifeboatError = exc
            if wait is None or clock.monotonic() + wait > deadline:
                break
            clock.sleep(wait)
        except LifeboatError as exc:
            error = exc
            break
        except Exception as exc:
            # A bug in one channel must not stop the others. Its message may quote a secret.
            error = ChannelRefused(f"The channel failed with {type(exc).__name__}.", "Report this as a bug.")
            break
    return Sent(config.name, number, error)


def _told(config: Config, notice: Notice) -> Tuple[Mapping[str, Told], str]:
    """The past deliveries for the key; and why they cannot be read, in which case every channel is used."""
    try:
        return (read_state(_place(config)).told.get(notice.key, {}) if notice.key else {}), ""
    except (OSError, LifeboatError) as exc:
        return {}, _why(config, exc)


def _noted(config: Config, notice: Notice, outcome: Outcome) -> Outcome:
    """Record it in the state and in the audit trail; errors of either are not fatal."""
    if not outcome.sent:
        return outcome
    try:
        with held(_place(config)):
            state = read_state(_place(config))
            write_state(_place(config), noted(state, config, notice, outcome))
    except (OSError, LifeboatError) as exc:
        outcome = replace(outcome, unnoted=_why(config, exc))
    codes = {s.channel: s.error.error_code for s in outcome.failed if s.error}
    details: Dict[str, Any] = {"severity": notice.severity, "state": notice.state, "failed": codes}
    for name, value in (("key", notice.key), ("job", notice.job), ("status", notice.status)):
        if value:
            details[name] = value
    unknown = None if outcome.known else NoticeUndelivered.error_code
    record(config, "notice", Note(list(outcome.delivered), details, failed=unknown))
    return outcome


def noted(state: State, config: Config, notice: Notice, outcome: Outcome) -> State:
    """The state after a notice. Pure."""
    channels = [channel.name for channel in config.notifications.channels]
    deliveries = {name: d for name, d in state.deliveries.items() if name in channels}
    for one in outcome.sent:
        code = one.error.error_code if one.error else None
        deliveries[one.channel] = deliveries.get(one.channel, Delivery()).after(notice.at, code)
    state = replace(state, deliveries=deliveries)
    if not notice.key:
        return state
    told = after(state.told.get(notice.key, {}), notice, outcome.delivered, channels)
    return state.knowing(notice.key, told, notice.at)


def is_told(config: Config, key: str) -> bool:
    """Whether the problem was reported to somebody, but not its end."""
    try:
        return bool(read_state(_place(config)).told.get(key))
    except (OSError, LifeboatError):
        return False


def _place(config: Config) -> str:
    return config.notifications.directory(config.cluster)


def _why(config: Config, exc: Exception) -> str:
    words = (exc.strerror or type(exc).__name__) if isinstance(exc, OSError) else getattr(exc, "message", "")
    return f"{_place(config)}: {words}"
