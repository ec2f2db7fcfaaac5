# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that builds the keys of a repository, format 1.

<cluster>/repository.json
<cluster>/systems/<system identifier>.json
<cluster>/backups/<label>/base.tar.zst  <oid>.tar.zst  backup_manifest  manifest.json    (or .tar.lz4, .tar; or volumes
    base.00001.tar.zst  base.00002.tar.zst …)
<cluster>/files/<set>/<label>/data.tar.zst  index.jsonl.zst  manifest.json
<cluster>/dumps/<database>/<label>/data.pgdump.zst  globals.sql.zst  manifest.json    (or data.pgdump.tar.zst)
<cluster>/wal/<system identifier>/<timeline>.history
<cluster>/wal/<system identifier>/<timeline>/<log>/<file>.zst
<cluster>/wal/<system identifier>/<timeline>/<log>/<segment>.acknowledged    all WAL up to its end is archived
<cluster>/wal/<system identifier>/sha256/<timeline>.history  <timeline>/<log>/<file>    digests of history, sealed file
<cluster>/wal/<system identifier>/<timeline>/<log>/<segment>.<from>-<to>.partial.zst    a piece: these bytes of it
<cluster>/holds/<label>/<time>-held-<token>.json    (and, of older versions, <time>-released-<token>.json)
<cluster>/releases/<label>/<time>-<token>.json    that holds are released; the writer's identity may not put them
<cluster>/verifications/<time>-<token>.json
<cluster>/restore_tests/<time>-<token>.json
<cluster>/audit/<chain>/<day>/<number>.json    an event; a chain is <host>.<user>
<cluster>/erasures/<time>-<token>.json
<cluster>/drills/<time>-<scenario>/report.json  report.html  evidence.tar.gz  checklist.json  SHA256SUMS  manifest.json
<cluster>/leadership/<system identifier>/<epoch>.json    an epoch: from it on a site leads
<cluster>/incidents/<id>/<number>.json    an event of an incident
<cluster>/diverged/<system identifier>/<time>-<token>/<segment>.zst  commits.tsv.zst  diverged.json    WAL behind a fork
<cluster>/logs/<stream>/<day>/<stored><microseconds>-<first line>-<host>-<digest>.jsonl.zst    a chunk of a log
<cluster>/restores/<token>/begun  held-<number>  ended    that a restore reads; below writes/ what is being written
<cluster>/damaged/<time>-<token>/repair.json  object    what was removed by a repair, and why
.lifeboat-trial/<token>    what a store was tried with; no cluster's name begins with a dot

A sealed object's key ends in ``.age`` as well: ``base.tar.zst.age``, ``backup_manifest.age``, ``<file>.zst.age``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Optional, Sequence, Tuple
from urllib.parse import quote

from ..base.wal_names import is_history, split_name
from ..records.model import ArchiveFile
from .labels import LABEL, begun, stamp

_AUDIT = re.compile(r"[^/]+/audit/([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)/(\d{8})/(\d{10})\.json\Z", re.ASCII)
_STAMPED = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{1,64}\.json\Z", re.ASCII)
_RELEASE = re.compile(rf"[^/]+/releases/({LABEL})/(\d{{8}}T\d{{6}}Z)-[0-9a-f]{{1,64}}\.json\Z", re.ASCII)
_HOLD = re.compile(rf"[^/]+/holds/({LABEL})/(\d{{8}}T\d{{6}}Z)-(held|released)-[0-9a-f]{{1,64}}\.json\Z", re.ASCII)
_EPOCH = re.compile(r"[^/]+/leadership/(\d{1,20})/([0-9A-F]{8})\.json\Z", re.ASCII)
_PIECE = re.compile(r"/([0-9A-F]{24})\.([0-9A-F]{8})-([0-9A-F]{8})\.partial\.zst\Z")
MANIFEST = "manifest.json"
#: How the label of a drill looks, as a regular expression (ASCII): when it was stored, and the scenario.
DRILL = r"\d{8}T\d{6}Z-[a-z][a-z0-9_]{0,31}"
SERVER_MANIFEST = "backup_manifest"
#: The record of WAL behind a fork, and the list of its commits.
DIVERGED, DIVERGED_COMMITS = "diverged.json", "commits.tsv"
#: How the name of an object ends that says how far WAL is acknowledged.
ACKNOWLEDGED = ".acknowledged"
FILE_SET_DATA, FILE_SET_INDEX = "data.tar.zst", "index.jsonl.zst"
DUMP_DATA, DUMP_DIRECTORY, DUMP_GLOBALS = "data.pgdump.zst", "data.pgdump.tar.zst", "globals.sql.zst"
_SEALED = ".age"
_COMPRESSIONS = {"zstd": ".zst", "lz4": ".lz4", "none": ""}


