# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices to people by mail, webhook, pager or any program, and the state of their delivery."""

from .deliver import Outcome, tell
from .notice import ACKNOWLEDGED, CRITICAL, OPEN, RESOLVED, Notice, one_line, readable
from .state import Delivery, known_deliveries, read_deliveries

__all__ = [
    "ACKNOWLEDGED",
    "CRITICAL",
    "OPEN",
    "RESOLVED",
    "Delivery",
    "Notice",
    "Outcome",
    "known_deliveries",
    "one_line",
    "read_deliveries",
    "readable",
    "tell",
]
