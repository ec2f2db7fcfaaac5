# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of a repository: its quota, or the file system of a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ..config.load import RepositoryConfig
from ..store import room_of
from .measure import Usage

#: The sources of limits.
QUOTA, FILE_SYSTEM = "quota", "file system"


@dataclass(frozen=True)
class Limit:
    """``bytes`` in all, of which ``free`` are left. ``source``: ``quota`` (``quota_bytes``, which counts only the
    repository) or ``file system`` (which counts everything on it).
    """

    bytes: int
    free: int
    source: str = QUOTA

    @property
    def used(self) -> float:
        """The used percentage, from 0 to 100; 100 also if a quota is exceeded."""
        return 100.0 if self.bytes <= 0 else 100.0 * (1 - max(0, self.free) / self.bytes)

    def as_dict(self) -> Dict[str, Any]:
        """The limit and the used percentage as JSON-serializable data."""
        return {"bytes": self.bytes, "free": self.free, "used": round(self.used, 1), "source": self.source}


def limit_of(entry: RepositoryConfig, usage: Usage) -> Optional[Limit]:
    """The quota of this entry, or the file system of its directory; of both, the one that is full first.

    None if neither is known. Raises the errors of the store.
    """
    room = room_of(entry.store)
    quota, disk = quota_limit(entry.quota_bytes, usage), Limit(room.size, room.free, FILE_SYSTEM) if room else None
    return min((found for found in (quota, disk) if found), key=lambda found: found.free, default=None)


def has_limit(entry: RepositoryConfig) -> bool:
    """Whether there is a limit, without measuring. Raises the errors of the store."""
    return entry.quota_bytes is not None or room_of(entry.store) is not None


def quota_limit(quota: Optional[int], usage: Usage) -> Optional[Limit]:
    """The limit by this quota; None without one. Pure."""
    return None if quota is None else Limit(quota, max(0, quota - usage.bytes), QUOTA)
