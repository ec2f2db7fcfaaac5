# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby status``."""

from __future__ import annotations

import argparse
from typing import Any

from ...config.load import load
from ...restore import StandbyStatus, standby_status_of
from ..terminal import Answer, Terminal, duration, size
from .described import add_command


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "standby", "standby status", "--json standby status")
    parser.add_argument("what", choices=("status",), help="status: how far it is behind the repository")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Read-only."""
    status = standby_status_of(load(args.config, args.as_of))
    return Answer(status.as_dict(), describe(status))


def describe(status: StandbyStatus) -> str:
    """For people."""
    told = status.as_dict()
    commit = f"last commit at {told['replayed_commit_at']}" if told["replayed_commit_at"] else "no commit yet"
    more = f", pieces on to {told['pieces_end_lsn']}" if told["pieces_end_lsn"] else ""
    lag = f"{size(status.lag_bytes)} and {duration(status.lag_seconds)} behind it"
    behind = lag if status.lag_bytes else "all of it is replayed"
    lines = [
        f"replayed to {told['replayed_lsn']} on timeline {told['timeline']}, {commit}",
        f"repository {told['repository']}: complete segments to {told['archive_end_lsn']}{more}; {behind}",
    ]
    if status.obstacles:
        return "\n".join([*lines, "a promotion now would not be without a gap:", *(f"  {o}" for o in status.obstacles)])
    return "\n".join([*lines, "it could be promoted without a gap"])
