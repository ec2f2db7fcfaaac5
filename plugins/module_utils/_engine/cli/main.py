# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host command ``lifeboat``: parse the arguments, run one command, show its result.

Exit status: 0 done; 1 an error; 2 wrong usage; 130 interrupted. ``check`` has the convention of monitoring plugins (see
:mod:`.commands.check`), ``wal-push`` and ``wal-fetch`` have PostgreSQL's contract (see :mod:`.commands.wal`). The table
is in docs/commands.md.
"""

# pylint: disable=ansible-bad-function  # a command prints, a module would not

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from typing import Collection, List, Optional, Sequence

from ..base.ending import end_in_order
from ..base.errors import LifeboatError
from ..base.version import VERSION
from .commands.described import DEFAULT_CONFIG, Command
from .terminal import Terminal
from .verbs import MISUSED, VERBS, verb_in


def build_parser(only: Optional[Collection[str]] = None) -> argparse.ArgumentParser:
    """The parser with the arguments of these commands (by default of all), and only the names of the others."""
    parser = Command(
        prog="lifeboat", description="Back up, archive and restore a PostgreSQL cluster on object storage."
    )
    parser.set_defaults(config=DEFAULT_CONFIG, as_of=None, json=False, quiet=False)
    parser.add_argument("--version", action="version", version=f"lifeboat {VERSION}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = {VERBS[name][0] for name in (VERBS if only is None else only)}
    for name, (file, words) in VERBS.items():
        if file in wanted and name not in subparsers.choices:
            import_module(f".commands.{file}", __package__).add_arguments(subparsers)
        elif file not in wanted and words:
            subparsers.add_parser(name, help=words, add_help=False)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; only here errors become exit statuses."""
    words = sys.argv[1:] if argv is None else argv
    verb = verb_in(words)
    try:
        args = build_parser([verb] if verb else ()).parse_args(words)
        # Importing it takes longer than printing the help.
        from ..audit.scope import called_by, take_warnings
        from ..base.memory import few_arenas
    except SystemExit as exc:
        return 0 if exc.code in (0, None) else _misused(words, int(exc.code))
    except Exception:
        # This installation is broken.
        _print_traceback()
        return _misused(words, 1)
    few_arenas()
    if not args.command.startswith("wal-"):
        # Commands for PostgreSQL just exit.
        end_in_order()
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
        return int(getattr(args, "error_status", lambda _: 130)(None))
    except Exception as exc:
        # A traceback for developers; restore_command still needs its own status, or recovery would end early.
        terminal.finish()
        _print_traceback()
        return int(getattr(args, "error_status", lambda _: 1)(exc))
    terminal.finish()
    text = json.dumps(answer.data, indent=2, default=str) if args.json else answer.text
    try:
        if text:
            print(text, flush=True)
    except BrokenPipeError:
        # The reader has closed the pipe (| head); Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(answer.status)


def _print_traceback() -> None:
    # Importing it takes as long as everything else in --version.
    import traceback

    traceback.print_exc()


def _misused(words: Sequence[str], otherwise: int) -> int:
    """The exit status of a command that could not start: PostgreSQL and monitoring expect certain ones."""
    return next((status for name, status in MISUSED.items() if name in words), otherwise)


def _words(exc: LifeboatError) -> str:
    lines: List[str] = [f"lifeboat: {exc.message}"]
    if exc.hint:
        lines.append(f"  -> {exc.hint}")
    return "\n".join(lines) + f" [{exc.error_code}]"
