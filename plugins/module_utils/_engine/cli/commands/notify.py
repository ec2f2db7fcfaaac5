# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat notify``: send notices, and test the channels."""

from __future__ import annotations

import argparse
import re
import socket
import sys
from typing import Any, List

from ...base import clock
from ...base.errors import ConfigError
from ...base.files import open_to_read
from ...config.load import Config, load
from ...config.notifications import JOBS, SEVERITIES
from ...notify.deliver import Outcome, Sent, is_told, tell, try_channels
from ...notify.notice import ACKNOWLEDGED, OPEN, RESOLVED, of_job, of_person, of_success, of_test, one_line
from ...notify.ping import START, event_of, ping
from ..terminal import Answer, Terminal
from .described import Actions, add_command

_MOST = 1024 * 1024


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(
        subparsers, "notify", "notify test", "notify send --severity critical --subject 'The disk is full' <words.txt"
    )
    actions = Actions(parser)
    test = actions.add(
        "test", run_test, "send a test notice through every channel", "notify test", "notify test --channel mail"
    )
    test.add_argument("--channel", action="append", default=[], metavar="NAME", help="only this channel (repeatable)")
    send = actions.add(
        "send",
        run_send,
        "send a notice with the text on standard input",
        "notify send --severity warning --subject 'The disk is 90 % full' --key disk </dev/null",
        "notify send --severity warning --subject 'The disk has space again' --key disk --resolved </dev/null",
    )
    send.add_argument("--severity", required=True, choices=SEVERITIES)
    send.add_argument("--subject", required=True, metavar="WORDS")
    send.add_argument(
        "--key",
        default="",
        metavar="NAME",
        help="name of the problem, so that unchanged news about it is not sent again",
    )
    state = send.add_mutually_exclusive_group()
    state.add_argument("--acknowledged", action="store_true", help="somebody is working on it (needs --key)")
    state.add_argument("--resolved", action="store_true", help="it is over (needs --key)")
    _add_text(send)
    job = actions.add(
        "job",
        run_job,
        "report the result of a job if it is news",
        "notify job --job full --status 1 --text /var/log/lifeboat/main-full.log",
        "notify job --job full --status 0 </dev/null",
    )
    job.add_argument("--job", required=True, choices=JOBS, metavar="NAME")
    job.add_argument("--status", required=True, metavar="N", help="its exit status, or the signal that ended it")
    _add_text(job)
    _add_ping(actions)


def _add_ping(actions: Actions) -> None:
    parser = actions.add(
        "ping",
        run_ping,
        "ping the dead man's switches of a job: it has started or ended",
        "notify ping --job full --start",
        "notify ping --job full --status 0",
    )
    parser.add_argument("--job", required=True, choices=JOBS, metavar="NAME")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--start", action="store_true", help="the job has started")
    what.add_argument("--status", metavar="N", help="its exit status, or the signal that ended it")


def run_ping(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Ping every switch of the job; none if it has no switch."""
    event = START if args.start else event_of(args.status)
    count = ping(load(args.config, args.as_of).notifications.pings, args.job, event)
    return Answer({"event": event, "pings": count}, f"{event}: {count} pings of {args.job}")


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", metavar="FILE", help="the text (default: standard input)")


def run_test(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if a channel did not deliver."""
    config = _with_channels(args)
    names = [channel.name for channel in config.notifications.channels]
    unknown = [name for name in args.channel if name not in names]
    if unknown:
        raise ConfigError(f"Unknown channel {unknown[0]!r}.", f"Choose one of: {', '.join(names)}.")
    host, now = socket.gethostname(), clock.now()
    chosen = args.channel or names
    done = try_channels(config, {name: of_test(config.cluster, host, name, now) for name in chosen})
    return _answer(done, 1 if done.failed else 0)


def run_send(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if no channel delivered the notice."""
    config = _with_channels(args)
    state = RESOLVED if args.resolved else ACKNOWLEDGED if args.acknowledged else OPEN
    key = one_line(args.key)
    if state != OPEN and not key:
        raise ConfigError(
            "--acknowledged and --resolved need the name of a problem.", "Add the --key with which it was reported."
        )
    notice = of_person(
        config.cluster, socket.gethostname(), args.severity, args.subject, _text(args), clock.now(), key, state
    )
    return _answer(tell(config, notice).require_known(notice), 0)


def run_job(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if a notice was due, but no channel delivered it."""
    if not re.fullmatch(r"[A-Z0-9+-]{1,20}", args.status):
        raise ConfigError(f"--status is {args.status!r}.", "Use a number or the name of a signal, such as 1 or KILL.")
    config = load(args.config, args.as_of)
    if not config.notifications.channels:
        return Answer(Outcome().as_dict(), "the configuration has no channels")
    text, host = _text(args), socket.gethostname()
    notice = of_job(config.cluster, host, args.job, args.status, text, clock.now())
    done = Outcome()
    if not notice.resolved or is_told(config, notice.key):
        done = tell(config, notice)
    if notice.resolved and args.job in config.notifications.on_success:
        success = of_success(config.cluster, host, args.job, text, notice.at)
        # Whoever is told that it works again knows that it has succeeded.
        more = tell(config, success, done.delivered)
        done = Outcome((*done.sent, *more.sent), done.quiet, done.unnoted or more.unnoted)
    if done.failed:
        done.require_known(notice)
    return _answer(done, 0)


def _with_channels(args: argparse.Namespace) -> Config:
    config = load(args.config, args.as_of)
    if not config.notifications.channels:
        raise ConfigError(
            f"{args.config} has no channels.", "Add one to notifications.channels: docs/notifications.md."
        )
    return config


def _text(args: argparse.Namespace) -> str:
    """The end of the text, with undecodable bytes replaced."""
    if args.text:
        try:
            with open_to_read(args.text) as stream:
                raw = stream.read()
        except OSError as exc:
            raise ConfigError(f"Cannot read {args.text}: {exc.strerror}.", "Check the path and its owner.") from exc
    else:
        raw = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    return raw[-_MOST:].decode("utf-8", "replace")


def _answer(done: Outcome, status: int) -> Answer:
    lines = [_line(one) for one in done.sent]
    lines += [f"{name}: already notified" for name in done.quiet]
    if done.unnoted:
        lines.append(f"cannot save the state, so this may be sent again: {done.unnoted}")
    return Answer(done.as_dict(), "\n".join(lines) or "nothing to send", status)


def _line(one: Sent) -> str:
    attempts = f" at attempt {one.attempts}" if one.attempts > 1 else ""
    if one.error is None:
        return f"{one.channel}: delivered{attempts}" + (f"; {one.remark}" if one.remark else "")
    hint: List[str] = [f"  -> {one.error.hint}"] if one.error.hint else []
    return "\n".join([f"{one.channel}: NOT DELIVERED{attempts}: {one.error.message} [{one.error.error_code}]", *hint])
