# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the attributes that all modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``lifeboat.postgres.attributes``."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change, without changing anything.
    support: full
  platform:
    description: The platforms that the module runs on.
    platforms: posix
    support: full
"""

    DIFF = r"""
options: {}
attributes:
  diff_mode:
    description: Shows in C(diff) mode what was or would be changed.
    support: full
"""

    INFO = r"""
options: {}
attributes:
  diff_mode:
    description: Shows in C(diff) mode what was or would be changed.
    support: N/A
    details: The module never changes anything.
"""
