# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a ``backup_manifest`` byte for byte as the server does (PostgreSQL manual, "Backup Manifest Format")."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Iterable

from ..base.wal_names import format_lsn
from .facts import WalRange

#: The algorithm of the files' checksums: of those that PostgreSQL accepts, the best that every Python has.
CHECKSUMS = "SHA256"


@dataclass(frozen=True)
class CopiedFile:
    """A file of a backup. ``path``: relative to the data directory, as the bytes of the file system.

    ``modified``: seconds since 1970; ``checksum``: SHA-256, hexadecimal.
    """

    path: bytes
    size: int
    modified: float
    checksum: str


def manifest(version_num: int, system_identifier: str, files: Iterable[CopiedFile], wal: WalRange) -> bytes:
    """The manifest: version 1, and 2 with the system identifier from PostgreSQL 17 on. Pure."""
    head = '{ "PostgreSQL-Backup-Manifest-Version": 1,\n'
    if version_num >= 170000:
        head = f'{{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": {system_identifier},\n'
    start, stop = format_lsn(wal.start), format_lsn(wal.stop)
    body = (
        head
        + '"Files": [\n'
        + ",\n".join(_line(file) for file in files)
        + '\n],\n"WAL-Ranges": [\n'
        + f'{{ "Timeline": {wal.timeline}, "Start-LSN": "{start}", "End-LSN": "{stop}" }}'
        + "\n],\n"
    ).encode()
    return body + f'"Manifest-Checksum": "{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def _line(file: CopiedFile) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S GMT", time.gmtime(file.modified))
    return (
        f'{{ {_path(file.path)}, "Size": {file.size}, "Last-Modified": "{when}",'
        f' "Checksum-Algorithm": "{CHECKSUMS}", "Checksum": "{file.checksum}" }}'
    )


def _path(path: bytes) -> str:
    """The name, as ``escape_json`` writes it; in hexadecimal if it is not UTF-8."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return f'"Encoded-Path": "{path.hex()}"'
    return f'"Path": {json.dumps(text, ensure_ascii=False)}'
