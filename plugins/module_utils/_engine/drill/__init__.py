# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill: a ledger outside the database, a disaster, a verdict on the restored database, and a report.

``ledger`` writes and reads the ledger, ``judge`` and ``checks`` decide without I/O, ``survey`` inspects a server,
``strike`` destroys the drill's own cluster, ``prove`` examines a restored one, ``report`` and its renderers report.
``evidence`` names the files that these steps write for each other, ``keep`` stores report and evidence in the
repositories of a cluster with a ``checklist``, ``trend`` plots the stored drills, and
``calendar`` proposes the next one.
"""

from .calendar import DISASTERS, propose

__all__ = ["DISASTERS", "propose"]
