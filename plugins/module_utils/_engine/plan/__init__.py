# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disaster recovery plan of a company, written from its inventory and its repositories.

``gather`` reads what the repositories of a cluster have. ``content``, ``disasters`` and ``lacking`` make of it, and of
the hosts of the inventory, a document of ``blocks``, and ``runbook`` a text for a recovery without Lifeboat, all
without I/O. ``write`` compares them with the stored plan and stores them.
"""

from .gather import gather
from .write import Change, compare, store

__all__ = ["Change", "compare", "gather", "store"]
