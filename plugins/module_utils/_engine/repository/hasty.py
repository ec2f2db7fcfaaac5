# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open repositories with short timeouts, for work that must not delay an operation if one of them is unavailable."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from ..base.errors import ForeignRepository
from ..config.load import Config, RepositoryConfig
from .locks import term_of
from .repository import Repository

# Seconds.
_CONNECT, _READ = 3.0, 10.0


def open_hasty(config: Config, attempts: int, past: bool = False) -> Tuple[Repository, ...]:
    """Every repository, with at most so many attempts and short timeouts; close each.

    In their current state; with ``past``, as of the configured time.
    """
    chosen = [r if past else replace(r, as_of=None) for r in config.repositories if r.as_of or not past]
    return tuple(_open(r, config, attempts) for r in chosen)


def require_begun(repository: Repository) -> None:
    """ForeignRepository if it has nothing of this cluster: it is new, or a mount point that is not mounted."""
    if repository.store.head(repository.layout.repository) is None:
        raise ForeignRepository(
            f"Repository {repository.location} has no cluster of this name.",
            "Check that it is mounted. A new repository is set up by the first archived segment or backup.",
            repository=repository.name,
        )


def _open(entry: RepositoryConfig, config: Config, attempts: int) -> Repository:
    store = entry.store.hasty(attempts, _CONNECT, _READ)
    return Repository.open(replace(entry, store=store), config.cluster, term=term_of(config))
