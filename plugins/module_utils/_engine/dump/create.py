# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the database that a dump goes into, with the properties of the one that was dumped ("CREATE DATABASE")."""

from __future__ import annotations

from typing import List

from ..postgres.connection import Session
from ..postgres.identifiers import quoted
from .record import Dump

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def literal(text: str) -> str:
    """A string constant, whatever ``standard_conforming_strings`` is."""
    return "E'{}'".format(text.replace("\\", "\\\\").replace("'", "''"))


def lacking_extensions(sql: Session, dump: Dump) -> List[str]:
    """Extensions of the dump that the server cannot make."""
    there = {str(row[0]) for row in sql.rows("SELECT name::text FROM pg_available_extensions")}
    return sorted(set(dump.extensions) - there)


def lacking_roles(sql: Session, dump: Dump, owner: bool, privileges: bool) -> List[str]:
    """Roles that the dump needs and the server does not have."""
    wanted = set(dump.roles) if owner or privileges else set()
    if owner:
        wanted.add(dump.properties.owner)
    if privileges:
        wanted.update(grantee for grantee, _privilege, _option in dump.properties.grants or () if grantee)
    return sorted(wanted - {str(row[0]) for row in sql.rows("SELECT rolname::text FROM pg_roles")})


def create_database(sql: Session, dump: Dump, name: str, owner: bool) -> None:
    """Create it from ``template0``, with its encoding, locale and owner."""
    sql.rows(creation(dump, name, owner, int(sql.value("SHOW server_version_num"))))


def give_properties(sql: Session, dump: Dump, name: str, owner: bool) -> None:
    """Give it its settings and grants."""
    for setting in dump.properties.settings:
        key, _equals, value = setting.partition("=")
        sql.rows(f"ALTER DATABASE {quoted(name)} SET {quoted(key)} = {_value(key, value)}")
    grants = dump.properties.grants
    if owner and grants is not None:
        sql.rows(f"REVOKE ALL ON DATABASE {quoted(name)} FROM PUBLIC")
        for grantee, privilege, option in grants:
            whom = quoted(grantee) if grantee else "PUBLIC"
            more = " WITH GRANT OPTION" if option else ""
            sql.rows(f"GRANT {privilege} ON DATABASE {quoted(name)} TO {whom}{more}")


def creation(dump: Dump, name: str, owner: bool, version: int) -> str:
    """The statement that makes it, for a server of this ``server_version_num``. Pure."""
    properties = dump.properties
    words = [f"CREATE DATABASE {quoted(name)} TEMPLATE template0 ENCODING {literal(properties.encoding)}"]
    words.append(f"LOCALE_PROVIDER {_PROVIDERS[properties.provider]}")
    words.append(f"LC_COLLATE {literal(properties.collate)} LC_CTYPE {literal(properties.ctype)}")
    if properties.locale and properties.provider == "i":
        words.append(f"ICU_LOCALE {literal(properties.locale)}")
    elif properties.locale and version >= 170000:
        words.append(f"BUILTIN_LOCALE {literal(properties.locale)}")
    if owner:
        words.append(f"OWNER {quoted(properties.owner)}")
    return " ".join(words)


# GUC_LIST_QUOTE of guc_tables.c: each element is quoted by itself, as pg_dump does it (makeAlterConfigCommand).
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)


def _value(key: str, value: str) -> str:
    """The right side of ``ALTER DATABASE … SET``. Elements of a list come quoted as identifiers are."""
    return value if key.lower() in _LISTS and value else literal(value)
