# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's part of a store: which cluster owns it, and the records and WAL in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Collection, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ForeignRepository, LifeboatError, ObjectCorrupt, ObjectExists, StoreError
from ..codec.age import Seal
from ..config.load import Config, RepositoryConfig
from ..records.fields import MOST_RECORD, SYSTEM, printable
from ..records.model import FORMAT, ArchiveFile, format_time, open_record, seal_record
from ..store import open_store
from ..store.limited import LimitedStore
from ..store.protocol import ObjectInfo, Store, Term
from ..store.unopened import UnopenedStore
from .layout import Layout, is_sealed
from .locks import term_of
from .signatures import Signatures


@dataclass(frozen=True)
class Repository:
    """One opened repository of a cluster. ``seal`` opens its sealed objects, and seals what is to be sealed."""

    name: str
    store: Store
    layout: Layout
    required: bool = True
    seal: Seal = field(default_factory=Seal)
    signatures: Signatures = field(default_factory=Signatures)

    @classmethod
    def open(
        cls, config: RepositoryConfig, cluster: str, seal: Optional[Seal] = None, term: Optional[Term] = None
    ) -> Repository:
        """Connect; nothing is read yet. A missing directory is an error of the first operation on it."""
        store: Store
        try:
            store = open_store(config.store, config.as_of, term)
        except StoreError as exc:
            store = UnopenedStore(str(exc.details.get("store", config.name)), exc)
        if config.max_upload_kb or config.max_download_kb:
            rates = [kb * 1024 if kb else None for kb in (config.max_upload_kb, config.max_download_kb)]
            store = LimitedStore(store, *rates)
        signatures = Signatures(config.signing, cluster)
        return cls(config.name, store, Layout(cluster), config.required, seal or Seal(), signatures)

    @property
    def location(self) -> str:
        """For messages: the repository's name and where it is."""
        return f"{self.name} ({self.store.location}/{self.layout.cluster})"

    def read(self, key: str, file: ArchiveFile) -> Iterator[bytes]:
        """The stored object ``key``, checked against size and SHA-256 of ``file``, and opened where it is sealed."""
        raw = self.store.read(key, sha256=file.sha256, size=file.size)
        return self.seal.open(raw, key) if is_sealed(key) else raw

    def get_record(self, key: str, most: int = MOST_RECORD, info: Optional[ObjectInfo] = None) -> bytes:
        """The bytes of the record ``key``: the only way by which one is read. ``info`` is what a listing told of it.

        ObjectCorrupt, and no more is fetched, beyond ``most`` bytes: no record is so large. RecordForeign where it has
        no signature that counts, and needs one.
        """
        raw = bytearray()
        for chunk in self.store.read(key):
            raw += chunk
            if len(raw) > most:
                raise ObjectCorrupt(
                    f"{printable(key)} has more than {most} bytes, which no record has.",
                    "It is set apart. Find out who stored it.",
                    key=key,
                )
        self.signatures.require_genuine(key, bytes(raw), lambda: self._modified(key, info))
        return bytes(raw)

    def put_record(self, key: str, record: Mapping[str, Any]) -> None:
        """Store a record, signed where there is a key: the only way by which one is written.

        ObjectExists where there is one.
        """
        self.store.put(key, seal_record(self.signatures.sign(key, record)))

    def _modified(self, key: str, info: Optional[ObjectInfo]) -> Optional[datetime]:
        found = info or self.store.head(key)
        return found.modified if found else None

    def systems(self) -> List[str]:
        """The system identifiers that this repository knows; empty when it was never used."""
        names = self.store.list_names(self.layout.systems)
        return [n[: -len(".json")] for n in names if n.endswith(".json") and SYSTEM.match(n[: -len(".json")])]

    def owns(self, system: str) -> None:
        """ForeignRepository unless this repository already keeps the cluster ``system``."""
        if self.store.head(self.layout.system(system)) is None:
            known = self.systems()
            raise ForeignRepository(
                f"Repository {self.location} does not know the cluster with system identifier {system};"
                f" it keeps {', '.join(known) or 'none'}.",
                "Check bucket, prefix and cluster name."
                " If this cluster was created anew (initdb, pg_upgrade), accept it once it archives: lifeboat backup"
                " --accept-new-system. The role wal_archive does it with -e wal_archive_accept_new_system=true.",
                repository=self.name,
                system_identifier=system,
                known=known,
            )

    def may_adopt(self, system: str, accept_new: bool = False) -> None:
        """ForeignRepository where :meth:`adopt` would refuse."""
        if not accept_new and self.systems():
            self.owns(system)

    def adopt(self, system: str, accept_new: bool = False) -> None:
        """Make this the repository of the cluster ``system``: a fresh one is marked, a foreign one is refused.

        ``accept_new`` lets a cluster that was created anew (initdb, pg_upgrade) join the ones that are kept.
        """
        if self.store.head(self.layout.system(system)) is not None:
            return
        self.may_adopt(system, accept_new)
        stamp = {"format": FORMAT, "cluster": self.layout.cluster, "created_at": format_time(clock.now())}
        for key, record in (
            (self.layout.repository, stamp),
            (self.layout.system(system), {**stamp, "system_identifier": system}),
        ):
            try:
                self.put_record(key, record)
            except ObjectExists:
                # Whoever signed it: only its existence counts, and check reports a foreign one.
                open_record(self.store.get(key), key)


@dataclass(frozen=True)
class Unreadable:
    """A repository that was skipped, and why."""

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

    def readable(self, without: Collection[str] = ()) -> Repository:
        """The first repository that answers and holds this cluster; the others before it are in ``passed_over``.

        Those named in ``without`` are not asked, unless nothing else is configured. Raises the first one's error when
        none does.
        """
        for repository in [r for r in self.items if r.name not in without] or self.items:
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

    def require_signing(self, *kinds: str) -> None:
        """SigningFailed unless records of these kinds can be signed here, if they must be: checked before the work."""
        for repository in self.items[:1]:
            repository.signatures.require(*kinds)

    def close(self) -> None:
        """Release all connections."""
        for repository in self.items:
            repository.store.close()
