# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kind of an object in a repository, from its key: the reverse of :mod:`.layout`. Pure.

Only keys exactly as Lifeboat builds them are recognized; everything else in the bucket is ``foreign``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from .labels import LABEL, begun
from .layout import DIVERGED, DRILL, MANIFEST, audit_place, epoch_place, hold_place, stamp_of
from .log_names import log_chunk

_BACKUP = re.compile(
    rf"backups/({LABEL})/(manifest\.json|backup_manifest(?:\.age)?|(?:base|\d+)(?:\.(?!0{{5}})\d{{5}})?\.tar(?:\.zst|\.lz4)?(?:\.age)?)\Z",
    re.ASCII,
)
_FILES = re.compile(
    r"files/([A-Za-z0-9][A-Za-z0-9._-]*)/(\d{8}T\d{6}Z-(?:files|changes))"
    r"/(manifest\.json|(?:data\.tar|index\.jsonl)\.zst(?:\.age)?)\Z",
    re.ASCII,
)
_DUMP = re.compile(
    r"dumps/([^/]+)/(\d{8}T\d{6}Z-dump)/(manifest\.json|(?:data\.pgdump(?:\.tar)?|globals\.sql)\.zst(?:\.age)?)\Z",
    re.ASCII,
)
_DRILL = re.compile(
    rf"drills/({DRILL})/(manifest\.json|report\.(?:json|html)|evidence\.tar\.gz|checklist\.json|SHA256SUMS)\Z", re.ASCII
)
_WAL = re.compile(
    r"wal/(\d+)/(sha256/)?([0-9A-F]{8})/([0-9A-F]{8})/(\3\4[0-9A-F]{8})"
    r"(\.[0-9A-F]{8}-[0-9A-F]{8}\.partial|\.partial|\.[0-9A-F]{8}\.backup)?(\.zst(?:\.age)?)?\Z",
    re.ASCII,
)
_ACKNOWLEDGED = re.compile(r"wal/(\d+)/([0-9A-F]{8})/([0-9A-F]{8})/(\2\3[0-9A-F]{8})\.acknowledged\Z", re.ASCII)
_CORE = re.compile(r"repository\.json\Z|systems/\d{1,20}\.json\Z", re.ASCII)
_STAMPED = {"restore_tests": "report", "verifications": "verification", "erasures": "erasure"}
_DAMAGED = re.compile(r"damaged/(\d{8}T\d{6}Z-[0-9a-f]+)/(?:repair\.json|object)\Z", re.ASCII)
_DIVERGED = re.compile(
    r"diverged/(\d{1,20})/(\d{8}T\d{6}Z-[0-9a-f]+)/(diverged\.json|(?:commits\.tsv|[0-9A-F]{24})\.zst(?:\.age)?)\Z",
    re.ASCII,
)
_LEASE = re.compile(r"(restores|writes)/([0-9a-f]{12})/(?:begun|held-\d{6}|ended)\Z", re.ASCII)
_INCIDENT = re.compile(r"[^/]+/incidents/(\d{8}T\d{6}Z-[A-Za-z0-9][A-Za-z0-9._-]{0,62})/(\d{6})\.json\Z", re.ASCII)
_HISTORY = re.compile(r"wal/(\d+)/(?:sha256/)?[0-9A-F]{8}\.history\Z", re.ASCII)

