# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a backup, and the recovery target.

``BackupManifest`` is ``manifest.json``, format 1, or 2 if an archive has several volumes. It has no data and no
secrets. LSNs are ints here and ``X/X`` in JSON; times are aware and UTC here, and ISO 8601 in JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Pattern, Set, Tuple

from ..base.errors import ConfigError, ObjectCorrupt
from ..base.wal_names import SEGMENT_SIZES, format_lsn, parse_lsn
from .fields import LABEL, MOST_RECORD, MOST_TIMELINE, SHA256, SYSTEM, Fields, parse_object, printable, too_new
from .tablespace import Tablespace

FORMAT, FORMAT_VOLUMES = 1, 2
BACKUP_TYPES = ("full", "differential", "incremental")


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z, with microseconds only if there are any."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The reverse of :func:`format_time`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True)
class ArchiveFile:
    """One stored file of a backup: its name, stored size in bytes, SHA-256, and tablespace.

    ``content_sha256``: the SHA-256 of a sealed ``backup_manifest`` before it was sealed.
    """

    name: str
    size: int
    sha256: str
    tablespace: Optional[str] = None
    content_sha256: Optional[str] = None


@dataclass(frozen=True)
class BackupManifest:
    """One base backup: its type, size and files, where its WAL begins and ends, and the requirements on a host.

    ``finished_at``: the server's clock once the backup was consistent, the earliest moment to restore to.
    ``data_size``: the size of all its files when extracted, including tablespaces; ``restored_size``: the largest size
    after combining them with those of the parents (0 in a full one, where it is the same). ``requirements``
    is described in :mod:`.postgres.requirements`; ``timings`` are seconds by phase. ``recipients`` of ``age`` can open
    it; a backup without any is not sealed. ``contents`` is described in :mod:`.contents`.
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
        """The size of the restored cluster in bytes, including tablespaces."""
        return self.restored_size or self.data_size

    @property
    def stored_size(self) -> int:
        """Bytes in the repository."""
        return sum(f.size for f in self.files)

    @property
    def volumes(self) -> bool:
        """Whether an archive has several files."""
        return any(match and match.group(2) for match in (_BACKUP_FILE.match(file.name) for file in self.files))

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON-serializable data, without its checksum."""
        data: dict[str, Any] = {"format": FORMAT_VOLUMES if self.volumes else FORMAT, **asdict(self)}
        for key in ("start_lsn", "stop_lsn"):
            data[key] = format_lsn(data[key])
        for key in ("started_at", "finished_at"):
            data[key] = format_time(data[key])
        data["files"] = [asdict(f) for f in self.files]
        data["tablespaces"] = [asdict(t) for t in self.tablespaces]
        data["recipients"] = list(self.recipients)
        return data


def seal_record(data: Mapping[str, Any]) -> bytes:
    """A JSON record with its own checksum: ``sha256`` over the record without that key, with sorted keys."""
    body = {k: v for k, v in data.items() if k != "sha256"}
    return (json.dumps({**body, "sha256": _digest(body)}, indent=2, sort_keys=True) + "\n").encode()


def open_record(raw: bytes, name: str, most: int = MOST_RECORD, newest: int = FORMAT_VOLUMES) -> dict[str, Any]:
    """Parse and check a record of :func:`seal_record`; ObjectCorrupt names the object.

    Bounded as in :func:`.fields.parse_object`: a writer can store any JSON with a valid checksum.
    """
    hint = "Repair the damaged object from another repository: lifeboat verify --repair."
    name = printable(name)
    try:
        data = parse_object(raw, most)
        good = data["sha256"] == _digest({k: v for k, v in data.items() if k != "sha256"})
    except (ValueError, KeyError) as exc:
        raise ObjectCorrupt(f"{name} is not readable as a Lifeboat record.", hint, key=name) from exc
    if not good:
        raise ObjectCorrupt(f"{name} does not match its own checksum.", hint, key=name)
    told = data.get("format")
    if isinstance(told, int) and told > newest:
        raise too_new(data, name, newest)
    if not isinstance(told, int) or isinstance(told, bool) or told < FORMAT:
        raise ObjectCorrupt(
            f"{name} has format {told if isinstance(told, int) else '?'}; this Lifeboat reads up to {newest}.",
            "Use the Lifeboat release that wrote it, or a newer one.",
            key=name,
        )
    # Whether the signature counts was decided when it was read.
    data.pop("signature", None)
    return data


def open_fields(raw: bytes, name: str, most: int = MOST_RECORD, newest: int = FORMAT) -> Fields:
    """As :func:`open_record`, to parse field by field. Only backups have a newer format."""
    return Fields(open_record(raw, name, most, newest), name)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def dump_manifest(manifest: BackupManifest) -> bytes:
    """The bytes of ``manifest.json``."""
    return seal_record(manifest.as_dict())


