# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat log-ship`` and ``lifeboat logs``: store the logs of a host continuously, and read them back."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import Any, List, Mapping, Optional

from ...base import clock
from ...base.errors import ConfigError
from ...config.load import Config, load
from ...logs.line import Line
from ...logs.read import Query, read_logs
from ...logs.ship import Shipper
from ...records.model import Target
from ..terminal import Answer, Terminal
from .described import add_command
from .resident import listen, load_again, tell_service_manager

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    ship = add_command(subparsers, "log-ship", "log-ship", "log-ship --once")
    ship.add_argument("--once", action="store_true", help="store the new lines once, and exit")
    ship.set_defaults(handler=run_ship)
    logs = add_command(subparsers, "logs", "logs postgresql --since 15m", "logs --grep ERROR --since 2h --host db1")
    logs.add_argument("streams", nargs="*", metavar="STREAM", help="only these streams (default: all)")
    logs.add_argument(
        "--since",
        default="1h",
        metavar="TIME",
        help="a time ('2026-11-22 14:00:00+00') or an age (90s, 15m, 2h, 3d; default: 1h)",
    )
    logs.add_argument("--until", metavar="TIME", help="a time or an age (default: now)")
    logs.add_argument("--grep", metavar="REGEX", help="only lines that match")
    logs.add_argument("--host", metavar="NAME", help="only lines of this host")
    logs.set_defaults(handler=run_logs)


def run_ship(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Store logs until SIGTERM or SIGINT. A changed configuration is read again."""
    config: Optional[Config] = load(args.config, args.as_of)
    if args.once and config:
        done = Shipper(config, terminal).once()
        data = {"changed": bool(done.stored), "lines": done.lines, "chunks": done.stored, "lost_bytes": done.lost}
        return Answer(
            data, f"{done.lines} lines in {done.stored} chunks; {done.lost} bytes were lost since the first run"
        )
    told = listen()
    while config and not told:
        terminal.note(f"logs of cluster {config.cluster}: every {config.logs.interval:g} s")
        Shipper(config, terminal, lambda: bool(told)).run(tell_service_manager)
        config = load_again(args.config, terminal, told)
    return Answer({"ended": True}, "")


def run_logs(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print each line as soon as it is read; as JSON, all at once."""
    config = load(args.config, args.as_of)
    now = clock.now()
    query = Query(
        _moment(args.since, now), _moment(args.until, now) if args.until else None,
        tuple(args.streams), args.host, args.grep,
    )  # fmt: skip
    found: List[Line] = []

    def show(line: Line) -> bool:
        if args.json:
            found.append(line)
            return True
        return terminal.answer(_words(line))

    reading = read_logs(config, query, show)
    for key in reading.damaged:
        terminal.note(f"{key} is damaged in every repository; its lines are missing")
    # For people, the lines have been printed already.
    return Answer({"lines": found, "damaged": reading.damaged}, "", 1 if reading.damaged else 0)


def _moment(words: str, now: datetime) -> datetime:
    number, unit = words[:-1], words[-1:]
    if number.isdigit() and unit in _UNITS:
        return now - timedelta(**{_UNITS[unit]: int(number)})
    if words[:1].isdigit():
        return Target("time", words).moment()
    raise ConfigError(
        f"{words!r} is not a time.",
        "Use a time such as '2026-11-22 14:00:00+00', or an age such as 90s, 15m, 2h or 3d.",
    )


def _words(line: Mapping[str, Any]) -> str:
    who = line.get("identifier") or line.get("unit") or line["source"]
    return f"{line['time']} {line['host']} {line['stream']} {who}: {line['message']}"
