# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``restore_command``: fetch one WAL file from the first repository that has it.

The contract (PostgreSQL manual, "Recovering Using a Continuous Archive Backup"): answer "not found" only if every
repository confirmed it; any doubt is an error, so that recovery stops instead of ending early.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ..base import clock
from ..base.errors import DiskFull, LifeboatError, ObjectMissing, StoreUnavailable, WalInvalid
from ..base.files import open_to_write
from ..base.wal_names import is_history, is_segment, is_wal_file
from ..codec import zstd
from ..config.load import Config
from ..postgres.controldata import read_system_identifier
from ..repository.histories import sound_history
from ..repository.layout import is_sealed
from ..repository.repository import Repositories, Repository
from .pieces import Pieced, read_pieces
from .segment import check_segment

# PostgreSQL's largest segment (initdb --wal-segsize) is 1 GiB.
MAX_WAL_FILE = 1024 * 1024 * 1024
_ROUNDS = 3


@dataclass(frozen=True)
class Fetched:
    """A fetched WAL file, and the repository it came from."""

    name: str
    repository: str
    size: int


@dataclass(frozen=True)
class Source:
    """Where a restore gets its WAL: ``name``, the repository it was planned from, ``without`` those that failed then.

    The former is asked first and the latter never, so that a lost repository does not delay every file.
    ``pieces``: put a segment that is confirmed missing together from its pieces, as far as they go.
    """

    name: Optional[str] = None
    without: Tuple[str, ...] = ()
    pieces: bool = False


EVERYWHERE = Source()


def fetch(
    config: Config, name: str, path: str, data_dir: Optional[str] = None, source: Source = EVERYWHERE
) -> Optional[Fetched]:
    """Write the file ``name`` to ``path`` (relative to ``data_dir``); None if all repositories confirm it is missing.

    If a repository stays in doubt and no other has the file, its error is raised. Memory: as for a push.
    """
    data_dir = os.path.abspath(data_dir or os.getcwd())
    if not is_wal_file(name):
        return None
    system = read_system_identifier(data_dir)
    repositories = Repositories.open(config)
    try:
        found = look_up(repositories, system, name, source)
    finally:
        repositories.close()
    if found is None:
        return None
    repository, content = found
    write_wal(os.path.join(data_dir, path), content)
    return Fetched(name, repository.name, len(content))


def look_up(
    repositories: Repositories, system: str, name: str, source: Source, rounds: int = _ROUNDS
) -> Optional[Tuple[Repository, bytes]]:
    """The first repository with an intact copy, and its content; None if all of them confirm that they have none.

    A repository that cannot be read is tried in up to ``rounds`` rounds; a damaged copy is skipped for the next
    repository. If one of them stays in doubt and no other has the file, its error is raised, unless the source of a
    restore itself confirmed that it has none: the plan knows how far the source's WAL goes, and the end is asserted.
    """
    doubts: List[LifeboatError] = []
    confirmed = False
    for attempt in range(rounds):
        clock.sleep(attempt)
        doubts = []
        for repository in repositories.beginning_with(source.name, source.without):
            try:
                content = _read_or_confirm(repository, system, name)
            except LifeboatError as exc:
                doubts.append(exc)
                continue
            if content is not None:
                return repository, content
            confirmed = confirmed or repository.name == source.name
        if confirmed or not doubts:
            return _from_pieces(repositories, system, name, source) if source.pieces and is_segment(name) else None
        if not any(isinstance(d, StoreUnavailable) for d in doubts):
            break
    raise doubts[0]


def _from_pieces(
    repositories: Repositories, system: str, name: str, source: Source
) -> Optional[Tuple[Repository, bytes]]:
    found = longest(repositories, system, name, source)
    return (found[0], found[1].content) if found and found[1].end else None


def longest(
    repositories: Repositories, system: str, name: str, source: Source, have: bytes = b""
) -> Optional[Tuple[Repository, Pieced]]:
    """The segment from the repository whose pieces go farthest; None if no repository has any.

    An error of one repository is raised unless the source of the restore itself answered. For ``have`` see
    :func:`.pieces.read_pieces`.
    """
    found: List[Tuple[int, Repository, Pieced]] = []
    doubts: List[LifeboatError] = []
    answered = False
    for repository in repositories.beginning_with(source.name, source.without):
        try:
            pieced = read_pieces(repository, system, name, have)
        except LifeboatError as exc:
            doubts.append(exc)
            continue
        answered = answered or repository.name == source.name
        if pieced.end or pieced.damaged:
            found.append((pieced.end, repository, pieced))
    if doubts and not answered:
        raise doubts[0]
    if not found:
        return None
    _end, repository, pieced = max(found, key=lambda f: f[0])
    return repository, pieced


def _read_or_confirm(repository: Repository, system: str, name: str) -> Optional[bytes]:
    """The content, or None if a repository that has this cluster confirms that it has no such file.

    An unmounted directory or a wrong prefix has no file either, but that must not look like the end of the WAL.
    """
    try:
        return read_wal(repository, system, name)
    except ObjectMissing:
        if repository.required:
            repository.owns(system)
        return None


def read_wal(repository: Repository, system: str, name: str) -> bytes:
    """The checked content of a WAL file; ObjectMissing if the repository confirms that it has none."""
    key, raw = _get(repository, system, name)
    return open_wal(repository, system, name, key, raw)


def open_wal(repository: Repository, system: str, name: str, key: str, raw: bytes) -> bytes:
    """The checked content of a WAL file that was stored under ``key`` as ``raw``."""
    if is_history(name):
        return sound_history(repository, system, name, raw)
    if is_sealed(key):
        raw = repository.seal.open_bytes(raw, key)
    content = zstd.decompress(raw, key, MAX_WAL_FILE)
    if is_segment(name):
        check_segment(name, content, system)
    return content


def _get(repository: Repository, system: str, name: str) -> Tuple[str, bytes]:
    """The key and the content of the stored object; the form that this host would store is tried first."""
    *others, last = repository.layout.wal_forms(system, name, repository.seal.seals)
    for key in others:
        with contextlib.suppress(ObjectMissing):
            return key, repository.store.get(key)
    return last, repository.store.get(last)


def write_wal(path: str, content: bytes) -> None:
    """Write a WAL file; DiskFull, or WalInvalid if it cannot be written for another reason.

    The server's umask decides whether its group may read it.
    """
    try:
        with os.fdopen(open_to_write(path, 0o640, empty=True), "wb") as stream:
            stream.write(content)
    except OSError as exc:
        if exc.errno == 28:
            raise DiskFull(
                f"No space for WAL at {path}.", "Free some space; recovery continues where it stopped.", path=path
            ) from exc
        raise WalInvalid(
            f"Cannot write {path}: {exc.strerror}.", "Check the directory's owner and mode.", path=path
        ) from exc
