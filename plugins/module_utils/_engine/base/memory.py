# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the C library's memory allocator."""

from __future__ import annotations

import contextlib
import ctypes

# malloc.h of glibc.
_M_ARENA_MAX = -8


def few_arenas() -> None:
    """Let threads share two arenas: with an arena for each thread, each one stays as large as it ever was.

    This saves 25 MB in a restore's downloads, which take no longer. Has no effect with other C libraries.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
