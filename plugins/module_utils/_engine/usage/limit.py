# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a repository can hold: its quota, or the file system of a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ..config.load import RepositoryConfig
from ..store import room_of
from .measure import Usage

#: Where a limit comes from.
QUOTA, FILE_SYSTEM = "quota", "file system"


@dataclass(frozen=True)
class Limit:
    """``bytes`` in all, ``free`` of them. ``source`` is ``quota`` (``quota_bytes``, which counts the repository
    alone) or ``file system`` (where all that lies there counts).
    """

    bytes: int
    free: int
    source: str = QUOTA

    @property
    def used(self) -> float:
        """The per cent that are taken, from 0 on; of a quota that was exceeded 100."""
        return 100.0 if self.bytes <= 0 else 100.0 * (1 - max(0, self.free) / self.bytes)

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {"bytes": self.bytes, "free": self.free, "used": round(self.used, 1), "source": self.source}


def limit_of(entry: RepositoryConfig, usage: Usage) -> Optional[Limit]:
    """The quota of this entry, or what the file system of its directory has; of both the one that is full first.

    None where neither is known. Errors of the store.
    """
    room = room_of(entry.store)
    quota, disk = quota_limit(entry.quota_bytes, usage), Limit(room.size, room.free, FILE_SYSTEM) if room else None
    return min((found for found in (quota, disk) if found), key=lambda found: found.free, default=None)


def has_limit(entry: RepositoryConfig) -> bool:
    """Whether there is one, without measuring. Errors of the store."""
    return entry.quota_bytes is not None or room_of(entry.store) is not None


def quota_limit(quota: Optional[int], usage: Usage) -> Optional[Limit]:
    """What the quota leaves. Pure."""
    return None if quota is None else Limit(quota, max(0, quota - usage.bytes), QUOTA)
