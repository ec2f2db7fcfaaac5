# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-prove``."""

from __future__ import annotations

import argparse
from typing import Any

from ...config.load import load
from ...wal import proof
from ..terminal import Answer, Terminal
from .described import add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "wal-prove", "wal-prove", "wal-prove --plan")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="how long to wait (default: %(default)g)"
    )
    parser.add_argument(
        "--accept-new-system",
        action="store_true",
        help="accept a newly created cluster (initdb, pg_upgrade) in the repositories",
    )
    add_plan(parser, "only check that each required repository belongs to this cluster or is new")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if the segment is not archived in time."""
    config = load(args.config, args.as_of)
    if args.plan:
        names = proof.plan(config, args.accept_new_system)
        return Answer({"repositories": list(names)}, f"{', '.join(names)}: of this cluster, or new")
    proven = proof.apply(config, args.timeout, terminal, args.accept_new_system)
    how = f"after {proven.seconds:g} s" if proven.switched else "already, since the server read its settings"
    return Answer(proven.as_dict(), f"{proven.segment} is archived in {', '.join(proven.repositories)}, {how}")