_RECORDS = {
    "core": "repository", "report": "restore_test", "erasure": "erasure", "damaged": "repair", "release": "release",
    "epoch": "epoch", "incident": "incident", "diverged": "diverged",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """``name``: ``core`` (the repository's owner), ``backup``, ``files``, ``dump``, ``wal``, ``history``, ``hold``,
    ``release`` (of holds), ``lease``, ``report`` (of a restore test), ``verification``, ``audit``, ``erasure``,
    ``epoch`` (of leadership), ``drill`` (its evidence), ``incident`` (an event of one), ``diverged`` (WAL of an
    old primary behind a fork), ``log``, ``damaged`` (what a repair removed) or ``foreign``.

    ``owner`` and ``part``: for a backup, label and file name; for a copy, label and set; for a dump, label and database
    (percent-encoded); for a drill, label and file name; for WAL, system identifier and segment name; for an epoch,
    system identifier and number; for an event of the audit trail, chain and day with number; for a chunk of a log,
    stream and day; for an event of an incident, incident and number; for WAL behind a fork, system
    identifier and label.
    ``record``: the object without which a backup, copy, dump, drill or diverged WAL does not exist.
    ``segment``: a complete segment. ``piece``: part of one. ``mark``: WAL is acknowledged up to the end of the segment.
    """

    name: str
    owner: str = ""
    part: str = ""
    record: bool = False
    segment: bool = False
    piece: bool = False
    mark: bool = False


FOREIGN = Kind("foreign")


def kind_of(cluster: str, key: str) -> Kind:
    """The kind of the object ``key`` (relative to the store's prefix) in the repository of this cluster."""
    if not key.startswith(f"{cluster}/"):
        return FOREIGN
    rest = key[len(cluster) + 1 :]
    if rest.startswith("wal/"):
        return _wal(rest)
    if (match := _BACKUP.match(rest)) and begun(match.group(1)):
        label, name = match.groups()
        return Kind("backup", label, name, record=name == MANIFEST)
    if (match := _FILES.match(rest)) and begun(match.group(2)):
        file_set, label, name = match.groups()
        return Kind("files", label, file_set, record=name == MANIFEST)
    if (match := _DUMP.match(rest)) and begun(match.group(2)):
        database, label, name = match.groups()
        return Kind("dump", label, database, record=name == MANIFEST)
    if (match := _DRILL.match(rest)) and begun(match.group(1)):
        label, name = match.groups()
        return Kind("drill", label, name, record=name == MANIFEST)
    if hold := hold_place(key):
        return Kind("release" if hold.apart else "hold", hold.label)
    directory, _sep, name = rest.partition("/")
    if directory in _STAMPED and "/" not in name and stamp_of(name):
        return Kind(_STAMPED[directory])
    if match := _LEASE.match(rest):
        return Kind("lease", match.group(2), match.group(1))
    if place := audit_place(key):
        return Kind("audit", place[0], f"{place[1]}/{place[2]:010d}")
    if epoch := epoch_place(key):
        return Kind("epoch", epoch[0], f"{epoch[1]:08X}")
    if incident := incident_place(key):
        return Kind("incident", incident[0], f"{incident[1]:06d}")
    if (match := _DIVERGED.match(rest)) and begun(match.group(2)):
        return Kind("diverged", match.group(1), match.group(2), record=match.group(3) == DIVERGED)
    if match := _DAMAGED.match(rest):
        return Kind("damaged", match.group(1))
    if chunk := log_chunk(key):
        return Kind("log", chunk.stream, f"{chunk.stored:%Y%m%d}")
    return Kind("core") if _CORE.match(rest) else FOREIGN


def record_kind(cluster: str, key: str, record: Mapping[str, Any]) -> str:
    """The kind of a record, as in :data:`..signing.KINDS`, with its set or database; ``other`` for none of them."""
    if key.startswith(f"{cluster}/verifications/"):
        return "verification"
    kind = kind_of(cluster, key)
    if kind.name in ("backup", "files", "dump", "drill"):
        if not kind.record:
            return "other"
        return kind.name if kind.name in ("backup", "drill") else f"{kind.name}/{kind.part}"
    if kind.name in ("hold", "release"):
        # Releases are recognized by name or by content.
        is_hold = kind.name == "hold" and "-held-" in key.rsplit("/", 1)[1]
        return "hold" if is_hold and record.get("held") is True else "release"
    if kind.name == "diverged" and not kind.record:
        return "other"
    if kind.name == "damaged" and not key.endswith("/repair.json"):
        return "other"
    return _RECORDS.get(kind.name, "other")


def incident_place(key: str) -> Optional[Tuple[str, int]]:
    """The reverse of :meth:`.layout.Layout.incident_event`: incident and number; None for another object."""
    match = _INCIDENT.match(key)
    number = int(match.group(2)) if match and begun(match.group(1)) else 0
    return (match.group(1), number) if match and number else None


def _wal(rest: str) -> Kind:
    match = _WAL.match(rest)
    if match:
        system, digest, name, extra, stored = match.group(1, 2, 5, 6, 7)
        if bool(digest) == bool(stored):
            return FOREIGN
        complete = extra is None and digest is None
        return Kind("wal", system, name, segment=complete, piece=bool(extra and extra.endswith(".partial")))
    if mark := _ACKNOWLEDGED.match(rest):
        return Kind("wal", mark.group(1), mark.group(4), mark=True)
    history = _HISTORY.match(rest)
    return Kind("history", history.group(1)) if history else FOREIGN
