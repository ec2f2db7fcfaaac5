# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Human-readable numbers."""

from __future__ import annotations

from typing import List

#: Seconds, and from how many of a unit on it is used: 36 h reads better than 1 day 12 h.
_UNITS = ((86400, 2, "days"), (3600, 1, "h"), (60, 1, "min"), (1, 0, "s"))


def size(count: float) -> str:
    """Human-readable bytes: ``1.5 GB`` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        text = f"{count:.0f}" if unit == "B" or count >= 99.95 else f"{count:.1f}"
        if float(text) < 1000 or unit == "TB":
            return f"{text} {unit}"
        count /= 1000
    return ""


def duration(seconds: float) -> str:
    """Human-readable seconds, in the two largest units: ``0.42 s``, ``3 min 20 s``, ``15 min``, ``2 days 4 h``."""
    if seconds <= 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    rest = round(seconds)
    parts: List[str] = []
    for unit, least, name in _UNITS:
        count = rest // unit
        if parts or count >= least:
            rest -= count * unit
            parts.append(f"{count} {name}" if count else "")
    return " ".join(filter(None, parts[:2]))


def about(seconds: float) -> str:
    """Human-readable seconds, roughly: in the largest unit of which there are at least two, ``3 h``, ``5 days``."""
    for unit, _least, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0) // 1:.0f} s"
