# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification: read back what is stored in every repository, and repair damage from another one."""

from .copies import promised
from .survey import SET_APART, look_for_foreign, words_of

__all__ = ["SET_APART", "look_for_foreign", "promised", "words_of"]
