# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat incident-watch``: notify people of open incidents, until stopped."""

from __future__ import annotations

import argparse
from typing import Any, List, Sequence

from ...base import clock
from ...base.errors import ConfigError, LifeboatError
from ...config.load import load
from ...escalation import Told, Watcher
from ...incident.places import opened
from ..terminal import Answer, Terminal
from .described import add_command
from .resident import listen, tell_service_manager


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "incident-watch", "incident-watch", "incident-watch --once")
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=15.0, help="time between two rounds")
    parser.add_argument(
        "--once", action="store_true", help="do one round, and exit with 1 if somebody could not be notified"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Do a round every ``--interval`` seconds until stopped. Errors of a repository are retried in the next round."""
    told = [] if args.once else listen()
    config = load(args.config)
    if not config.incidents.escalate:
        raise ConfigError(
            "incidents.escalate is not set, so there is nobody to notify.",
            "Set it, and add contacts: docs/incident-team.md.",
        )
    if not 0.1 <= args.interval <= 300:
        raise ConfigError(f"--interval is {args.interval:g}.", "Use seconds, from 0.1 to 300.")
    with opened(config) as places:
        watcher = Watcher(config, places)
        if args.once:
            found = watcher.once()
            data = {"told": [one.as_dict() for one in found]}
            return Answer(data, "\n".join(map(_line, found)) or "nothing is due", int(any(o.error for o in found)))
        tell_service_manager()
        words = ""
        while not told:
            try:
                for one in watcher.once():
                    terminal.note(_line(one))
                words = ""
            except LifeboatError as exc:
                if exc.message != words:
                    words = exc.message
                    terminal.note(f"cannot read incidents: {words}")
            _wait(args.interval, told)
    return Answer({"signal": told[0]}, "")


def _wait(seconds: float, told: Sequence[int]) -> None:
    until = clock.monotonic() + seconds
    while not told and clock.monotonic() < until:
        clock.sleep(min(0.5, seconds))


def _line(one: Told) -> str:
    people: List[str] = list(one.people)
    words = f"{one.incident}: {one.key}: {', '.join(people) or 'the pager'}"
    return f"{words}: NOT NOTIFIED: {one.error.message}" if one.error else f"{words}: notified"
