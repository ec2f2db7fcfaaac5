# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archive_command``: put one WAL file into every required repository.

The contract (PostgreSQL manual, "Continuous Archiving"): success only once the file is durable in every required
repository; the same file again succeeds; a different one under the same name fails and changes nothing.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Set, Tuple

from ..base import clock
from ..base.errors import CloneRefused, ConfigError, LifeboatError, WalInvalid
from ..base.files import open_to_read
from ..base.wal_names import is_history, is_segment, is_wal_file
from ..codec import zstd
from ..config.load import Config
from ..leadership.watch import Watch
from ..postgres.controldata import read_system_identifier
from ..postgres.timeline import parse_history
from ..repository.repository import Repositories, Repository
from .keep import holds_sealed, store_beside_sealed, store_clear, store_history, store_mark, store_sealed
from .segment import check_segment

#: Seconds until a repository is checked again to belong to this cluster.
_ADOPTED_FOR = 60.0


@dataclass(frozen=True)
class Pushed:
    """One pushed file: its stored size in bytes, and the repositories that had it already."""

    name: str
    stored: int
    already: Tuple[str, ...]


def push(config: Config, path: str, data_dir: Optional[str] = None) -> Pushed:
    """Archive the file ``path`` (relative to ``data_dir``, by default the working directory, as PostgreSQL calls it).

    Memory: as for one :meth:`Pusher.push`.
    """
    data_dir = os.path.abspath(data_dir or os.getcwd())
    refuse_clone(config, data_dir)
    repositories = Repositories.open(config)
    try:
        pusher = Pusher(config, repositories, data_dir)
        pushed = pusher.push(path)
        if is_segment(pushed.name):
            pusher.acknowledge(pushed.name)
        return pushed
    finally:
        repositories.close()


class Pusher:
    """Puts the WAL files of one data directory into all required repositories; several threads may share it."""

    def __init__(self, config: Config, repositories: Repositories, data_dir: str) -> None:
        self._level, self._data_dir = config.backup.zstd_level, data_dir
        self._required = {r.name: r for r in repositories.required}
        self._seal = repositories.seal
        self._watch = Watch(config.site, repositories.required)
        self._adopted: Dict[Tuple[str, str], float] = {}
        # The repositories that have sealed WAL.
        self._sealed: Set[Tuple[str, str]] = set()

    def push(self, path: str) -> Pushed:
        """Archive one file. All repositories are tried before the first error is raised.

        Deposed, and nothing is stored, if another site leads.

        Memory: the file and its compressed form, twice that while it is compared with an existing object.
        """
        name = os.path.basename(path)
        if not is_wal_file(name):
            raise ConfigError(
                f"{name!r} is not the name of a WAL file.",
                "Set archive_command = 'lifeboat --config FILE wal-push %p'.",
            )
        # Reread each time: another cluster may have been created under the same path.
        system = read_system_identifier(self._data_dir)
        self._watch.require(system)
        content = _read(os.path.join(self._data_dir, path), name, system)
        body = content if is_history(name) else zstd.compress(content, self._level)
        sealed = self._seal.seals and not is_history(name)
        if sealed:
            body = self._seal.close(body)
        results = self._each(lambda repository: self._put(repository, system, name, content, body, sealed))
        return Pushed(name, len(body), tuple(r for r in results if isinstance(r, str)))

    def acknowledge(self, segment: str) -> None:
        """Record that all WAL up to the end of this segment is archived, before that is acknowledged to PostgreSQL."""
        system = read_system_identifier(self._data_dir)
        self._each(lambda repository: _or_error(store_mark, repository, system, segment))

    def _each(self, put: Callable[[Repository], object]) -> List[object]:
        """The results of ``put`` for each required repository; all are tried before the first error is raised."""
        required = list(self._required.values())
        if len(required) == 1:
            results = [put(required[0])]
        else:
            with ThreadPoolExecutor(max_workers=len(required)) as pool:
                results = list(pool.map(put, required))
        errors = [r for r in results if isinstance(r, LifeboatError)]
        if errors:
            raise errors[0]
        return results

    def _put(self, repository: Repository, system: str, name: str, content: bytes, body: bytes, sealed: bool) -> object:
        """None if it was stored, the repository's name if it existed already, else the error."""
        try:
            self._adopt(repository, system)
            if is_history(name):
                return store_history(repository, system, name, content)
            if sealed:
                return store_sealed(repository, system, name, content, body)
            if (repository.name, system) in self._sealed:
                return store_beside_sealed(repository, system, name, content, body)
            return store_clear(repository, system, name, content, body)
        except LifeboatError as exc:
            self._adopted.pop((repository.name, system), None)
            self._required[repository.name] = repository.reopened()
            return exc

    def _adopt(self, repository: Repository, system: str) -> None:
        at, now = (repository.name, system), clock.monotonic()
        if now - self._adopted.get(at, -_ADOPTED_FOR) >= _ADOPTED_FOR:
            repository.adopt(system)
            if not self._seal.seals and holds_sealed(repository, system):
                self._sealed.add(at)
            self._adopted[at] = now


def _or_error(put: Callable[[Repository, str, str], None], repository: Repository, system: str, name: str) -> object:
    try:
        put(repository, system, name)
        return None
    except LifeboatError as exc:
        return exc


def refuse_clone(config: Config, data_dir: str) -> None:
    """CloneRefused unless ``data_dir`` is the one that the configuration protects."""
    if config.data_dir and os.path.realpath(data_dir) != os.path.realpath(config.data_dir):
        raise CloneRefused(
            f"{data_dir} is not {config.data_dir},"
            f" the data directory in {config.source or 'this configuration'}:"
            " a clone must not archive here.",
            "Set archive_mode = off in the clone, or give it a configuration and a repository of its own.",
            data_dir=data_dir,
            protected=config.data_dir,
        )


def _read(path: str, name: str, system: str) -> bytes:
    try:
        with open_to_read(path) as stream:
            content = stream.read()
    except OSError as exc:
        raise WalInvalid(
            f"Cannot read WAL file {path}: {exc.strerror}.", "Check the path that archive_command passes.", name=name
        ) from exc
    if is_segment(name):
        check_segment(name, content, system)
    elif is_history(name):
        parse_history(int(name[:8], 16), content.decode(errors="replace"))
    elif not content:
        raise WalInvalid(f"WAL file {path} is empty.", "Check the disk. Nothing was stored.", name=name)
    return content
