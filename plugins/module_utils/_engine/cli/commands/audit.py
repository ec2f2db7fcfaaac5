# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat audit``: list recorded events, check that none is missing, and add one."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List

from ...audit.event import WHATS, Event
from ...audit.scope import Note, called_by, record
from ...audit.trail import read_trail, verify_trail
from ...base.errors import ConfigError
from ...config.load import load
from ...records.model import Target, format_time
from ..terminal import Answer, Terminal, table
from .described import Actions, add_command


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "audit", 'audit list --since "2026-11-22 14:00:00+00"', "audit verify")
    actions = Actions(parser)
    listing = actions.add(
        "list",
        run_list,
        "list the events of all repositories and of the local file",
        "audit list --what restore",
        'audit list --since "2026-11-22 14:00:00+00"',
    )
    listing.add_argument("--since", metavar="TIME", help="only events from then on")
    listing.add_argument(
        "--what", action="append", default=[], choices=WHATS, metavar="WHAT", help=f"{', '.join(WHATS)} (repeatable)"
    )
    actions.add(
        "verify", run_verify, "find missing, changed and reordered events", "audit verify", "audit verify --json"
    )
    note = actions.add(
        "note",
        run_note,
        "record an operation of another program",
        "audit note restore --object main --detail by=snapshot",
        "audit note backup --failed disk_full",
    )
    note.add_argument("what", choices=WHATS)
    note.add_argument(
        "--object", action="append", default=[], metavar="NAME", help="what the operation was about (repeatable)"
    )
    note.add_argument("--detail", action="append", default=[], metavar="NAME=VALUE", help="never a secret (repeatable)")
    note.add_argument("--failed", metavar="CODE", help="the operation failed with this error code")


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each event, oldest first."""
    since = Target("time", args.since).moment() if args.since else None
    trail = read_trail(load(args.config, args.as_of))
    events = trail.events(since, args.what)
    rows = [[*_row(event), ", ".join(event.objects)] for event in events]
    lines = [table(["when", "what", "result", "who", "object"], rows) if rows else "no events"]
    lines += [f"NOT READ {name}: {exc.message}" for name, exc in trail.unread.items()]
    data = {
        "events": [event.as_dict() for event in events],
        "unread": {name: exc.as_dict() for name, exc in trail.unread.items()},
    }
    return Answer(data, "\n".join(lines))


def _row(event: Event) -> List[str]:
    result = event.result if event.error_code is None else f"{event.result} ({event.error_code})"
    who = f"{event.who.get('user', '')}@{event.who.get('host', '')}"
    return [format_time(event.at)[:19] + "Z", event.what, result, who]


def run_verify(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if an event is missing, changed or reordered, or a source cannot be read."""
    done = verify_trail(load(args.config, args.as_of))
    lines = [f"{name}: {count} events" for name, count in done.events.items()]
    lines += [f"{fault.kind.upper()}  {fault.message}" for fault in done.faults]
    lines += [f"NOT READ {name}: {exc.message}" for name, exc in done.unread.items()]
    if not done.faults:
        lines.append("nothing is missing, changed or reordered")
    return Answer(done.as_dict(), "\n".join(lines), 1 if done.faults or done.unread else 0)


def run_note(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Record one event; exit status 1 if a required repository lacks it."""
    details: Dict[str, Any] = {}
    for word in args.detail:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise ConfigError(f"--detail {word!r} has no '='.", "Write --detail NAME=VALUE.")
        details[name] = value
    called_by(f"lifeboat audit note {args.what}")
    written = record(load(args.config, args.as_of), args.what, Note(args.object, details, failed=args.failed))
    stored = list(written.repositories) if written else []
    data = {"repositories": stored, "durable": bool(written and written.durable)}
    return Answer(data, f"recorded in {', '.join(stored) or 'no repository'}", 0 if data["durable"] else 1)
