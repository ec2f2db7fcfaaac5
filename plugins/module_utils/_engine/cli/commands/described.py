# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands share: their help, and the options that may come before or after the command's name."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict

from ..verbs import VERBS

DEFAULT_CONFIG = "/etc/lifeboat/main.yml"


class Command(argparse.ArgumentParser):
    """A parser of a command, or of all of them; those of its actions are of this class too."""

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # An abbreviated option would hide the command after its value from verb_in.
        more.setdefault("allow_abbrev", False)
        super().__init__(*args, **more)
        common = self.add_argument_group("options of every command")
        # No default: an option that is absent after the command's name keeps what was given before it.
        none: Dict[str, Any] = {"default": argparse.SUPPRESS}
        common.add_argument(
            "--config", metavar="FILE", help=f"the cluster's configuration (default: {DEFAULT_CONFIG})", **none
        )
        common.add_argument(
            "--as-of", metavar="TIME", help="read versioned repositories as of then: 2026-11-22T14:01:59Z", **none
        )
        common.add_argument("--json", action="store_true", help="print JSON, for programs", **none)
        common.add_argument("--quiet", action="store_true", help="show no progress", **none)


def add_command(subparsers: Any, name: str, *examples: str) -> argparse.ArgumentParser:
    """The parser of one of the :data:`..verbs.VERBS`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, **described(VERBS[name][1], *examples))
    return parser


class Actions:
    """The actions of a command, such as ``dump create``."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(self, name: str, handler: Callable[..., Any], words: str, *examples: str) -> argparse.ArgumentParser:
        """The parser of one of them, which calls ``handler``; ``words`` and ``examples`` are its help."""
        parser: argparse.ArgumentParser = self._actions.add_parser(name, **described(words, *examples))
        parser.set_defaults(handler=handler)
        return parser


def described(words: str, *examples: str) -> Dict[str, Any]:
    """The help of a command: a line for the list of commands, the same as its first sentence, and how it is called."""
    sentence = words[:1].upper() + words[1:] + "."
    lines = "".join(f"\n  lifeboat {example}" for example in examples)
    return {"help": words, "description": sentence, "epilog": f"examples:{lines}" if examples else ""}


def add_plan(parser: argparse.ArgumentParser, words: str) -> None:
    """The option ``--plan``, and ``--dry-run``, as other tools call it."""
    parser.add_argument("--plan", "--dry-run", dest="plan", action="store_true", help=words)


def add_owners(parser: argparse.ArgumentParser, what: str) -> None:
    """The options that leave out to whom ``what`` belongs, and who may use it."""
    parser.add_argument(
        "--no-owner", action="store_true", help=f"do not restore owners: {what} belong to the connection's user"
    )
    parser.add_argument("--no-privileges", action="store_true", help="do not restore privileges")
