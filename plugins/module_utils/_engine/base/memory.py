# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the C library keeps memory."""

from __future__ import annotations

import contextlib
import ctypes

# malloc.h of glibc.
_M_ARENA_MAX = -8


def few_arenas() -> None:
    """Let threads share two arenas: with one for each thread, every one keeps the largest that it ever had.

    A restore's downloads take 25 MB less by it, in the same time. Does nothing where the C library is another one.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
