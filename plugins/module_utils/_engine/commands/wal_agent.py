# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-agent``: the resident process beside ``archive_command`` (see :mod:`..wal.agent`)."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
from typing import Any, List, Optional, Sequence

from .. import clock
from ..config import Config, load
from ..errors import ConfigError
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
    config: Optional[Config] = load(args.config)
    while config and not told:
        terminal.note(f"WAL agent of cluster {config.cluster}: {config.data_dir}, {config.wal.parallel} at once")
        Agent(config, terminal, lambda: bool(told)).run(_tell_service_manager)
        config = _load_again(args.config, terminal, told)
    return Answer({"ended": True}, "")


def _load_again(path: str, terminal: Terminal, told: Sequence[int]) -> Optional[Config]:
    """The configuration, once it can be read: until then no agent lives. None when the agent is told to end."""
    words = ""
    while not told:
        try:
            return load(path)
        except ConfigError as exc:
            if exc.message != words:
                words = exc.message
                terminal.note(f"waits for a configuration: {words}")
            clock.sleep(0.5)
    return None


def _tell_service_manager() -> None:
    """systemd's ``Type=notify`` (manual page sd_notify(3)): the agent has begun. That nobody listens stops nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1))
