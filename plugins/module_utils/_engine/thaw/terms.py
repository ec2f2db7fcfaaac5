# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a thaw takes, and about what it costs. Pure.

The hours are those of AWS' user guide ("Archive retrieval options"). The prices are the list prices of us-east-1 in
2026, in US dollars, without what leaves the region: other regions and providers have others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Tuple

TIERS = ("bulk", "standard", "expedited")
#: Hours until everything is readable, by storage class and tier.
_HOURS: Mapping[Tuple[str, str], float] = {
    ("GLACIER", "expedited"): 5 / 60,
    ("GLACIER", "standard"): 5,
    ("GLACIER", "bulk"): 12,
    ("DEEP_ARCHIVE", "standard"): 12,
    ("DEEP_ARCHIVE", "bulk"): 48,
}
#: Dollars for each GB, and for each thousand requests.
_PRICES: Mapping[Tuple[str, str], Tuple[float, float]] = {
    ("GLACIER", "expedited"): (0.03, 10.0),
    ("GLACIER", "standard"): (0.01, 0.05),
    ("GLACIER", "bulk"): (0.0, 0.0),
    ("DEEP_ARCHIVE", "standard"): (0.02, 0.10),
    ("DEEP_ARCHIVE", "bulk"): (0.0025, 0.025),
}
_GB = 1_000_000_000


@dataclass(frozen=True)
class Terms:
    """Hours at most, as AWS states them, and dollars."""

    hours: float
    dollars: float


def impossible(classes: Iterable[str], tier: str) -> Optional[str]:
    """The first storage class that cannot be thawed with this tier; None if all can."""
    return next((name for name in sorted(set(classes)) if (name, tier) not in _HOURS), None)


def terms(sizes: Iterable[Tuple[str, int]], tier: str) -> Terms:
    """For objects of these storage classes and sizes in bytes."""
    hours = dollars = 0.0
    for name, size in sizes:
        per_gb, per_thousand = _PRICES[name, tier]
        hours = max(hours, _HOURS[name, tier])
        dollars += per_gb * size / _GB + per_thousand / 1000
    return Terms(hours, dollars)
