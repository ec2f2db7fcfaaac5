# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a dump: what it is, what a server must have to take it, and how many rows it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import BackupMissing, ObjectCorrupt, ObjectMissing
from ..model import FORMAT, ArchiveFile, format_time, open_record, parse_time
from ..repository.layout import DUMP_DIRECTORY, MANIFEST, clear_name
from ..repository.repository import Repository


@dataclass(frozen=True)
class Properties:
    """A database's own properties, which ``pg_restore`` sets only where it creates a database of the same name.

    ``provider`` is ``pg_database.datlocprovider``. ``settings`` are those of ``ALTER DATABASE … SET``; ``grants`` are
    grantee ("" for PUBLIC), privilege and whether it may be passed on; None where the privileges are the default.
    """

    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    locale: Optional[str] = None
    settings: Tuple[str, ...] = ()
    grants: Optional[Tuple[Tuple[str, str, bool], ...]] = None


@dataclass(frozen=True)
class Dump:
    """One dump. ``rows`` are the rows of each table in the snapshot of the dump, by quoted name; empty: not counted.

    ``extensions`` are names and versions, ``roles`` those that objects of the database belong or are granted to.
    ``data_size`` is what ``pg_dump`` wrote, in bytes. ``recipients`` can open it; without any it is clear.
    """

    label: str
    database: str
    cluster: str
    system_identifier: str
    host: str
    created_at: datetime
    server_version: str
    server_version_num: int
    data_size: int
    data: ArchiveFile
    globals: ArchiveFile
    properties: Properties
    extensions: Mapping[str, str] = field(default_factory=dict)
    roles: Tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    recipients: Tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Whether it is a tar archive of the directory format, not the custom format."""
        return clear_name(self.data.name) == DUMP_DIRECTORY

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it."""
        return {
            "format": FORMAT,
            **asdict(self),
            "created_at": format_time(self.created_at),
            "roles": list(self.roles),
            "recipients": list(self.recipients),
        }


def load_dump(raw: bytes, key: str) -> Dump:
    """The record of these bytes; ObjectCorrupt (naming ``key``) when anything is off."""
    data = open_record(raw, key)
    fields = {k: v for k, v in data.items() if k not in ("sha256", "format")}
    try:
        properties = dict(fields["properties"])
        grants = properties.get("grants")
        properties["settings"] = tuple(properties.get("settings", ()))
        properties["grants"] = None if grants is None else tuple((str(g), str(p), bool(o)) for g, p, o in grants)
        fields["properties"] = Properties(**properties)
        fields["created_at"] = parse_time(fields["created_at"])
        fields["data"], fields["globals"] = ArchiveFile(**fields["data"]), ArchiveFile(**fields["globals"])
        fields["roles"], fields["recipients"] = tuple(fields["roles"]), tuple(fields.get("recipients", ()))
        return Dump(**fields)
    except (KeyError, TypeError, ValueError) as exc:
        raise ObjectCorrupt(
            f"{key} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=key
        ) from exc


def list_dumps(repository: Repository, database: Optional[str] = None) -> List[Dump]:
    """The finished dumps, oldest first, of one database or of all."""
    layout, found = repository.layout, []
    prefixes = (
        [layout.dump_prefix(database)]
        if database is not None
        else [f"{layout.dumps}{name}" for name in repository.store.list_names(layout.dumps) if name.endswith("/")]
    )
    for prefix in prefixes:
        for name in repository.store.list_names(prefix):
            key = f"{prefix}{name}{MANIFEST}"
            try:
                found.append(load_dump(repository.store.get(key), key))
            except ObjectMissing:
                continue
    return sorted(found, key=lambda dump: (dump.label, dump.database))


def find_dump(repository: Repository, database: str, label: Optional[str] = None) -> Dump:
    """The dump of this label, or the newest; BackupMissing."""
    dumps = list_dumps(repository, database)
    chosen = next((d for d in reversed(dumps) if label in (None, d.label)), None)
    if chosen is None:
        known = ", ".join(d.label for d in dumps[-5:]) or "none"
        raise BackupMissing(
            f"Repository {repository.location} has no dump {label or ''} of database {database!r}; newest: {known}.",
            "lifeboat dump list shows all; lifeboat dump create DATABASE makes one.",
            database=database,
            label=label,
        )
    return chosen
