# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by all commands: their help, and the options that may come before or after the command's name."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict

from ..verbs import VERBS

DEFAULT_CONFIG = "/etc/lifeboat/main.yml"


class Command(argparse.ArgumentParser):
    """The parser of one command, of one of its actions, or of all commands."""

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # No abbreviations: verb_in would take the value of an abbreviated option for the command.
        more.setdefault("allow_abbrev", False)
        super().__init__(*args, **more)
        common = self.add_argument_group("common options")
        # No default: it would override what was given before the command's name.
        none: Dict[str, Any] = {"default": argparse.SUPPRESS}
        common.add_argument(
            "--config", metavar="FILE", help=f"the cluster's configuration (default: {DEFAULT_CONFIG})", **none
        )
        common.add_argument(
            "--as-of", metavar="TIME", help="read versioned repositories as of this time: 2026-11-22T14:01:59Z", **none
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
        """The parser of one action, which calls ``handler``; ``words`` and ``examples`` are its help."""
        parser: argparse.ArgumentParser = self._actions.add_parser(name, **described(words, *examples))
        parser.set_defaults(handler=handler)
        return parser


def described(words: str, *examples: str) -> Dict[str, Any]:
    """The help of a command: ``words`` as the line in the list and as the first sentence, and the examples."""
    sentence = words[:1].upper() + words[1:] + "."
    lines = "".join(f"\n  lifeboat {example}" for example in examples)
    return {"help": words, "description": sentence, "epilog": f"examples:{lines}" if examples else ""}


def add_plan(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the option ``--plan``, with the common alias ``--dry-run``."""
    parser.add_argument("--plan", "--dry-run", dest="plan", action="store_true", help=words)


def add_owners(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options that ignore the owners and privileges of ``what``."""
    parser.add_argument(
        "--no-owner", action="store_true", help=f"do not restore owners: the connection's user will own {what}"
    )
    parser.add_argument("--no-privileges", action="store_true", help="do not restore privileges")
