# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that PostgreSQL still has to archive: ``.ready`` in ``pg_wal/archive_status``."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Optional, Tuple

from ..base.errors import DataDirectoryRefused
from .ahead import archive_order

_READY = ".ready"


@dataclass(frozen=True)
class Backlog:
    """How many files wait, their bytes, the first one and its modification time (seconds since the epoch)."""

    count: int
    size: int
    first: str = ""
    since: Optional[float] = None


def ready_files(data_dir: str) -> Tuple[str, ...]:
    """The names of the waiting files, in PostgreSQL's order; empty if the data directory does not exist."""
    status = os.path.join(data_dir, "pg_wal", "archive_status")
    try:
        with os.scandir(status) as entries:
            return archive_order(e.name[: -len(_READY)] for e in entries if e.name.endswith(_READY))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as exc:
        raise DataDirectoryRefused(
            f"{status} cannot be read: {exc.strerror}.", "Run this as the owner of the data directory.", path=status
        ) from exc


def wal_path(data_dir: str, name: str) -> str:
    """Where PostgreSQL keeps the file."""
    return os.path.join(data_dir, "pg_wal", name)


def read_backlog(data_dir: str) -> Backlog:
    """The files that wait now; those that disappear meanwhile count without their bytes."""
    names = ready_files(data_dir)
    size, since = 0, None
    for name in names:
        with contextlib.suppress(OSError):
            found = os.stat(wal_path(data_dir, name))
            size += found.st_size
            since = found.st_mtime if since is None else since
    return Backlog(len(names), size, names[0] if names else "", since)
