# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much space a repository uses, how much there is, and when it will be full."""

from .differences import Difference, differences
from .forecast import forecast, growth_per_day, judge, removed_per_day, stored_per_day
from .limit import Limit, has_limit, limit_of
from .measure import Amount, Usage, measure
from .report import RepositoryUsage, measured, report

__all__ = [
    "Amount",
    "Difference",
    "Limit",
    "RepositoryUsage",
    "Usage",
    "differences",
    "forecast",
    "growth_per_day",
    "has_limit",
    "judge",
    "limit_of",
    "measure",
    "measured",
    "removed_per_day",
    "report",
    "stored_per_day",
]
