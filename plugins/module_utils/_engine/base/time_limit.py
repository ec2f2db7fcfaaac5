# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit for what may hang, in the main thread of a command."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional


class _Expired(BaseException):
    """Not an OSError, which a library would take for that of one connection, and try again."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """TimeoutError once ``seconds`` (at least 1) are over; by SIGALRM, so that a connection that hangs ends too."""

    def expire(number: int, frame: Optional[FrameType]) -> None:
        raise _Expired

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(max(1, seconds))
    try:
        yield
    except _Expired:
        raise TimeoutError(f"no answer within {seconds} s") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
