# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End an operation on a signal: drop unfinished work, stop the programs that it started, and exit."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Optional

# A dropped session, Ctrl-C, a service manager.
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Let the first of these signals raise KeyboardInterrupt, unless it is ignored (``nohup``)."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    # A second signal would interrupt the cleanup. Programs started by the cleanup inherit this.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
