# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extend the hints of a refused restore: another timeline, another repository."""

from __future__ import annotations

import contextlib
from typing import Collection, Iterator, Optional

from ..base.errors import BackupMissing, ChainBroken, LifeboatError, WalGap
from ..base.wal_names import history_name
from ..config.load import Config
from ..postgres.timeline import TimelinePath
from ..records.model import Target
from ..repository.repository import Repository


@contextlib.contextmanager
def fork_named(
    repository: Repository, system: str, target: Target, path: Optional[TimelinePath], own: Collection[int]
) -> Iterator[None]:
    """Name the history of the latest timeline in errors if no backup is on it: a single object may claim it."""
    try:
        yield
    except LifeboatError as exc:
        if target.timeline == "latest" and path is not None and path.timeline not in own:
            key = repository.layout.wal(system, history_name(path.timeline))
            exc.message += f" The latest timeline is {path.timeline}, by {key}; no backup is on it."
            exc.hint = f"If this cluster never had it, restore along another: --timeline {max(own)}. {exc.hint}"
            exc.details["history"] = key
        raise


@contextlib.contextmanager
def mended_from(config: Config, repository: Repository) -> Iterator[None]:
    """Point to the other repositories in errors about missing objects."""
    try:
        yield
    except (BackupMissing, ChainBroken, WalGap) as exc:
        if len(config.repositories) > 1:
            exc.hint += (
                f" Or copy missing objects from another repository (lifeboat sync --to {repository.name}), or heal"
                " damaged ones (lifeboat verify --repair), and restore again."
            )
        raise
