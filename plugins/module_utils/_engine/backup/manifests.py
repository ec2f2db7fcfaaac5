# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's ``backup_manifest`` of a backup: stored with it, and read again when another backup is based on it.

A sealing host need not be able to open its own objects. So it keeps the manifests of the newest chain, which name
files of the cluster and their checksums, in its spool: ``<spool>/manifests/<label>``, readable only by its owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Iterable, Optional, Sequence

from ..base.errors import (
    IdentityMissing,
    IdentityRefused,
    IncrementalImpossible,
    ObjectCorrupt,
    ObjectMissing,
    UntrustedPath,
)
from ..base.files import make_directory, open_to_read, remove_file, replace_file
from ..codec.age import Seal
from ..postgres.server_manifest import without_visibility_maps
from ..records.model import ArchiveFile, BackupManifest
from ..repository.layout import SERVER_MANIFEST, is_sealed, sealed_name, server_manifest
from ..repository.repository import Repository

_KEPT = "manifests"


def store(raw: bytes, label: str, required: Sequence[Repository], seal: Seal) -> ArchiveFile:
    """Store the manifest in every repository, sealed if the cluster is."""
    name, body = sealed_name(SERVER_MANIFEST, seal.seals), seal.close(raw) if seal.seals else raw
    for repository in required:
        repository.store.put(repository.layout.backup(label, name), body)
    content = _digest(raw) if seal.seals else None
    return ArchiveFile(name, len(body), _digest(body), content_sha256=content)


def keep(spool_dir: str, label: str, raw: bytes, chain: Iterable[str]) -> None:
    """Keep the manifest for the next backup, and those of its ``chain``; remove others. Failures are ignored."""
    directory, kept = os.path.join(spool_dir, _KEPT), {label, *chain}
    with contextlib.suppress(OSError, UntrustedPath):
        make_directory(directory)
        replace_file(os.path.join(directory, label), raw)
        for name in os.listdir(directory):
            if name not in kept:
                remove_file(os.path.join(directory, name))


def read_parent(parent: BackupManifest, required: Sequence[Repository], spool_dir: Optional[str]) -> bytes:
    """The parent's ``backup_manifest``: the kept one, or that of the first repository with an intact copy.

    IncrementalImpossible if there is none, or none that can be opened here.
    """
    file = server_manifest(parent.files)
    if is_sealed(file.name) and spool_dir:
        kept_file = os.path.join(spool_dir, _KEPT, parent.label)
        with contextlib.suppress(OSError, UntrustedPath), open_to_read(kept_file) as stream:
            kept = stream.read()
            if _digest(kept) == file.content_sha256:
                return without_visibility_maps(kept)
    said = ""
    for repository in required:
        try:
            raw = b"".join(repository.read(repository.layout.backup(parent.label, file.name), file))
            return without_visibility_maps(raw)
        except (IdentityMissing, IdentityRefused) as exc:
            raise IncrementalImpossible(
                f"The backup_manifest of the parent {parent.label} cannot be read here: {exc.message}",
                "Make a full backup (type auto or fallback full does so)."
                " With spool_dir set, this host keeps the manifest of a backup for the next one.",
                reason="parent_sealed",
                parent=parent.label,
            ) from exc
        except (ObjectCorrupt, ObjectMissing) as exc:
            said = exc.message
    raise IncrementalImpossible(
        f"The backup_manifest of the parent {parent.label} cannot be used: {said}",
        "Make a full backup, and run lifeboat verify: the parent itself may not be restorable.",
        reason="parent_damaged",
        parent=parent.label,
    )


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
