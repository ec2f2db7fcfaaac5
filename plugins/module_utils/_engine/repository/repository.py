# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's part of a store: whose it is, and the records and WAL in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator, List, Optional, Sequence, Tuple

from .. import clock
from ..codec.age import Seal
from ..config import Config, RepositoryConfig
from ..errors import ForeignRepository, LifeboatError, ObjectExists, ObjectMissing, StoreError
from ..model import FORMAT, ArchiveFile, format_time, open_record, seal_record
from ..store import open_store
from ..store.limited import LimitedStore
from ..store.protocol import Store, Term
from ..store.unopened import UnopenedStore
from .layout import Layout, is_sealed
from .locks import term_of


@dataclass(frozen=True)
class Repository:
    """One opened repository of a cluster. ``seal`` opens its sealed objects, and seals what is to be sealed."""

    name: str
    store: Store
    layout: Layout
    required: bool = True
    seal: Seal = field(default_factory=Seal)

    @classmethod
    def open(
        cls, config: RepositoryConfig, cluster: str, seal: Optional[Seal] = None, term: Optional[Term] = None
    ) -> Repository:
        """Connect; nothing is read yet. A directory that is not there is told by the first operation on it."""
        store: Store
        try:
            store = open_store(config.store, config.as_of, term)
        except StoreError as exc:
            store = UnopenedStore(str(exc.details.get("store", config.name)), exc)
        if config.max_upload_kb or config.max_download_kb:
            rates = [kb * 1024 if kb else None for kb in (config.max_upload_kb, config.max_download_kb)]
            store = LimitedStore(store, *rates)
        return cls(config.name, store, Layout(cluster), config.required, seal or Seal())

    @property
    def location(self) -> str:
        """For messages: the repository's name and where it is."""
        return f"{self.name} ({self.store.location}/{self.layout.cluster})"

    def read(self, key: str, file: ArchiveFile) -> Iterator[bytes]:
        """The stored object ``key``, checked against size and SHA-256 of ``file``, and opened where it is sealed."""
        raw = self.store.read(key, sha256=file.sha256, size=file.size)
        return self.seal.open(raw, key) if is_sealed(key) else raw

    def systems(self) -> List[str]:
        """The system identifiers that this repository knows; empty when it was never used."""
        return [n[: -len(".json")] for n in self.store.list_names(self.layout.systems) if n.endswith(".json")]

    def owns(self, system: str) -> None:
        """ForeignRepository unless this repository already keeps the cluster ``system``."""
        if self.store.head(self.layout.system(system)) is None:
            known = self.systems()
            raise ForeignRepository(
                f"Repository {self.location} does not know the cluster with system identifier {system};"
                f" it keeps {', '.join(known) or 'none'}.",
                "Check bucket, prefix and cluster name."
                " If this cluster was created anew, accept it by a backup with --accept-new-system.",
                repository=self.name,
                system_identifier=system,
                known=known,
            )

    def adopt(self, system: str, accept_new: bool = False) -> None:
        """Make this the repository of the cluster ``system``: a fresh one is marked, a foreign one is refused.

        ``accept_new`` lets a cluster that was created anew (initdb, pg_upgrade) join the ones that are kept.
        """
        if self.store.head(self.layout.system(system)) is not None:
            return
        if self.systems() and not accept_new:
            self.owns(system)
        stamp = {"format": FORMAT, "cluster": self.layout.cluster, "created_at": format_time(clock.now())}
        for key, record in (
            (self.layout.repository, stamp),
            (self.layout.system(system), {**stamp, "system_identifier": system}),
        ):
            try:
                self.store.put(key, seal_record(record))
            except ObjectExists:
                open_record(self.store.get(key), key)


@dataclass(frozen=True)
class Unreadable:
    """A repository that was passed over, and why."""

    repository: str
    error: LifeboatError


@dataclass
class Repositories:
    """All repositories of a cluster, in the order of the configuration."""

    items: Tuple[Repository, ...]
    passed_over: List[Unreadable] = field(default_factory=list)
    seal: Seal = field(default_factory=Seal)

    @classmethod
    def open(cls, config: Config) -> Repositories:
        """Open every configured repository."""
        seal, term = Seal(config.seal), term_of(config)
        return cls(tuple(Repository.open(r, config.cluster, seal, term) for r in config.repositories), seal=seal)

    @property
    def required(self) -> Tuple[Repository, ...]:
        """Those that must have an object before it counts as stored."""
        return tuple(r for r in self.items if r.required)

    def named(self, name: str) -> Optional[Repository]:
        """The repository of that name."""
        return next((r for r in self.items if r.name == name), None)

    def beginning_with(self, name: Optional[str], without: Sequence[str] = ()) -> Tuple[Repository, ...]:
        """All of them but ``without``: the one of that name first, the others as configured."""
        return tuple(sorted((r for r in self.items if r.name not in without), key=lambda r: r.name != name))

    def readable(self) -> Repository:
        """The first repository that answers and holds this cluster; the others before it are in ``passed_over``.

        Raises the first one's error when none does.
        """
        for repository in self.items:
            try:
                if repository.systems():
                    return repository
                raise ForeignRepository(
                    f"Repository {repository.location} holds no cluster of this name.",
                    "Check bucket, prefix and cluster name;"
                    " a repository begins with the first archived segment or backup.",
                    repository=repository.name,
                )
            except (StoreError, ForeignRepository) as exc:
                self.passed_over.append(Unreadable(repository.name, exc))
        raise self.passed_over[0].error

    def close(self) -> None:
        """Release all connections."""
        for repository in self.items:
            repository.store.close()


def histories(repository: Repository, system: str) -> Iterator[Tuple[int, str]]:
    """Every timeline history file in the repository: timeline and text."""
    for name in repository.store.list_names(repository.layout.wal_root(system)):
        if name.endswith(".history"):
            try:
                yield (
                    int(name.split(".")[0], 16),
                    repository.store.get(repository.layout.wal(system, name)).decode(errors="replace"),
                )
            except ObjectMissing:
                continue
