# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices: who is told of what happened, by mail, webhook, pager or any program, and what was delivered."""

from .state import Delivery, known_deliveries, read_deliveries

__all__ = ["Delivery", "known_deliveries", "read_deliveries"]
