# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the contents of a repository are locked, as ``lifeboat check`` reports it."""

from __future__ import annotations

from datetime import datetime
from typing import Optional, Tuple

from ..base import clock
from ..config.load import RepositoryConfig
from ..records.model import BackupManifest, format_time
from ..repository.layout import Layout
from ..repository.locks import is_locking, locked_until


def read_lock(entry: RepositoryConfig, cluster: str, newest: Optional[BackupManifest]) -> Tuple[str, str]:
    """Whether the newest backup is locked, as text, and a hint ("" if it is as configured)."""
    if not is_locking(entry.store):
        return "no lock: the credentials of retention can delete backups early", ""
    until = locked_until(entry.store, Layout(cluster).manifest(newest.label)) if newest else None
    return describe(entry.store.lock_mode, newest.label if newest else None, until, clock.now())


def describe(mode: str, label: Optional[str], until: Optional[datetime], now: datetime) -> Tuple[str, str]:
    """The result of :func:`read_lock` for a lock of this ``mode`` until ``until``. Pure."""
    if label is None:
        return f"{mode}; there is no backup yet", ""
    if until is None:
        return f"{label} is not locked, but object_lock is {mode}", (
            "It was made before, or these credentials cannot see locks (s3:GetObjectRetention)."
            " Run lifeboat prune, which locks all objects that it keeps."
        )
    if until <= now:
        return (
            f"the lock of {label} ended at {format_time(until)}",
            "Run lifeboat prune to renew locks; check its schedule.",
        )
    return f"{label} is locked ({mode}) until {format_time(until)}", ""
