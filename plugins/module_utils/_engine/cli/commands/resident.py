# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the resident commands, such as ``wal-agent`` and ``wal-stream``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import List, Optional, Sequence

from ...base import clock
from ...base.errors import ConfigError
from ...config.load import Config, load
from ..terminal import Terminal


def listen() -> List[int]:
    """A list that collects the signals SIGTERM and SIGINT from now on."""
    told: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: told.append(caught))
    return told


def load_again(path: str, terminal: Terminal, told: Sequence[int]) -> Optional[Config]:
    """The configuration, as soon as it can be read; None if stopped before that."""
    words = ""
    while not told:
        try:
            return load(path)
        except ConfigError as exc:
            if exc.message != words:
                words = exc.message
                terminal.note(f"waiting for a valid configuration: {words}")
            clock.sleep(0.5)
    return None


def tell_service_manager() -> None:
    """Report the start to systemd (``Type=notify``, sd_notify(3)); it is no error if nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1))
