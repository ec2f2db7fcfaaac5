# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the objects beside WAL segments: ``.backup`` and ``.partial`` files, and the digests of sealed files."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, List, Optional, Sequence, Tuple

from ..base.errors import LifeboatError, ObjectCorrupt, ObjectMissing, WalInvalid
from ..repository.histories import digest_line
from ..repository.kinds import kind_of
from ..repository.layout import is_sealed, wal_name
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo
from ..wal.fetch import open_wal
from .report import COPY_HINT, Finding

_PARALLEL = 4
# PostgreSQL manual, "Making a Base Backup Using the Low Level API": the backup history file.
_START = re.compile(rb"START WAL LOCATION: [0-9A-F]+/[0-9A-F]+ \(file ([0-9A-F]{24})\)\n")
_DIGEST = re.compile(rb"[0-9a-f]{64}  [0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?\n\Z")


def open_extra(repository: Repository, system: str, key: str, raw: bytes) -> bytes:
    """The content of a ``.backup`` or ``.partial`` file; ObjectCorrupt or WalInvalid if it is not one."""
    name = wal_name(key)
    content = open_wal(repository, system, name, key, raw)
    if name.endswith(".backup"):
        found = _START.match(content)
        if found is None or found.group(1).decode() != name[:24]:
            words = f"{key} is not the history file of a backup that began in {name[:24]}."
            raise WalInvalid(words, COPY_HINT, name=name)
    return content


def check_extras(repository: Repository, objects: Sequence[ObjectInfo]) -> Tuple[List[Finding], int]:
    """Read these files; the findings, and how many sealed ones were not opened because there is no identity."""
    closed = [o for o in objects if is_sealed(o.key) and not repository.seal.has_identity]
    chosen = [o for o in objects if o not in closed] if closed else list(objects)

    def one(info: ObjectInfo) -> Optional[Finding]:
        system = kind_of(repository.layout.cluster, info.key).owner
        try:
            content = open_extra(repository, system, info.key, repository.store.get(info.key))
        except LifeboatError as exc:
            return Finding(repository.name, "", exc, info.key, system)
        return check_digest(repository, system, info.key, content) if is_sealed(info.key) else None

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-verify") as pool:
        return [finding for finding in pool.map(one, chosen) if finding], len(closed)


def check_digest(repository: Repository, system: str, key: str, content: bytes) -> Optional[Finding]:
    """The fault of the digest of the sealed file ``key`` with this content; None if it matches."""
    name = wal_name(key)
    digest = repository.layout.wal_digest(system, name)
    try:
        if repository.store.get(digest) == digest_line(content, name):
            return None
        words = f"{digest} does not match {key}, which can be opened and contains the right WAL."
        error: LifeboatError = ObjectCorrupt(words, COPY_HINT, key=digest)
    except ObjectMissing:
        return missing_digest(repository, system, key)
    except LifeboatError as exc:
        error = exc
    return Finding(repository.name, "", error, digest, system)


def missing_digest(repository: Repository, system: str, key: str) -> Finding:
    """The finding that the digest of the sealed file ``key`` is missing."""
    digest = repository.layout.wal_digest(system, wal_name(key))
    words = f"{digest} is missing in repository {repository.location}, which has the sealed file {key}."
    return Finding(repository.name, "", ObjectMissing(words, COPY_HINT, key=digest), digest, system)


def require_digest(key: str, raw: bytes) -> None:
    """ObjectCorrupt unless this is a digest of the file that its key names. Pure."""
    if not _DIGEST.match(raw) or raw.split()[1].decode() != key.rsplit("/", 1)[-1]:
        raise ObjectCorrupt(f"{key} is not the digest of a WAL file.", COPY_HINT, key=key)


def missing_digests(repository: Repository, system: str, keys: Iterable[str], there: Iterable[str]) -> List[Finding]:
    """Findings for the sealed files among ``keys`` whose digest is not among ``there``. Pure."""
    known = set(there)
    return [
        missing_digest(repository, system, key)
        for key in keys
        if is_sealed(key) and repository.layout.wal_digest(system, wal_name(key)) not in known
    ]
