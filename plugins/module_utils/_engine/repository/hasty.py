# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open repositories with short timeouts, for work that must not delay an operation if one of them is unavailable."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Container, FrozenSet, Optional, Tuple

from ..base.errors import BucketMissing, ForeignRepository, LifeboatError, StoreUnavailable
from ..config.load import Config, RepositoryConfig
from ..store.unopened import UnopenedStore
from .locks import term_of
from .repository import Repositories, Repository
from .silence import key_of, read_silent

# Seconds.
_CONNECT, _READ = 3.0, 10.0
# For the question whether a repository answers. Without a required one nothing goes on: it may miss one request.
_LOOKS, _SILENT = 2, 5.0


def open_hasty(
    config: Config, attempts: int, past: bool = False, all_of_them: bool = True
) -> Tuple[Repository, ...]:
    """Every repository, with at most so many attempts and short timeouts; close each.

    In their current state; with ``past``, as of the configured time. Without ``all_of_them``, those of
    :func:`silent_optional` are not asked.
    """
    chosen = [r if past else replace(r, as_of=None) for r in config.repositories if r.as_of or not past]
    opened = tuple(_open(r, config, attempts) for r in chosen)
    known: FrozenSet[str] = frozenset() if all_of_them else silent_optional(config)
    return tuple(_unasked(r) if r.name in known else r for r in opened)


def silent_optional(config: Config) -> FrozenSet[str]:
    """The optional repositories that did not answer this standby's ``restore_command`` at most half a minute ago.

    By name. Required ones are always asked: nothing goes on without them.
    """
    if not config.data_dir:
        return frozenset()
    marks = read_silent(os.path.join(config.data_dir, "pg_wal"))
    optional = (r for r in config.repositories if not r.required)
    return frozenset(r.name for r in optional if key_of(r.name, r.store.location) in marks)


def open_answering(config: Config, silent: Optional[Container[str]] = None) -> Repositories:
    """Every repository, after one short request to each, all at the same time.

    A repository that does not answer it is not asked again: each operation on it raises that error at once.
    So a store that is down costs some seconds once, and not its timeouts and attempts at every request. The others keep
    their own timeouts. A single repository is not asked beforehand: nothing else could answer in its place.
    ``silent``: the names of those that did not answer a moment ago, by default :func:`silent_optional`. They are not
    asked, unless no other is left.
    """
    repositories = Repositories.open(config)
    if len(repositories.items) > 1:
        known = silent_optional(config) if silent is None else silent
        skip = {r.name for r in repositories.items if r.name in known}
        skip = skip if len(skip) < len(repositories.items) else set()

        def look(repository: Repository, entry: RepositoryConfig) -> Repository:
            return _unasked(repository) if repository.name in skip else _if_it_answers(repository, entry, config)

        with ThreadPoolExecutor(len(repositories.items), "lifeboat-answering") as pool:
            repositories.items = tuple(pool.map(look, repositories.items, config.repositories))
    return repositories


def _unasked(repository: Repository) -> Repository:
    location = repository.store.location
    repository.store.close()
    error = StoreUnavailable(f"{location} did not answer a moment ago.", "Check the store. It is asked again shortly.")
    return replace(repository, store=UnopenedStore(location, error))


def _if_it_answers(repository: Repository, entry: RepositoryConfig, config: Config) -> Repository:
    asked = _open(replace(entry, as_of=None), config, _LOOKS, _SILENT)
    try:
        asked.store.head(asked.layout.repository)
    except (StoreUnavailable, BucketMissing) as exc:
        repository.store.close()
        return replace(repository, store=UnopenedStore(repository.store.location, exc))
    except LifeboatError:
        # It answers, if only by a refusal.
        pass
    finally:
        asked.store.close()
    return repository


def require_begun(repository: Repository) -> None:
    """ForeignRepository if it has nothing of this cluster: it is new, or a mount point that is not mounted."""
    if repository.store.head(repository.layout.repository) is None:
        raise ForeignRepository(
            f"Repository {repository.location} has no cluster of this name.",
            "Check that it is mounted. A new repository is set up by the first archived segment or backup.",
            repository=repository.name,
        )


def _open(entry: RepositoryConfig, config: Config, attempts: int, read: float = _READ) -> Repository:
    store = entry.store.hasty(attempts, _CONNECT, read)
    return Repository.open(replace(entry, store=store), config.cluster, term=term_of(config))
