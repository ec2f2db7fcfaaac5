# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store a WAL file under its only key: the same content again is a success, different content a WalConflict.

Sealing the same content twice gives two different objects, and the sealing host need not be able to open them. So the
SHA-256 of a sealed file's content is stored first, in clear text and create-only: it decides which content the file may
have. It reveals no more than whether a content that the reader already has is this one.

A timeline history is stored as it is, without the checksum of a zstd frame, so its digest is stored after it.

Each function returns None if it stored the file, and the repository's name if it existed already.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Optional

from ..base.errors import ObjectCorrupt, ObjectExists, ObjectMissing, WalConflict
from ..base.wal_names import is_history
from ..codec import zstd
from ..repository.histories import digest_line
from ..repository.layout import sealed_name
from ..repository.repository import Repository


def store_clear(repository: Repository, system: str, name: str, content: bytes, body: bytes) -> Optional[str]:
    """Store the object ``body``, which is ``content`` compressed, or as it is for a history."""
    key = repository.layout.wal(system, name)
    try:
        repository.store.put(key, body)
        return None
    except ObjectExists:
        return _compare(repository, key, name, content)


def store_sealed(repository: Repository, system: str, name: str, content: bytes, body: bytes) -> Optional[str]:
    """Store the sealed object ``body``; the file may exist unsealed, from before this cluster was sealed."""
    clear = repository.layout.wal(system, name)
    if any(info.key == clear for info in repository.store.list(clear)):
        return _compare(repository, clear, name, content)
    key = repository.layout.wal_digest(system, name)
    digest = digest_line(content, name)
    try:
        repository.store.put(key, digest)
    except ObjectExists:
        if repository.store.get(key) != digest:
            raise _conflict(repository, key, name) from None
    try:
        repository.store.put(sealed_name(clear), body)
        return None
    except ObjectExists:
        return repository.name


def store_history(repository: Repository, system: str, name: str, content: bytes) -> Optional[str]:
    """Store a timeline history, then its digest, which an earlier release may have left out."""
    already = store_clear(repository, system, name, content, content)
    key, digest = repository.layout.wal_digest(system, name), digest_line(content, name)
    try:
        repository.store.put(key, digest)
    except ObjectExists:
        if repository.store.get(key) != digest:
            raise _conflict(repository, key, name) from None
    return already


def store_mark(repository: Repository, system: str, segment: str) -> None:
    """Record that all WAL up to the end of this segment is archived; a repetition is not an error."""
    with contextlib.suppress(ObjectExists):
        repository.store.put(repository.layout.wal_acknowledged(system, segment), f"{segment}\n".encode())


def holds_sealed(repository: Repository, system: str) -> bool:
    """Whether the repository has any sealed WAL of this cluster."""
    names = repository.store.list_names(repository.layout.wal_digests(system))
    # Entries that are not a timeline's directory are digests of histories.
    return any(name.endswith("/") for name in names)


def store_beside_sealed(repository: Repository, system: str, name: str, content: bytes, body: bytes) -> Optional[str]:
    """As :func:`store_clear`, but the file may exist sealed, from when this cluster was sealed."""
    key = repository.layout.wal_digest(system, name)
    try:
        if repository.store.get(key).split()[:1] != [_digest(content).encode()]:
            raise _conflict(repository, key, name)
        if repository.store.head(sealed_name(repository.layout.wal(system, name))):
            return repository.name
    except ObjectMissing:
        pass
    return store_clear(repository, system, name, content, body)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compare(repository: Repository, key: str, name: str, content: bytes) -> str:
    try:
        stored = repository.store.get(key)
        if (stored if is_history(name) else zstd.decompress(stored, key, len(content) + 1)) == content:
            return repository.name
    except ObjectCorrupt:
        pass
    raise _conflict(repository, key, name)


def _conflict(repository: Repository, key: str, name: str) -> WalConflict:
    return WalConflict(
        f"Repository {repository.location} already holds {name} with different content.",
        "Find the other writer and stop its archiving: two servers may archive into one prefix, or a clone was started."
        " Then give this server a prefix (or a cluster name) of its own, and make a full backup there. Nothing was"
        " overwritten.",
        name=name,
        key=key,
        repository=repository.name,
    )
