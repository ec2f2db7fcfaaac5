# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch clusters: restored beside the live ones, queried, and dropped."""

from .cluster import scratch_config, scratch_plan, scratch_server
from .place import clear_dead, scratch_place

__all__ = ["clear_dead", "scratch_config", "scratch_place", "scratch_plan", "scratch_server"]
