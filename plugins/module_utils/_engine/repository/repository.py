# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's part of a store: its owner, and the records and WAL in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import ForeignRepository, LifeboatError, ObjectCorrupt, ObjectExists, StoreError
from ..codec.age import Seal
from ..config.load import Config, RepositoryConfig
from ..records.fields import MOST_RECORD, SYSTEM, printable
from ..records.model import FORMAT, ArchiveFile, format_time, open_record, seal_record
from ..store import open_store
from ..store.limited import LimitedStore
from ..store.protocol import ObjectInfo, Store, Term
from ..store.read_only import ReadOnlyStore
from ..store.unopened import UnopenedStore
from .adopted import Adopted
from .layout import Layout, is_sealed
from .locks import term_of
from .signatures import Signatures


@dataclass(frozen=True)
class Repository:
    """One opened repository of a cluster. ``seal`` seals and opens its objects."""

    name: str
    store: Store
    layout: Layout
    required: bool = True
    seal: Seal = field(default_factory=Seal)
    signatures: Signatures = field(default_factory=Signatures)
    adopted: Adopted = Adopted()
    #: Opens the store again; None unless it is a directory.
    again: Optional[Callable[[], Store]] = None

    @classmethod
    def open(
        cls,
        config: RepositoryConfig,
        cluster: str,
        seal: Optional[Seal] = None,
        term: Optional[Term] = None,
        spool_dir: Optional[str] = None,
    ) -> Repository:
        """Connect, without reading anything. A missing directory is reported by the first operation on it."""
        local = not config.store.TRAITS.network
        return cls(
            config.name,
            _store(config, term),
            Layout(cluster),
            config.required,
            seal or Seal(),
            Signatures(config.signing, cluster),
            Adopted.of(spool_dir if local else None),
            partial(_store, config, term) if local else None,
        )

    def reopened(self) -> Repository:
        """This repository, with its directory opened again: it may have been mounted or unmounted meanwhile."""
        return replace(self, store=self.again()) if self.again else self

    @property
    def location(self) -> str:
        """The repository's name and location, for messages."""
        return f"{self.name} ({self.store.location}/{self.layout.cluster})"

    def read(self, key: str, file: ArchiveFile) -> Iterator[bytes]:
        """The stored object ``key``, checked against size and SHA-256 of ``file``, and opened if it is sealed."""
        raw = self.store.read(key, sha256=file.sha256, size=file.size)
        return self.seal.open(raw, key) if is_sealed(key) else raw

    def get_record(self, key: str, most: int = MOST_RECORD, info: Optional[ObjectInfo] = None) -> bytes:
        """The bytes of the record ``key``: the only way to read one. ``info``: its entry in a listing.

        ObjectCorrupt, without fetching the rest, beyond ``most`` bytes, which no record has. RecordForeign if it needs
        a valid signature and has none.
        """
        raw = bytearray()
        for chunk in self.store.read(key):
            raw += chunk
            if len(raw) > most:
                raise ObjectCorrupt(
                    f"{printable(key)} has more than {most} bytes, which no record has.",
                    "Find out who stored it; it is set apart.",
                    key=key,
                )
        self.signatures.require_genuine(key, bytes(raw), lambda: self._modified(key, info))
        return bytes(raw)

    def put_record(self, key: str, record: Mapping[str, Any]) -> None:
        """Store a record, signed if there is a key: the only way to write one.

        ObjectExists if it exists.
        """
        self.store.put(key, seal_record(self.signatures.sign(key, record)))

    def _modified(self, key: str, info: Optional[ObjectInfo]) -> Optional[datetime]:
        found = info or self.store.head(key)
        return found.modified if found else None

    def systems(self) -> List[str]:
        """The system identifiers that this repository knows; empty if it was never used."""
        names = self.store.list_names(self.layout.systems)
        return [n[: -len(".json")] for n in names if n.endswith(".json") and SYSTEM.match(n[: -len(".json")])]

    def owns(self, system: str) -> None:
        """ForeignRepository unless this repository already belongs to the cluster ``system``."""
        if self.store.head(self.layout.system(system)) is None:
            known = self.systems()
            raise ForeignRepository(
                f"Repository {self.location} does not know the cluster with system identifier {system};"
                f" it keeps {', '.join(known) or 'none'}.",
                "Check bucket, prefix and cluster name."
                " If this cluster was recreated (initdb, pg_upgrade), accept it as soon as it archives: lifeboat backup"
                " --accept-new-system. The role wal_archive does it with -e wal_archive_accept_new_system=true.",
                repository=self.name,
                system_identifier=system,
                known=known,
            )

    def may_adopt(self, system: str, accept_new: bool = False) -> None:
        """ForeignRepository, or StoreUnavailable for an empty mount point, if :meth:`adopt` would refuse."""
        if accept_new:
            return
        if self.systems():
            self.owns(system)
        else:
            self.adopted.require_new(self.name, self.location)

    def adopt(self, system: str, accept_new: bool = False) -> None:
        """Make this the repository of the cluster ``system``: a fresh one is marked, a foreign one is refused.

        ``accept_new`` accepts a recreated cluster (initdb, pg_upgrade) in addition to the known ones.
        """
        if self.store.head(self.layout.system(system)) is None:
            self._mark(system, accept_new)
        self.adopted.remember(self.name, self.location)

    def _mark(self, system: str, accept_new: bool) -> None:
        self.may_adopt(system, accept_new)
        stamp = {"format": FORMAT, "cluster": self.layout.cluster, "created_at": format_time(clock.now())}
        for key, record in (
            (self.layout.repository, stamp),
            (self.layout.system(system), {**stamp, "system_identifier": system}),
        ):
            try:
                self.put_record(key, record)
            except ObjectExists:
                # Whoever signed it: only its existence matters, and check reports foreign ones.
                open_record(self.store.get(key), key, newest=FORMAT)


