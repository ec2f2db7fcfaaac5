# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a second that no label has yet: labels contain the second in which a backup began."""

from __future__ import annotations

from datetime import datetime
from typing import Callable, Sequence

from ..base import clock
from .labels import stamp
from .layout import Layout
from .repository import Repository


def free_second(
    repositories: Sequence[Repository], now: Callable[[], datetime], prefix: Callable[[Layout], str]
) -> datetime:
    """``now()``, in a second that no label below ``prefix`` has; waits for the next one if need be."""
    while True:
        at = now()
        if not any(next(r.store.list(f"{prefix(r.layout)}{stamp(at)}-"), None) for r in repositories):
            return at
        clock.sleep(0.2)
