# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records that a repository keeps, and the recovery target.

``BackupManifest`` is ``manifest.json``, format 1. It holds no data and no secrets. LSNs are ints here and ``X/X`` in
JSON; times are aware UTC here and ISO 8601 there.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Mapping, Optional, Tuple

from .errors import ConfigError, ObjectCorrupt
from .postgres.wal_names import format_lsn, parse_lsn

FORMAT = 1
BACKUP_TYPES = ("full", "differential", "incremental")


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z, microseconds only where there are any."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The reverse of :func:`format_time`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True)
class ArchiveFile:
    """One stored file of a backup: its name, stored size in bytes and SHA-256, and the tablespace it holds.

    ``content_sha256`` is that of a sealed ``backup_manifest`` before it was sealed.
    """

    name: str
    size: int
    sha256: str
    tablespace: Optional[str] = None
    content_sha256: Optional[str] = None


@dataclass(frozen=True)
class Tablespace:
    """A tablespace outside the data directory. ``size`` is that of its files in this backup, in bytes.

    ``restored_size`` is what they take at most when they are put together with those of the parents; 0 in a full one.
    """

    oid: str
    name: str
    location: str
    size: int = 0
    restored_size: int = 0

    @property
    def final_size(self) -> int:
        """Bytes that the restored tablespace takes."""
        return self.restored_size or self.size


