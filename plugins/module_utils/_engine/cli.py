# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host command ``lifeboat``: parse, call one command, show its answer.

Exit status: 0 done; 1 an error, or a check that is critical; 2 wrong usage, or a check that warns. ``wal-fetch`` has
PostgreSQL's contract instead (see :mod:`.commands.wal`).
"""

# pylint: disable=ansible-bad-function  # a command prints, a module would not

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from typing import List, Optional, Sequence

from .audit.scope import called_by, take_warnings
from .commands import (
    audit,
    backup,
    check,
    configuration,
    dump,
    erasure,
    files,
    listing,
    logs,
    prove,
    prune,
    restore,
    sync,
    table,
    verify,
    wal,
    wal_agent,
    wal_stream,
)
from .drill import commands as drill
from .errors import LifeboatError
from .terminal import Terminal
from .version import VERSION

_COMMANDS = (
    backup,
    listing,
    check,
    configuration,
    files,
    dump,
    wal,
    wal_agent,
    wal_stream,
    prove,
    restore,
    verify,
    sync,
    table,
    prune,
    audit,
    erasure,
    logs,
    drill,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command's own arguments."""
    parser = argparse.ArgumentParser(
        prog="lifeboat", description="Back up, archive and restore a PostgreSQL cluster on object storage."
    )
    parser.add_argument(
        "--config",
        default="/etc/lifeboat/main.yml",
        metavar="FILE",
        help="the cluster's configuration (default: %(default)s)",
    )
    parser.add_argument(
        "--as-of", metavar="TIME", help="read the repositories as they were (versioned buckets): 2026-11-22T14:01:59Z"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--version", action="version", version=f"lifeboat {VERSION}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_arguments(subparsers)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; the only place where an error becomes an exit status."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as exc:
        # argparse's 2 would tell a recovery that the WAL has ended.
        return (
            wal.ABORT_RECOVERY
            if exc.code and "wal-fetch" in (sys.argv if argv is None else argv)
            else int(exc.code or 0)
        )
    if not args.command.startswith("wal-"):
        # Ended by the service manager, an operation still drops what it began. PostgreSQL's commands just end.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = Terminal(show_progress=not args.quiet and not args.json)
    called_by(f"lifeboat {args.command}")
    try:
        try:
            answer = args.handler(args, terminal)
        finally:
            terminal.finish()
            for words in take_warnings():
                print(f"lifeboat: {words}", file=sys.stderr)
    except LifeboatError as exc:
        terminal.finish()
        print(json.dumps({"error": exc.as_dict()}, default=str) if args.json else _words(exc), file=sys.stderr)
        return int(getattr(args, "error_status", lambda _: 1)(exc))
    except KeyboardInterrupt:
        terminal.finish()
        print("lifeboat: interrupted", file=sys.stderr)
        return int(getattr(args, "error_status", lambda _: 125)(None))
    except Exception as exc:
        # A traceback for whoever mends it; restore_command still needs its own status, or recovery would end early.
        terminal.finish()
        traceback.print_exc()
        return int(getattr(args, "error_status", lambda _: 1)(exc))
    terminal.finish()
    text = json.dumps(answer.data, indent=2, default=str) if args.json else answer.text
    try:
        if text:
            print(text, flush=True)
    except BrokenPipeError:
        # The reader had enough (| head); Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(answer.status)


def _words(exc: LifeboatError) -> str:
    lines: List[str] = [f"lifeboat: {exc.message}"]
    if exc.hint:
        lines.append(f"  -> {exc.hint}")
    return "\n".join(lines) + f" [{exc.error_code}]"