def trial(token: str) -> str:
    """The object that a store is tried with."""
    return f".lifeboat-trial/{token}"


def archive_name(tablespace: Optional[str], compression: str, volume: int = 0) -> str:
    """The archive of a tablespace (its OID), or of the data directory (None), before it is sealed.

    ``volume``: the number of one of its volumes, from 1 on; 0 for the whole.
    """
    number = f".{volume:05d}" if volume else ""
    return f"{tablespace or 'base'}{number}.tar{_COMPRESSIONS[compression]}"


def compression_of(name: str) -> str:
    """The compression of a stored archive, sealed or not: zstd, lz4 or none."""
    clear = clear_name(name)
    return next((method for method, end in _COMPRESSIONS.items() if end and clear.endswith(end)), "none")


def sealed_name(name: str, sealed: bool = True) -> str:
    """The name or key of an object, as it is when it is sealed."""
    return f"{name}{_SEALED}" if sealed else name


def is_sealed(name: str) -> bool:
    """Whether the object of this name or key is sealed."""
    return name.endswith(_SEALED)


def clear_name(name: str) -> str:
    """The name or key without its mark of a sealed object."""
    return name[: -len(_SEALED)] if is_sealed(name) else name


def server_manifest(files: Sequence[ArchiveFile]) -> ArchiveFile:
    """PostgreSQL's own manifest among the files of a backup."""
    return next(f for f in files if clear_name(f.name) == SERVER_MANIFEST)