#: The files of a backup: an archive of the data directory or of a tablespace, and the server's manifest.
_BACKUP_FILE = re.compile(
    r"(?:(?:base|([1-9][0-9]{0,9}))(?:\.((?!0{5})[0-9]{5}))?(\.tar(?:\.zst|\.lz4)?(?:\.age)?)"
    r"|(backup_manifest)(?:\.age)?)\Z",
    re.ASCII,
)
_OID = re.compile(r"[1-9][0-9]{0,9}\Z", re.ASCII)
# An absolute path, or that of a tablespace in the data directory.
_LOCATION = re.compile(r"(?:/[^\x00-\x1f\x7f\ud800-\udfff]*|pg_tblspc/[1-9][0-9]{0,9})\Z", re.ASCII)
#: Volumes included.
MOST_FILES = 10_000
# Bytes. The backup_manifest is read into memory, and has about 150 bytes for each file of the cluster.
_MOST_SERVER_MANIFEST = 2**32
#: Bytes, more than any store accepts as one object, and than any cluster has.
MOST_BYTES = 2**60


def read_file(fields: Fields, names: Optional[Pattern[str]] = None) -> ArchiveFile:
    """A stored file; ``names`` must match its name."""
    return ArchiveFile(
        name=fields.text("name", names or _BACKUP_FILE),
        size=fields.integer("size", 0, MOST_BYTES),
        sha256=fields.text("sha256", SHA256),
        tablespace=fields.maybe_text("tablespace", _OID),
        content_sha256=fields.maybe_text("content_sha256", SHA256),
    )


def load_manifest(raw: bytes, name: str) -> BackupManifest:
    """The manifest of these bytes; ObjectCorrupt (naming ``name``) if anything is invalid."""
    fields = open_fields(raw, name, newest=FORMAT_VOLUMES)
    kind = fields.text("type")
    if kind not in BACKUP_TYPES:
        raise fields.wrong("type", f"is none of {', '.join(BACKUP_TYPES)}")
    size = fields.integer("segment_size")
    if size not in SEGMENT_SIZES:
        raise fields.wrong("segment_size", f"is {size}, not a power of two from 1 MiB to 1 GiB")
    spaces = tuple(
        Tablespace(
            oid=space.text("oid", _OID),
            name=space.text("name", most=255),
            location=space.text("location", _LOCATION),
            size=space.integer("size", 0, MOST_BYTES, default=0),
            restored_size=space.integer("restored_size", 0, MOST_BYTES, default=0),
        )
        for space in fields.inners("tablespaces", default=())
    )
    return BackupManifest(
        label=fields.text("label", LABEL),
        type=kind,
        cluster=fields.text("cluster", most=255),
        system_identifier=fields.text("system_identifier", SYSTEM),
        timeline=fields.integer("timeline", 1, MOST_TIMELINE),
        start_lsn=fields.lsn("start_lsn"),
        stop_lsn=fields.lsn("stop_lsn"),
        segment_size=size,
        started_at=fields.moment("started_at"),
        finished_at=fields.moment("finished_at"),
        server_version=fields.text("server_version", most=255),
        server_version_num=fields.integer("server_version_num", 0, 10_000_000),
        files=_backup_files(fields, spaces),
        data_size=fields.integer("data_size", 0, MOST_BYTES),
        tablespaces=spaces,
        parent=fields.maybe_text("parent", LABEL),
        from_standby=fields.flag("from_standby", default=False),
        requirements=_requirements(fields),
        timings=_timings(fields),
        lifeboat_version=fields.text("lifeboat_version", most=255, default=""),
        restored_size=fields.integer("restored_size", 0, MOST_BYTES, default=0),
        recipients=fields.texts("recipients", default=()),
        contents=_contents(fields),
    )


def _backup_files(fields: Fields, spaces: Tuple[Tablespace, ...]) -> Tuple[ArchiveFile, ...]:
    """One archive of the data directory, one of each tablespace outside of it, and the server's manifest.

    An archive is one file, or volumes that are numbered from 1 on.
    """
    files = tuple(read_file(inner) for inner in fields.inners("files"))
    oids = [space.oid for space in spaces]
    found: Dict[str, List[int]] = {}
    endings: Dict[Optional[str], Set[str]] = {}
    for file in files:
        match = _BACKUP_FILE.match(file.name)
        oid, volume, ending, manifest = match.groups() if match else (None, None, None, None)
        if file.tablespace != oid:
            raise fields.wrong("files", f"say that {file.name} contains the tablespace {file.tablespace}")
        if oid is not None and oid not in oids:
            raise fields.wrong("files", f"have {file.name} of a tablespace that is not in the record")
        found.setdefault(manifest or oid or "base", []).append(int(volume or 0))
        if ending:
            endings.setdefault(oid, set()).add(ending)
    whole = all(numbers == [0] or sorted(numbers) == [*range(1, len(numbers) + 1)] for numbers in found.values())
    whole = whole and all(len(one) == 1 for one in endings.values())
    if not {"base", "backup_manifest"} <= set(found) or not whole or len(files) > MOST_FILES:
        raise fields.wrong("files", "are not exactly one of each, or volumes from 1 on")
    if any(f.size > _MOST_SERVER_MANIFEST for f in files if f.tablespace is None and f.name.startswith("backup_m")):
        raise fields.wrong("files", "have a backup_manifest that is too large")
    if len(set(oids)) != len(oids):
        raise fields.wrong("tablespaces", "are not exactly one of each")
    if not all(space.in_place or space.location.startswith("/") for space in spaces):
        raise fields.wrong("tablespaces", "share a path in the data directory")
    return files


