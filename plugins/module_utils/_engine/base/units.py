# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Human-readable numbers."""

from __future__ import annotations


def size(count: float) -> str:
    """Human-readable bytes: ``1.5 GB`` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        text = f"{count:.0f}" if unit == "B" or count >= 99.95 else f"{count:.1f}"
        if float(text) < 1000 or unit == "TB":
            return f"{text} {unit}"
        count /= 1000
    return ""
