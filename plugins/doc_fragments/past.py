# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the option that reads a repository as it was in the past."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``lifeboat.postgres.past``."""

    DOCUMENTATION = r"""
options:
  as_of:
    description:
      - A time with its zone, such as V(2026-11-22T14:01:59Z). Read the repositories as they were then, whatever has
        been hidden or overwritten since, and write nothing to them.
      - Only versioned S3 buckets keep their past.
    type: str
"""
