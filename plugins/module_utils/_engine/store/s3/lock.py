# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3's Object Lock ("Locking objects with Object Lock"): read when a lock ends, and extend it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

from ...config.store_options import S3Options
from .client import connect


class S3Locks:
    """The locks of the objects below the options' prefix; methods may be called from several threads."""

    def __init__(self, options: S3Options) -> None:
        self._connection = connect(options)
        self._prefix = self._connection.prefix
        self.mode = (options.object_lock or "").upper()

    def until(self, key: str) -> Optional[datetime]:
        """When the lock of the newest version ends (``HeadObject``); None without a lock, or if it is not reported."""
        found = self._connection.call("head_object", self._prefix + key).get("ObjectLockRetainUntilDate")
        return found.astimezone(timezone.utc) if found else None

    def extend(self, key: str, until: datetime) -> None:
        """``PutObjectRetention``, never with bypass: the store refuses an earlier end."""
        retention = {"Mode": self.mode, "RetainUntilDate": until}
        self._connection.call("put_object_retention", self._prefix + key, Retention=retention)

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()
