# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-prove``."""

from __future__ import annotations

import argparse
from typing import Any

from ..config import load
from ..terminal import Answer, Terminal
from ..wal import proof


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("wal-prove", help="end a WAL segment and find it in every required repository")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="how long to wait (default: %(default)g)"
    )
    parser.add_argument(
        "--plan", action="store_true", help="only see that each required repository is this cluster's, or new"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 when the segment does not arrive."""
    config = load(args.config, args.as_of)
    if args.plan:
        names = proof.plan(config)
        return Answer({"repositories": list(names)}, f"{', '.join(names)}: this cluster's, or new")
    proven = proof.prove(config, args.timeout, terminal)
    how = f"after {proven.seconds:g} s" if proven.switched else "already, since the server read its settings"
    return Answer(proven.as_dict(), f"{proven.segment} is archived in {', '.join(proven.repositories)}, {how}")
