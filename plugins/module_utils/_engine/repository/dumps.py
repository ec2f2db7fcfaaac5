# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a dump: its contents, what a server needs to restore it, and its row counts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base.errors import BackupMissing
from ..records.fields import LABEL, SYSTEM, Fields
from ..records.model import FORMAT, MOST_BYTES, ArchiveFile, format_time, open_fields, read_file
from .layout import DUMP_DATA, DUMP_DIRECTORY, DUMP_GLOBALS, clear_name
from .plausible import Claim, copy_fault, lacking
from .records import Aside, read_labelled
from .repository import Repository


@dataclass(frozen=True)
class Properties:
    """A database's own properties, which ``pg_restore`` only sets if it creates a database of the same name.

    ``provider`` is ``pg_database.datlocprovider``. ``settings`` are those of ``ALTER DATABASE … SET``. ``grants`` are
    grantee ("" for PUBLIC), privilege and grant option; None for default privileges. ``role_settings`` are pairs of a
    role and a setting (``ALTER ROLE … IN DATABASE … SET``). ``connection_limit`` is -1 for none.
    """

    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    locale: Optional[str] = None
    settings: Tuple[str, ...] = ()
    grants: Optional[Tuple[Tuple[str, str, bool], ...]] = None
    role_settings: Tuple[Tuple[str, str], ...] = ()
    connection_limit: int = -1
    comment: str = ""


@dataclass(frozen=True)
class Dump:
    """One dump. ``rows`` are the row counts of its tables in the dump's snapshot, by quoted name; empty: not counted.

    ``extensions`` are names and versions, ``roles`` the owners and grantees of objects in the database. ``data_size``
    is the size of ``pg_dump``'s output in bytes. ``recipients`` can open the dump; without any it is not sealed.
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
        """Whether it is a tar archive of the directory format, as opposed to the custom format."""
        return clear_name(self.data.name) == DUMP_DIRECTORY

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON-serializable data."""
        return {
            "format": FORMAT,
            **asdict(self),
            "created_at": format_time(self.created_at),
            "roles": list(self.roles),
            "recipients": list(self.recipients),
        }


_DATA = re.compile(rf"(?:{re.escape(DUMP_DATA)}|{re.escape(DUMP_DIRECTORY)})(?:\.age)?\Z")
_GLOBALS = re.compile(rf"{re.escape(DUMP_GLOBALS)}(?:\.age)?\Z")
#: Names in PostgreSQL have up to 63 bytes, unless it was built with a higher limit.
_NAME = 255
_MOST_CONNECTIONS = 2**31 - 1


def load_dump(raw: bytes, key: str) -> Dump:
    """The record of these bytes; ObjectCorrupt (naming ``key``) if anything is wrong."""
    fields = open_fields(raw, key)
    extensions, rows = fields.entries("extensions", default={}), fields.entries("rows", default={})
    return Dump(
        label=fields.text("label", LABEL),
        database=fields.lines("database", _NAME),
        cluster=fields.text("cluster", most=255),
        system_identifier=fields.text("system_identifier", SYSTEM),
        host=fields.text("host", most=255),
        created_at=fields.moment("created_at"),
        server_version=fields.text("server_version", most=255),
        server_version_num=fields.integer("server_version_num", 0, 10_000_000),
        data_size=fields.integer("data_size", 0, MOST_BYTES),
        data=read_file(fields.inner("data"), _DATA),
        globals=read_file(fields.inner("globals"), _GLOBALS),
        properties=_properties(fields.inner("properties")),
        extensions={name: extensions.text(name) for name in extensions.data},
        roles=tuple(Fields({"role": r}, key, "roles.").lines("role", _NAME) for r in fields.listed("roles")),
        rows={table: rows.integer(table) for table in rows.data},
        recipients=fields.texts("recipients", default=()),
    )


def _properties(fields: Fields) -> Properties:
    roles: List[Tuple[str, str]] = []
    for value in fields.listed("role_settings", ()):
        if not isinstance(value, list) or len(value) != 2:
            raise fields.wrong("role_settings", "are not pairs of role and setting")
        own = Fields(dict(zip(("role", "setting"), value)), fields.name, "properties.role_settings.")
        roles.append((own.lines("role", _NAME), own.lines("setting")))
    grants: Optional[List[Tuple[str, str, bool]]] = None
    if fields.has("grants"):
        grants = []
        for value in fields.listed("grants"):
            if not isinstance(value, list) or len(value) != 3:
                raise fields.wrong("grants", "are not of the form grantee, privilege, option")
            grant = Fields(dict(zip(("grantee", "privilege", "option"), value)), fields.name, "properties.grants.")
            grants.append((grant.lines("grantee", _NAME), grant.text("privilege"), grant.flag("option")))
    return Properties(
        owner=fields.lines("owner", _NAME),
        encoding=fields.text("encoding", most=255),
        collate=fields.text("collate", most=255),
        ctype=fields.text("ctype", most=255),
        provider=fields.text("provider", most=1, default="c"),
        locale=fields.maybe_text("locale", most=255),
        settings=tuple(Fields({"setting": s}, fields.name).lines("setting") for s in fields.listed("settings", ())),
        grants=None if grants is None else tuple(grants),
        role_settings=tuple(roles),
        connection_limit=fields.integer("connection_limit", -1, _MOST_CONNECTIONS, default=-1),
        comment=fields.lines("comment", default=""),
    )


def list_dumps(repository: Repository, database: Optional[str] = None) -> List[Dump]:
    """The finished dumps, oldest first, of one database or of all, except damaged and implausible ones."""
    return read_dumps(repository, database)[0]


def read_dumps(repository: Repository, database: Optional[str] = None) -> Tuple[List[Dump], List[Aside]]:
    """The finished dumps as :func:`list_dumps`, and those that were set apart."""
    layout = repository.layout
    found: List[Dump] = []
    aside: List[Aside] = []
    prefixes = (
        [layout.dump_prefix(database)]
        if database is not None
        else [f"{layout.dumps}{name}" for name in repository.store.list_names(layout.dumps) if name.endswith("/")]
    )

    def fault(dump: Dump, claim: Claim, sizes: Mapping[str, int]) -> Optional[str]:
        # The key has the database's name percent-encoded, so prefixes are compared.
        there, whose = claim.key.rsplit("/", 2)[0] + "/", layout.dump_prefix(dump.database)
        return lacking((dump.data, dump.globals), sizes) or copy_fault(
            there, dump.cluster, dump.label, dump.created_at, claim, whose, layout.cluster
        )

    for prefix in prefixes:
        dumps, apart = read_labelled(repository, prefix, load_dump, fault)
        found += dumps
        aside += apart
    return sorted(found, key=lambda dump: (dump.label, dump.database)), aside


def find_dump(repository: Repository, database: str, label: Optional[str] = None) -> Dump:
    """The dump of this label, or the newest; BackupMissing."""
    dumps, aside = read_dumps(repository, database)
    chosen = next((d for d in reversed(dumps) if label in (None, d.label)), None)
    if chosen is None:
        known = ", ".join(d.label for d in dumps[-5:]) or "none"
        apart = f"; set apart: {', '.join(each.key for each in aside[-5:])}" if aside else ""
        raise BackupMissing(
            f"Repository {repository.location} has no dump{f' {label}' if label else ''} of database {database!r}"
            f" (newest: {known}{apart}).",
            "Choose one from lifeboat dump list, or make one with lifeboat dump create DATABASE.",
            database=database,
            label=label,
        )
    return chosen