@dataclass(frozen=True)
class Layout:
    """The keys of one cluster, relative to the store's prefix."""

    cluster: str

    @property
    def repository(self) -> str:
        """The record that makes this a repository."""
        return f"{self.cluster}/repository.json"

    @property
    def systems(self) -> str:
        """Prefix of the records of the known system identifiers."""
        return f"{self.cluster}/systems/"

    def system(self, identifier: str) -> str:
        """The record of a system identifier."""
        return f"{self.systems}{identifier}.json"

    @property
    def backups(self) -> str:
        """Prefix of all base backups."""
        return f"{self.cluster}/backups/"

    def backup(self, label: str, name: str) -> str:
        """A file of a backup."""
        return f"{self.backups}{label}/{name}"

    def manifest(self, label: str) -> str:
        """The record that makes a backup exist."""
        return self.backup(label, MANIFEST)

    @property
    def holds(self) -> str:
        """Prefix of all holds and releases."""
        return f"{self.cluster}/holds/"

    def hold(self, label: str, at: datetime, token: str) -> str:
        """The record of a hold on a backup."""
        return f"{self.holds}{label}/{stamp(at)}-held-{token}.json"

    @property
    def releases(self) -> str:
        """Prefix of all releases."""
        return f"{self.cluster}/releases/"

    def release(self, label: str, at: datetime, token: str) -> str:
        """The record that the holds of a backup were released."""
        return f"{self.releases}{label}/{stamp(at)}-{token}.json"

    @property
    def verifications(self) -> str:
        """Prefix of the results of all verifications."""
        return f"{self.cluster}/verifications/"

    def verification(self, at: datetime, token: str) -> str:
        """The result of a verification."""
        return f"{self.verifications}{stamp(at)}-{token}.json"

    @property
    def repairs(self) -> str:
        """Prefix of what repairs removed."""
        return f"{self.cluster}/damaged/"

    def damaged(self, at: datetime, token: str, name: str) -> str:
        """Of a repair its record ``repair.json``, or the damaged ``object`` as it was."""
        return f"{self.repairs}{stamp(at)}-{token}/{name}"

    @property
    def restore_tests(self) -> str:
        """Prefix of the reports of restore tests."""
        return f"{self.cluster}/restore_tests/"

    def restore_test(self, at: datetime, token: str) -> str:
        """The report of a restore test."""
        return f"{self.restore_tests}{stamp(at)}-{token}.json"

    @property
    def audit(self) -> str:
        """Prefix of the audit trail."""
        return f"{self.cluster}/audit/"

    def audit_event(self, chain: str, at: datetime, number: int) -> str:
        """An event: the ``number``-th of its chain."""
        return f"{self.audit}{chain}/{stamp(at)[:8]}/{number:010d}.json"

    @property
    def erasures(self) -> str:
        """Prefix of the register of erasures."""
        return f"{self.cluster}/erasures/"

    def erasure(self, at: datetime, token: str) -> str:
        """The record of an erasure."""
        return f"{self.erasures}{stamp(at)}-{token}.json"

    @property
    def drills(self) -> str:
        """Prefix of all drills."""
        return f"{self.cluster}/drills/"

    @property
    def leadership(self) -> str:
        """Prefix of the epochs of all system identifiers."""
        return f"{self.cluster}/leadership/"

    def epochs(self, system: str) -> str:
        """Prefix of the epochs of a system identifier."""
        return f"{self.leadership}{system}/"

    def epoch(self, system: str, number: int) -> str:
        """The record of an epoch."""
        return f"{self.epochs(system)}{number:08X}.json"

    def diverged(self, system: str = "", label: str = "", name: str = "") -> str:
        """Prefix of the WAL behind forks: all of it, a system identifier's, one copy; or a file of a copy, clear."""
        file = name if name in ("", DIVERGED) else f"{name}.zst"
        parts = [part for part in (system, label) if part]
        return "".join([f"{self.cluster}/diverged/", *(f"{part}/" for part in parts), file])

    def incidents(self, incident: str = "") -> str:
        """Prefix of all incidents, or of the events of one."""
        return f"{self.cluster}/incidents/{incident}/" if incident else f"{self.cluster}/incidents/"

    def incident_event(self, incident: str, number: int) -> str:
        """The record of an event."""
        return f"{self.incidents(incident)}{number:06d}.json"

    @property
    def logs(self) -> str:
        """Prefix of all streams of logs."""
        return f"{self.cluster}/logs/"

    def log_stream(self, stream: str, day: str = "") -> str:
        """Prefix of a stream, or of one day (``20261123``) of it."""
        return f"{self.logs}{stream}/{day}/" if day else f"{self.logs}{stream}/"

    def log(self, stream: str, name: str) -> str:
        """A chunk of a stream, by the name that :func:`.log_names.log_name` made."""
        return f"{self.log_stream(stream, name[:8])}{name}"

    def leases(self, area: str) -> str:
        """Prefix of what restores (``restores``) or writers (``writes``) tell of themselves."""
        return f"{self.cluster}/{area}/"

    def lease(self, area: str, token: str, word: str) -> str:
        """That one of them has ``begun``, was still at it (``held-000001``), or has ``ended``."""
        return f"{self.leases(area)}{token}/{word}"

    @property
    def files(self) -> str:
        """Prefix of all copies of all file sets."""
        return f"{self.cluster}/files/"

    def file_set_prefix(self, name: str) -> str:
        """Prefix of all copies of a file set."""
        return f"{self.files}{name}/"

    def file_set(self, name: str, label: str, file: str) -> str:
        """A file of a copy of a file set."""
        return f"{self.file_set_prefix(name)}{label}/{file}"

    @property
    def dumps(self) -> str:
        """Prefix of all dumps."""
        return f"{self.cluster}/dumps/"

    def dump_prefix(self, database: str) -> str:
        """Prefix of all dumps of a database."""
        return f"{self.dumps}{database_part(database)}/"

    def dump(self, database: str, label: str, file: str) -> str:
        """A file of a dump."""
        return f"{self.dump_prefix(database)}{label}/{file}"

    @property
    def wal_systems(self) -> str:
        """Prefix of the WAL of all system identifiers."""
        return f"{self.cluster}/wal/"

    def wal_root(self, system: str) -> str:
        """Prefix of all WAL of a system identifier."""
        return f"{self.cluster}/wal/{system}/"

    def wal_log(self, system: str, timeline: int, log: Optional[int] = None) -> str:
        """Prefix of a timeline's WAL, or of one log's (4 GiB) of it."""
        prefix = f"{self.wal_root(system)}{timeline:08X}/"
        return prefix if log is None else f"{prefix}{log:08X}/"

    def wal(self, system: str, name: str) -> str:
        """A file that PostgreSQL archives, by the name PostgreSQL gives it."""
        if is_history(name):
            return f"{self.wal_root(system)}{name}"
        timeline, log = split_name(name)
        return f"{self.wal_root(system)}{timeline}/{log}/{name}.zst"

    def wal_forms(self, system: str, name: str, sealed_first: bool = False) -> Tuple[str, ...]:
        """Every key that a WAL file may have: clear and sealed. A history file holds no data and is never sealed."""
        clear = self.wal(system, name)
        if is_history(name):
            return (clear,)
        return (sealed_name(clear), clear) if sealed_first else (clear, sealed_name(clear))

    def wal_digests(self, system: str) -> str:
        """Prefix of the digests of history files and of all sealed WAL."""
        return f"{self.wal_root(system)}sha256/"

    def wal_digest(self, system: str, name: str) -> str:
        """The SHA-256 of the content of a history file or a sealed WAL file, in the form of ``sha256sum``."""
        if is_history(name):
            return f"{self.wal_digests(system)}{name}"
        timeline, log = split_name(name)
        return f"{self.wal_digests(system)}{timeline}/{log}/{name}"

    def wal_pieces(self, system: str, segment: str) -> str:
        """Prefix of the pieces of a segment (and of its ``.partial`` and ``.backup`` files)."""
        return f"{self.wal(system, segment)[: -len('.zst')]}."

    def wal_piece(self, system: str, segment: str, start: int, stop: int) -> str:
        """The bytes of a segment from offset ``start`` up to, not including, ``stop``."""
        return f"{self.wal_pieces(system, segment)}{start:08X}-{stop:08X}.partial.zst"

    def wal_acknowledged(self, system: str, segment: str) -> str:
        """That PostgreSQL was told, or is about to be: all up to the end of this segment is archived."""
        return f"{self.wal(system, segment)[: -len('.zst')]}{ACKNOWLEDGED}"


