# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a repository holds is locked, as ``lifeboat check`` tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Optional, Tuple

from . import clock
from .config import RepositoryConfig
from .model import BackupManifest, format_time
from .repository.layout import Layout
from .repository.locks import open_locks


def read_lock(entry: RepositoryConfig, cluster: str, newest: Optional[BackupManifest]) -> Tuple[str, str]:
    """In words whether the newest backup is locked, and a way out ("" where all is as configured)."""
    locks = open_locks(entry.store)
    if locks is None:
        return "no lock: the keys of retention can destroy backups before their time", ""
    try:
        until = locks.until(Layout(cluster).manifest(newest.label)) if newest else None
    finally:
        locks.close()
    return describe(getattr(entry.store, "object_lock", ""), newest.label if newest else None, until, clock.now())


def describe(mode: str, label: Optional[str], until: Optional[datetime], now: datetime) -> Tuple[str, str]:
    """The same, of what was found. Pure."""
    if label is None:
        return f"{mode}; there is no backup yet", ""
    if until is None:
        return f"{label} is not locked, although object_lock is {mode}", (
            "It was made before, or these credentials may not see locks (s3:GetObjectRetention)."
            " lifeboat prune locks what stays."
        )
    if until <= now:
        return f"the lock of {label} ended at {format_time(until)}", "lifeboat prune renews locks: does its job run?"
    return f"{label} is locked ({mode}) until {format_time(until)}", ""
