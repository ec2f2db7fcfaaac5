# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-agent``: the resident process beside ``archive_command`` (see :mod:`..wal.agent`)."""

from __future__ import annotations

import argparse
import os
import signal
import socket
from typing import Any, List

from ..config import load
from ..terminal import Answer, Terminal
from ..wal.agent import Agent


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("wal-agent", help="store WAL ahead of archive_command, until it is told to end")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Work until SIGTERM or SIGINT. A configuration that changed is read again."""
    told: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: told.append(caught))
    while not told:
        config = load(args.config)
        terminal.note(f"WAL agent of cluster {config.cluster}: {config.data_dir}, {config.wal.parallel} at once")
        Agent(config, terminal, lambda: bool(told)).run(_tell_service_manager)
    return Answer({"ended": True}, "")


def _tell_service_manager() -> None:
    """systemd's ``Type=notify`` (manual page sd_notify(3)): the agent has begun."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1))