def database_part(database: str) -> str:
    """The name of a database in a key: percent-encoded (RFC 3986), a dot at its beginning too."""
    name = quote(database, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def wal_name(key: str) -> str:
    """The reverse of :meth:`Layout.wal` and its forms: PostgreSQL's name for the object ``key``."""
    name = clear_name(key.rsplit("/", 1)[-1])
    return name[:-4] if name.endswith(".zst") else name


def piece_of(key: str) -> Optional[Tuple[str, int, int]]:
    """The reverse of :meth:`Layout.wal_piece`: segment, start and stop; None for another object."""
    match = _PIECE.search(key)
    return (match.group(1), int(match.group(2), 16), int(match.group(3), 16)) if match else None


def stamp_of(key: str) -> Optional[datetime]:
    """The time in the key of a verification, a report or an erasure, to the second; None for another object."""
    match = _STAMPED.match(key.rsplit("/", 1)[-1])
    return begun(match.group(1)) if match else None


@dataclass(frozen=True)
class HoldPlace:
    """What a key says of a hold or release: the label, when, to the second, and whether it lies below ``releases/``."""

    label: str
    at: datetime
    held: bool
    apart: bool


def hold_place(key: str) -> Optional[HoldPlace]:
    """The reverse of :meth:`Layout.hold` and :meth:`Layout.release`; None for another object."""
    match = _HOLD.match(key) or _RELEASE.match(key)
    at = begun(match.group(2)) if match else None
    if match is None or at is None or begun(match.group(1)) is None:
        return None
    apart = match.re is _RELEASE
    return HoldPlace(match.group(1), at, not apart and match.group(3) == "held", apart)


def audit_place(key: str) -> Optional[Tuple[str, str, int]]:
    """The reverse of :meth:`Layout.audit_event`: chain, day (``20261123``) and number; None for another object."""
    match = _AUDIT.match(key)
    return (match.group(1), match.group(2), int(match.group(3))) if match else None


def epoch_place(key: str) -> Optional[Tuple[str, int]]:
    """The reverse of :meth:`Layout.epoch`: system identifier and number; None for another object."""
    match = _EPOCH.match(key)
    number = int(match.group(2), 16) if match else 0
    return (match.group(1), number) if match and number else None
