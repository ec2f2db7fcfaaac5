# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-agent``: the resident process beside ``archive_command`` (see :mod:`..wal.agent`)."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from ...config.load import Config, load
from ...wal.agent import Agent
from ..terminal import Answer, Terminal
from .described import add_command
from .resident import listen, load_again, tell_service_manager


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "wal-agent", "wal-agent", "--config /etc/lifeboat/shop.yml wal-agent")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Archive WAL until SIGTERM or SIGINT. A changed configuration is read again."""
    told = listen()
    config: Optional[Config] = load(args.config, args.as_of)
    while config and not told:
        terminal.note(f"WAL agent of cluster {config.cluster}: {config.data_dir}, {config.wal.parallel} in parallel")
        Agent(config, terminal, lambda: bool(told)).run(tell_service_manager)
        config = load_again(args.config, terminal, told)
    return Answer({"ended": True}, "")
