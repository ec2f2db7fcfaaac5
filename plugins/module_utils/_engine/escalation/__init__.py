# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escalation: who is told of an open incident, when, exactly once, and who is asked for an update."""

from .decide import taken_care_until
from .watch import Told, Watcher

__all__ = ["Told", "Watcher", "taken_care_until"]
