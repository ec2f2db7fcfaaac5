# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that all restores share."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``lifeboat.postgres.restore``; ``restore.target`` and ``restore.owners`` are parts of their own."""

    DOCUMENTATION = r"""
options:
  confirm_erasures:
    description:
      - Registered erasures that are applied only if confirmed - those with a custom statement, and with O(as_of) also
        those that the repository did not have at that time. Each consists of its ID, a colon and a digest.
      - Without confirmation the restore is refused before anything is touched, and the error shows each of them with
        its statement (C(erasures_unconfirmed)).
    type: list
    elements: str
    default: []
"""

    TARGET = r"""
options:
  target_value:
    description:
      - The time, LSN, transaction ID or name. Required for the targets that need one.
      - A time without a zone is interpreted in the server's C(TimeZone), as PostgreSQL does. If clocks changed at just
        that time, or the zone is unknown here, the configured server interprets it; if it does not respond, the time is
        refused.
    type: str
  target_inclusive:
    description: Whether the target itself is replayed too. V(false) is only for V(time), V(lsn) and V(xid).
    type: bool
    default: true
  target_timeline:
    description: V(latest), V(current) (the backup's own) or the number of a timeline.
    type: str
    default: latest
"""

    OWNERS = r"""
options:
  owner:
    description: Whether to restore the owners of objects.
    type: bool
    default: true
  privileges:
    description: Whether to restore the privileges on objects.
    type: bool
    default: true
"""