def _requirements(fields: Fields) -> Mapping[str, Any]:
    found = Fields(fields.free("requirements", default={}), fields.name, "requirements.")
    for name in ("settings", "config_files", "databases", "extensions"):
        if found.has(name):
            found.entries(name)
    return found.data


def _timings(fields: Fields) -> Mapping[str, float]:
    found = fields.entries("timings", default={})
    return {phase: found.number(phase) for phase in found.data}


def _contents(fields: Fields) -> Mapping[str, Any]:
    """The contents, in the shape of :func:`.contents.read_contents`."""
    found = fields.entries("contents", default={})
    for database in found.data:
        inner = found.inner(database)
        if inner.has("error"):
            inner.lines("error")
            continue
        for unit in ("bytes", "tables"):
            inner.integer(unit)
        for name in ("largest", "rows"):
            counts = inner.entries(name)
            for table in counts.data:
                counts.integer(table)
    return found.data


# Not str.isdigit() or int(): they accept the digits of every script, and int() also signs and underscores.
_NUMBER = re.compile(r"^[0-9]+\Z")
TARGET_KINDS = ("latest", "immediate", "time", "lsn", "xid", "name")


@dataclass(frozen=True)
class Target:
    """Where recovery stops (PostgreSQL manual, "Recovery Target").

    ``timeline`` is ``latest``, ``current`` or a number. ``inclusive``: whether the target itself is replayed; it has
    no effect for ``latest``, ``immediate`` and ``name``.
    """

    kind: str = "latest"
    value: Optional[str] = None
    inclusive: bool = True
    timeline: str = "latest"

    def __post_init__(self) -> None:
        if self.kind not in TARGET_KINDS:
            raise ConfigError(f"Unknown recovery target {self.kind!r}.", f"Choose one of: {', '.join(TARGET_KINDS)}.")
        if (self.value is None) != (self.kind in ("latest", "immediate")):
            raise ConfigError(
                f"The recovery target '{self.kind}' {'needs' if self.value is None else 'takes no'} value.",
                "Use, for example, time '2026-11-22 14:02:00+00', lsn 0/3000028, xid 742, or name before_deploy.",
            )
        if self.timeline not in ("latest", "current") and not _NUMBER.match(self.timeline):
            raise ConfigError(
                f"The recovery target timeline is {self.timeline!r}.", "Use latest, current, or a number such as 2."
            )
        if self.kind == "lsn":
            _checked(parse_lsn, self.value or "", "an LSN", "Write it as 0/3000028.")
        if self.kind == "xid":
            _checked(_read_number, self.value or "", "a transaction id", "Write a number such as 742.")
        if self.kind == "time":
            _checked(
                read_moment,
                self.value or "",
                "a time",
                "Write it as '2026-11-22 14:02:00+00' or 2026-11-22T14:02:00Z.",
            )

    def moment(self, default_zone: Any = timezone.utc) -> datetime:
        """The time of a time target, aware; a time without a zone is interpreted in ``default_zone``."""
        moment = read_moment(self.value or "")
        return moment if moment.tzinfo else moment.replace(tzinfo=default_zone)

    def resolved(self, default_zone: Any) -> Target:
        """The same target with its time converted to UTC."""
        if self.kind != "time":
            return self
        return replace(self, value=format_time(self.moment(default_zone)))

    def describe(self) -> str:
        """The target as text: ``time 2026-11-22T14:02:00Z (exclusive)``."""
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
    """A time as people and PostgreSQL write it: ``2026-11-22 14:02:00.5+00``, ``…Z``, ``… UTC``, or no zone."""
    match = _MOMENT.match(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time")
    day, minute, second, fraction, utc, hours, minutes = match.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    return datetime.fromisoformat(
        f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or '')[:6].ljust(6, '0')}{zone}"
    )


def read_aware(value: Any, what: str) -> datetime:
    """A time with a zone, given as text or parsed by YAML, in UTC; ConfigError names ``what`` it is."""
    try:
        found = value if isinstance(value, datetime) else read_moment(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(
            f"{what} is {str(value)!r}.",
            "Use a time with a zone, such as 2026-11-22T14:01:59+00:00 or 2026-11-22T14:01:59Z.",
        )
    return found.astimezone(timezone.utc)
