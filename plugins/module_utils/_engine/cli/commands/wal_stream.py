# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-stream``: the resident process that stores the unfinished segment (see :mod:`..wal.stream`)."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from ...base.errors import ConfigError
from ...config.load import Config, load
from ...postgres import receivewal
from ...postgres.connection import session
from ...wal.stream import Stream
from ..terminal import Answer, Terminal
from .described import add_command
from .resident import listen, load_again, tell_service_manager


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "wal-stream", "wal-stream", "wal-stream --drop-slot")
    parser.add_argument(
        "--drop-slot", action="store_true", help="only drop the replication slot, so that it keeps no WAL"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Stream until SIGTERM or SIGINT; an error if the server ends. A changed configuration is read again."""
    config = load(args.config, args.as_of)
    if args.drop_slot:
        name = receivewal.slot_name(config.cluster)
        with session(config.connection) as sql:
            dropped = receivewal.drop_slot(sql, name)
        return Answer({"slot": name, "dropped": dropped}, f"{name}: {'dropped' if dropped else 'there is none'}")
    told = listen()
    wanted: Optional[Config] = config
    while wanted and not told:
        if not wanted.wal.stream:
            raise ConfigError(
                f"{args.config}: wal.stream is off.", "Set wal.stream to true; restores use the pieces automatically."
            )
        terminal.note(f"WAL stream of cluster {wanted.cluster}: every {wanted.wal.stream_interval:g} s")
        Stream(wanted, terminal, lambda: bool(told)).run(tell_service_manager)
        wanted = load_again(args.config, terminal, told)
    return Answer({"ended": True}, "")
