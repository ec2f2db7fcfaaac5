# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: decide without I/O what is removed and what is kept, then remove it."""

from .copies import copy_record_fault
from .facts import copy_record
from .prune import Pruned
from .prune import plan as plan_prune

__all__ = ["Pruned", "copy_record", "copy_record_fault", "plan_prune"]
