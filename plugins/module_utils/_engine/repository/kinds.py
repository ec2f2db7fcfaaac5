# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object of a repository is, by its key: the reverse of :mod:`.layout`. Pure.

Only keys that Lifeboat spells exactly so are told; whatever else lies in the bucket is ``foreign``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .layout import LABEL, MANIFEST, audit_place, log_chunk

_BACKUP = re.compile(
    rf"backups/({LABEL})/(manifest\.json|backup_manifest(?:\.age)?|(?:base|\d+)\.tar(?:\.zst|\.lz4)?(?:\.age)?)\Z",
    re.ASCII,
)
_FILES = re.compile(
    r"files/([A-Za-z0-9][A-Za-z0-9._-]*)/([^/]+)/(manifest\.json|(?:data\.tar|index\.jsonl)\.zst(?:\.age)?)\Z", re.ASCII
)
_DUMP = re.compile(
    r"dumps/([^/]+)/(\d{8}T\d{6}Z-dump)/(manifest\.json|(?:data\.pgdump(?:\.tar)?|globals\.sql)\.zst(?:\.age)?)\Z",
    re.ASCII,
)
_WAL = re.compile(
    r"wal/(\d+)/(sha256/)?([0-9A-F]{8})/([0-9A-F]{8})/(\3\4[0-9A-F]{8})"
    r"(\.[0-9A-F]{8}-[0-9A-F]{8}\.partial|\.partial|\.[0-9A-F]{8}\.backup)?(\.zst(?:\.age)?)?\Z",
    re.ASCII,
)
_CORE = re.compile(r"repository\.json\Z|systems/\d+\.json\Z")
_HOLD = re.compile(rf"holds/({LABEL})/[^/]+\.json\Z", re.ASCII)
_REPORT = re.compile(r"restore_tests/[^/]+\.json\Z", re.ASCII)
_ERASURE = re.compile(r"erasures/\d{8}T\d{6}Z-[0-9a-f]+\.json\Z", re.ASCII)
_DAMAGED = re.compile(r"damaged/(\d{8}T\d{6}Z-[0-9a-f]+)/(?:repair\.json|object)\Z", re.ASCII)
_LEASE = re.compile(r"restores/([0-9a-f]{12})/(?:begun|ended)\Z")
_HISTORY = re.compile(r"wal/(\d+)/[0-9A-F]{8}\.history\Z", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """``name``: ``core`` (whose the repository is), ``backup``, ``files``, ``dump``, ``wal``, ``history``, ``hold``,
    ``lease``, ``report`` (of a restore test), ``audit``, ``erasure``, ``log``, ``damaged`` (what a repair removed) or
    ``foreign``.

    ``owner`` is a backup's, a copy's or a dump's label, or the system identifier of WAL; ``part`` the rest: the file's
    name of a backup, the set of a copy, the database of a dump (percent-encoded), the segment's name of WAL; of an
    event of the audit trail they are its chain, and day and number; of a chunk of a log its stream and day.
    ``record`` marks what makes a backup, copy or dump exist, ``segment`` a complete segment, ``piece`` a part of one.
    """

    name: str
    owner: str = ""
    part: str = ""
    record: bool = False
    segment: bool = False
    piece: bool = False


FOREIGN = Kind("foreign")


def kind_of(cluster: str, key: str) -> Kind:
    """What the object ``key`` (relative to the store's prefix) is in the repository of this cluster."""
    if not key.startswith(f"{cluster}/"):
        return FOREIGN
    rest = key[len(cluster) + 1 :]
    if rest.startswith("wal/"):
        return _wal(rest)
    if match := _BACKUP.match(rest):
        label, name = match.groups()
        return Kind("backup", label, name, record=name == MANIFEST)
    if match := _FILES.match(rest):
        file_set, label, name = match.groups()
        return Kind("files", label, file_set, record=name == MANIFEST)
    if match := _DUMP.match(rest):
        database, label, name = match.groups()
        return Kind("dump", label, database, record=name == MANIFEST)
    if match := _HOLD.match(rest):
        return Kind("hold", match.group(1))
    if _REPORT.match(rest):
        return Kind("report")
    if match := _LEASE.match(rest):
        return Kind("lease", match.group(1))
    if place := audit_place(key):
        return Kind("audit", place[0], f"{place[1]}/{place[2]:010d}")
    if match := _DAMAGED.match(rest):
        return Kind("damaged", match.group(1))
    if _ERASURE.match(rest):
        return Kind("erasure")
    if chunk := log_chunk(key):
        return Kind("log", chunk.stream, f"{chunk.stored:%Y%m%d}")
    return Kind("core") if _CORE.match(rest) else FOREIGN


def _wal(rest: str) -> Kind:
    match = _WAL.match(rest)
    if match:
        system, digest, name, extra, stored = match.group(1, 2, 5, 6, 7)
        if bool(digest) == bool(stored):
            return FOREIGN
        complete = extra is None and digest is None
        return Kind("wal", system, name, segment=complete, piece=bool(extra and extra.endswith(".partial")))
    history = _HISTORY.match(rest)
    return Kind("history", history.group(1)) if history else FOREIGN