@dataclass(frozen=True)
class BackupManifest:
    """One base backup: what it is, where its WAL begins and ends, and what a host must have to run it.

    ``finished_at`` is the server's clock once the backup was consistent: the earliest moment to restore to.
    ``data_size`` is that of all its files when extracted, tablespaces included; ``restored_size`` what they take at
    most when they are put together with those of the parents (0 in a full one, where it is the same). ``requirements``
    is described in :mod:`.postgres.requirements`; ``timings`` are seconds by phase. ``recipients`` of ``age`` can open
    it; a backup without any is clear. ``contents`` are described in :mod:`.contents`.
    """

    label: str
    type: str
    cluster: str
    system_identifier: str
    timeline: int
    start_lsn: int
    stop_lsn: int
    segment_size: int
    started_at: datetime
    finished_at: datetime
    server_version: str
    server_version_num: int
    files: Tuple[ArchiveFile, ...]
    data_size: int
    tablespaces: Tuple[Tablespace, ...] = ()
    parent: Optional[str] = None
    from_standby: bool = False
    requirements: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    lifeboat_version: str = ""
    restored_size: int = 0
    recipients: Tuple[str, ...] = ()
    contents: Mapping[str, Any] = field(default_factory=dict)

    @property
    def final_size(self) -> int:
        """Bytes that the restored cluster takes, tablespaces included."""
        return self.restored_size or self.data_size

    @property
    def stored_size(self) -> int:
        """Bytes in the repository."""
        return sum(f.size for f in self.files)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON knows it, without its checksum."""
        data: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        for key in ("start_lsn", "stop_lsn"):
            data[key] = format_lsn(data[key])
        for key in ("started_at", "finished_at"):
            data[key] = format_time(data[key])
        data["files"] = [asdict(f) for f in self.files]
        data["tablespaces"] = [asdict(t) for t in self.tablespaces]
        data["recipients"] = list(self.recipients)
        return data


def seal_record(data: Mapping[str, Any]) -> bytes:
    """A JSON record with a checksum of itself: ``sha256`` over the record without that key, keys sorted."""
    body = {k: v for k, v in data.items() if k != "sha256"}
    return (json.dumps({**body, "sha256": _digest(body)}, indent=2, sort_keys=True) + "\n").encode()


def open_record(raw: bytes, name: str) -> dict[str, Any]:
    """Parse and check a record of :func:`seal_record`; ObjectCorrupt names the object."""
    hint = "The stored object is damaged: use another backup or another repository."
    try:
        data = json.loads(raw)
        good = data["sha256"] == _digest({k: v for k, v in data.items() if k != "sha256"})
    except (ValueError, KeyError, TypeError) as exc:
        raise ObjectCorrupt(f"{name} is not readable as a Lifeboat record.", hint, key=name) from exc
    if not good:
        raise ObjectCorrupt(f"{name} does not match its own checksum.", hint, key=name)
    if data.get("format") != FORMAT:
        raise ObjectCorrupt(
            f"{name} has format {data.get('format')!r}; this Lifeboat reads format {FORMAT}.",
            "Use the Lifeboat release that wrote it, or a newer one.",
            key=name,
        )
    return dict(data)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def dump_manifest(manifest: BackupManifest) -> bytes:
    """The bytes of ``manifest.json``."""
    return seal_record(manifest.as_dict())


def load_manifest(raw: bytes, name: str) -> BackupManifest:
    """The manifest of these bytes; ObjectCorrupt (naming ``name``) when anything is off."""
    data = open_record(raw, name)
    data.pop("sha256")
    data.pop("format")
    try:
        for key in ("start_lsn", "stop_lsn"):
            data[key] = parse_lsn(data[key])
        for key in ("started_at", "finished_at"):
            data[key] = parse_time(data[key])
        data["files"] = tuple(ArchiveFile(**f) for f in data["files"])
        data["tablespaces"] = tuple(Tablespace(**t) for t in data["tablespaces"])
        data["recipients"] = tuple(data.get("recipients", ()))
        return BackupManifest(**data)
    except (KeyError, TypeError, ValueError) as exc:
        raise ObjectCorrupt(
            f"{name} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=name
        ) from exc


# Not str.isdigit() or int(): they take the digits of every script, and int() also signs and underscores.
_NUMBER = re.compile(r"^[0-9]+\Z")
TARGET_KINDS = ("latest", "immediate", "time", "lsn", "xid", "name")


@dataclass(frozen=True)
class Target:
    """Where recovery stops (PostgreSQL manual, "Recovery Target").

    ``timeline`` is ``latest``, ``current`` or a number. ``inclusive`` tells whether the target itself is replayed;
    it means nothing for ``latest``, ``immediate`` and ``name``.
    """

    kind: str = "latest"
    value: Optional[str] = None
    inclusive: bool = True
    timeline: str = "latest"

    def __post_init__(self) -> None:
        if self.kind not in TARGET_KINDS:
            raise ConfigError(
                f"The recovery target {self.kind!r} is unknown.", f"Choose one of: {', '.join(TARGET_KINDS)}."
            )
        if (self.value is None) != (self.kind in ("latest", "immediate")):
            raise ConfigError(
                f"The recovery target '{self.kind}' {'needs' if self.value is None else 'takes no'} value.",
                "For example: time '2026-11-22 14:02:00+00', lsn 0/3000028, xid 742, name before_deploy.",
            )
        if self.timeline not in ("latest", "current") and not _NUMBER.match(self.timeline):
            raise ConfigError(
                f"The recovery target timeline is {self.timeline!r}.", "Use latest, current, or a number such as 2."
            )
        if self.kind == "lsn":
            _checked(parse_lsn, self.value or "", "an LSN", "Write it like 0/3000028.")
        if self.kind == "xid":
            _checked(_read_number, self.value or "", "a transaction id", "Write a number such as 742.")
        if self.kind == "time":
            _checked(
                read_moment,
                self.value or "",
                "a time",
                "Write it like '2026-11-22 14:02:00+00' or 2026-11-22T14:02:00Z.",
            )

    def moment(self, default_zone: Any = timezone.utc) -> datetime:
        """The time of a time target, aware; a time without a zone is taken in ``default_zone``."""
        moment = read_moment(self.value or "")
        return moment if moment.tzinfo else moment.replace(tzinfo=default_zone)

    def resolved(self, default_zone: Any) -> Target:
        """The same target with a time spelled out in UTC."""
        if self.kind != "time":
            return self
        return replace(self, value=format_time(self.moment(default_zone)))

    def describe(self) -> str:
        """For people: ``time 2026-11-22T14:02:00Z (exclusive)``."""
        words = self.kind if self.value is None else f"{self.kind} {self.value}"
        return words if self.inclusive or self.kind in ("latest", "immediate", "name") else f"{words} (exclusive)"


def _checked(read: Any, value: str, what: str, hint: str) -> None:
    try:
        read(value)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(f"The recovery target {value!r} is not {what}.", hint) from exc


def _read_number(text: str) -> int:
    if not _NUMBER.match(text):
        raise ValueError(f"{text!r} is not a number")
    return int(text)


_MOMENT = re.compile(
    r"^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(?:(Z|UTC)|([+-]\d\d)(?::?(\d\d))?)?$",
    re.IGNORECASE,
)


def read_moment(text: str) -> datetime:
    """A time as people and PostgreSQL write it: ``2026-11-22 14:02:00.5+00``, ``…Z``, ``… UTC``, or without a zone."""
    match = _MOMENT.match(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time")
    day, minute, second, fraction, utc, hours, minutes = match.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    return datetime.fromisoformat(
        f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or '')[:6].ljust(6, '0')}{zone}"
    )


def read_aware(value: Any, what: str) -> datetime:
    """A time with a zone, as text or as YAML has it, in UTC; ConfigError that names ``what`` it is."""
    try:
        found = value if isinstance(value, datetime) else read_moment(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(
            f"{what} is {str(value)!r}.", "Give a time with its zone: 2026-11-22T14:01:59+00:00, or with a Z."
        )
    return found.astimezone(timezone.utc)