def _store(config: RepositoryConfig, term: Optional[Term]) -> Store:
    store: Store
    try:
        store = open_store(config.store, config.as_of, term)
    except StoreError as exc:
        store = UnopenedStore(str(exc.details.get("store", config.name)), exc)
    if config.read_only:
        store = ReadOnlyStore(store)
    if config.max_upload_kb or config.max_download_kb:
        rates = [kb * 1024 if kb else None for kb in (config.max_upload_kb, config.max_download_kb)]
        store = LimitedStore(store, *rates)
    return store


@dataclass(frozen=True)
class Unreadable:
    """A repository that was skipped, and why."""

    repository: str
    error: LifeboatError


@dataclass
class Repositories:
    """All repositories of a cluster, in the order of the configuration. A context that closes them."""

    items: Tuple[Repository, ...]
    passed_over: List[Unreadable] = field(default_factory=list)
    seal: Seal = field(default_factory=Seal)

    @classmethod
    def open(cls, config: Config) -> Repositories:
        """Open every configured repository."""
        seal, term = Seal(config.seal), term_of(config)
        spool = config.spool_dir
        return cls(tuple(Repository.open(r, config.cluster, seal, term, spool) for r in config.repositories), seal=seal)

    def __enter__(self) -> Repositories:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def required(self) -> Tuple[Repository, ...]:
        """The repositories that must have an object before it counts as stored."""
        return tuple(r for r in self.items if r.required)

    @property
    def silent(self) -> Dict[str, StoreError]:
        """Why those could not be opened, or did not answer, that cannot be asked at all, by name."""
        return {r.name: r.store.error for r in self.items if isinstance(r.store, UnopenedStore)}

    def named(self, name: str) -> Optional[Repository]:
        """The repository of that name."""
        return next((r for r in self.items if r.name == name), None)

    def beginning_with(self, name: Optional[str], without: Sequence[str] = ()) -> Tuple[Repository, ...]:
        """All except ``without``: the one of that name first, then the others as configured."""
        return tuple(sorted((r for r in self.items if r.name not in without), key=lambda r: r.name != name))

    def readable(self, without: Collection[str] = ()) -> Repository:
        """The first repository that responds and has this cluster; those before it are recorded in ``passed_over``.

        Those named in ``without`` are skipped, unless nothing else is configured. Raises the error of the first one if
        none is readable.
        """
        for repository in [r for r in self.items if r.name not in without] or self.items:
            try:
                if repository.systems():
                    return repository
                raise ForeignRepository(
                    f"Repository {repository.location} has no cluster of this name.",
                    "Check bucket, prefix and cluster name."
                    " A new repository is set up by the first archived segment or backup.",
                    repository=repository.name,
                )
            except (StoreError, ForeignRepository) as exc:
                self.passed_over.append(Unreadable(repository.name, exc))
        raise self.passed_over[0].error

    def require_signing(self, *kinds: str) -> None:
        """SigningFailed if records of these kinds must be signed but cannot be signed here. Call it before the work."""
        for repository in self.items[:1]:
            repository.signatures.require(*kinds)

    def close(self) -> None:
        """Release all connections."""
        for repository in self.items:
            repository.store.close()
