# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the contents of an object in two repositories whose listings differ.

The same WAL may be compressed or sealed differently. Sealed WAL is compared by its digests, without an identity.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import List, Optional, Sequence

from ..base.errors import ObjectCorrupt, ObjectMissing, WalInvalid
from ..repository.lag import Lacking
from ..repository.layout import is_sealed, wal_name
from ..repository.repository import Repository
from .fetch import open_wal

_PARALLEL = 4


def differing(one: Repository, other: Repository, doubtful: Sequence[Lacking]) -> List[str]:
    """The keys whose contents differ or cannot be read in one of the repositories; those deleted meanwhile are ignored.

    Both objects are read. Memory: four segments of each.
    """

    def differs(item: Lacking) -> bool:
        try:
            first, second = _content(one, item), _content(other, item)
            return None not in (first, second) and first != second
        except ObjectMissing:
            return False
        except (ObjectCorrupt, WalInvalid):
            return True

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-same") as pool:
        return [item.info.key for item, found in zip(doubtful, pool.map(differs, doubtful)) if found]


def _content(repository: Repository, item: Lacking) -> Optional[str]:
    """The SHA-256 of the content, for sealed WAL from its digest; None if it cannot be known without an identity."""
    key, name = item.info.key, wal_name(item.info.key)
    if not item.kind.segment:
        digest = hashlib.sha256()
        for chunk in repository.store.read(key):
            digest.update(chunk)
        return digest.hexdigest()
    if is_sealed(key):
        told = _told(repository, item)
        if told is not None or not repository.seal.has_identity:
            return told
    content = open_wal(repository, item.kind.owner, name, key, repository.store.get(key))
    return hashlib.sha256(content).hexdigest()


def _told(repository: Repository, item: Lacking) -> Optional[str]:
    try:
        line = repository.store.get(repository.layout.wal_digest(item.kind.owner, item.kind.part))
    except ObjectMissing:
        # Stored before there were digests.
        return None
    return line[:64].decode("ascii", "replace")
