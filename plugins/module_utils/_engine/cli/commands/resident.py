# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the resident commands (``wal-agent``, ``wal-stream``) share."""

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
    """The signals SIGTERM and SIGINT that come from now on."""
    told: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: told.append(caught))
    return told


def load_again(path: str, terminal: Terminal, told: Sequence[int]) -> Optional[Config]:
    """The configuration, as soon as it can be read; None if told to stop before that."""
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


def tell_service_manager() -> None:
    """systemd's ``Type=notify`` (manual page sd_notify(3)): it has started. No listener is not an error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1))
