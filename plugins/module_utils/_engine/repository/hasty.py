# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories with short time-outs: for work that must not delay an operation if one of them is unavailable."""

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
    """Every repository, with so many attempts at most and short time-outs; close each.

    As it is now; with ``past`` those that are to be seen as they were, as they were.
    """
    chosen = [r if past else replace(r, as_of=None) for r in config.repositories if r.as_of or not past]
    return tuple(_open(r, config, attempts) for r in chosen)


def require_begun(repository: Repository) -> None:
    """ForeignRepository where this cluster never was: the repository is new, or a mount point without its mount."""
    if repository.store.head(repository.layout.repository) is None:
        raise ForeignRepository(
            f"Repository {repository.location} holds no cluster of this name.",
            "Is it mounted? A repository begins with the first archived segment or backup.",
            repository=repository.name,
        )


def _open(entry: RepositoryConfig, config: Config, attempts: int) -> Repository:
    store = entry.store.hasty(attempts, _CONNECT, _READ)
    return Repository.open(replace(entry, store=store), config.cluster, term=term_of(config))
