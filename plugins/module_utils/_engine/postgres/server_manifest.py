# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's ``backup_manifest`` as the base of an incremental backup (PostgreSQL manual, "Backup Manifest Format").

It has a line for each file; the last line is a SHA-256 of everything before it.
"""

from __future__ import annotations

import hashlib
import re

from ..base.errors import ObjectCorrupt

_VISIBILITY_MAP = re.compile(rb'\{ "Path": "[^"]*/(?:INCREMENTAL\.)?\d+_vm(?:\.\d+)?"')
_LAST_COMMA = re.compile(rb",(?=\n\],\n\"WAL-Ranges\")")
_CHECKSUM = b'"Manifest-Checksum"'


def without_visibility_maps(manifest: bytes) -> bytes:
    """The manifest without visibility maps, so that the server sends them completely. Pure.

    Heap records that clear a bit of the map do not name the map's block (it follows from the heap's), so WAL
    summaries miss it, and an incremental map would still mark changed pages as all-visible: index-only scans then count
    dead rows (pgsql-hackers, March 2026, "Why clearing the VM doesn't require registering vm buffer in wal record").
    """
    body, sign, _checksum = manifest.rpartition(_CHECKSUM)
    if not sign:
        raise ObjectCorrupt("The backup_manifest has no checksum line.", "Use another backup as the parent.")
    kept = b"\n".join(line for line in body.split(b"\n") if not _VISIBILITY_MAP.match(line))
    kept = _LAST_COMMA.sub(b"", kept)
    return kept + _CHECKSUM + b': "' + hashlib.sha256(kept).hexdigest().encode() + b'"}\n'
