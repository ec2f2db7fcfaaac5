# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thaw what a restore needs from the archive classes of a store."""

from .run import Thawing, ThawRequest, apply, complete, plan, plan_restore

__all__ = ["ThawRequest", "Thawing", "apply", "complete", "plan", "plan_restore"]
