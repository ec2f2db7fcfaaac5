# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One result of ``lifeboat check``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Dict, Iterable, Optional

from ..base.units import about

OK, WARNING, CRITICAL = SEVERITIES = ("ok", "warning", "critical")


#: The checks: stable names, used by metrics and alerts, and the text for people.
CHECKS = {
    "server": "server",
    "collations": "collations",
    "archiving": "archiving",
    "wal_backlog": "WAL backlog",
    "wal_agent": "WAL agent",
    "wal_stream": "WAL stream",
    "file_sets": "file sets",
    "notices": "notices",
    "seal": "seal",
    "leadership": "leadership",
    "incidents": "incidents",
    "standby": "standby",
    "repository": "",
    "in_transit": "in transit",
    "at_rest": "at rest",
    "lock": "lock",
    "lifecycle": "lifecycle",
    "backups": "backups",
    "backup": "backup",
    "clock": "clock",
    "latest": "latest",
    "gap": "gap",
    "lost_wal": "lost WAL",
    "window": "window",
    "restore": "restore",
    "wal": "WAL",
    "verification": "verification",
    "restore_test": "restore test",
    "drill": "drill",
    "signatures": "signatures",
    "foreign_record": "foreign record",
    "foreign_objects": "foreign objects",
    "set_apart": "set apart",
    "quota": "quota",
}


@dataclass(frozen=True)
class Check:
    """One check and its result. ``status``: ``ok``, ``warning`` or ``critical``.

    ``check`` is a key of :data:`CHECKS`, ``repository`` the name of the checked repository, ``about`` a label.
    ``value`` is the measurement, in ``unit`` (``s``, ``B`` or none), ``limit`` the maximum.
    """

    check: str
    status: str
    message: str
    hint: str = ""
    repository: str = ""
    about: str = ""
    value: Optional[float] = None
    unit: str = ""
    limit: Optional[float] = None

    @property
    def name(self) -> str:
        """The title for people: ``repository near: WAL``."""
        words = f"{CHECKS[self.check]} {self.about}".strip()
        where = f"repository {self.repository}" if self.repository else ""
        return ": ".join(filter(None, (where, words)))

    def as_dict(self) -> Dict[str, Any]:
        """The fields and the name."""
        return {"name": self.name, **asdict(self)}


def worst(statuses: Iterable[str]) -> str:
    """The worst status; ok if there is none. Pure."""
    return max(statuses, key=SEVERITIES.index, default=OK)


def span(delta: timedelta) -> str:
    """A duration as text, in the largest unit of which it has at least two."""
    return about(delta.total_seconds())
