# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the database to restore a dump into, with the properties of the dumped one ("CREATE DATABASE")."""

from __future__ import annotations

import re
from typing import List, Optional

from ..base.errors import DatabaseRefused
from ..postgres.connection import Session
from ..postgres.identifiers import quoted
from ..repository.dumps import Dump

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
# The privileges of a database (PostgreSQL manual, "Privileges").
_PRIVILEGES = ("CONNECT", "CREATE", "TEMPORARY")
# A name, with a class before a dot if it is customized (PostgreSQL manual, "Customized Options").
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")


def literal(text: str) -> str:
    """A string constant, whatever ``standard_conforming_strings`` is."""
    return "E'{}'".format(text.replace("\\", "\\\\").replace("'", "''"))


def lacking_extensions(sql: Session, dump: Dump) -> List[str]:
    """Extensions of the dump that the server cannot create."""
    there = {str(row[0]) for row in sql.rows("SELECT name::text FROM pg_available_extensions")}
    return sorted(set(dump.extensions) - there)


def lacking_roles(sql: Session, dump: Dump, owner: bool, privileges: bool) -> List[str]:
    """Roles that the dump needs and the server lacks."""
    wanted = set(dump.roles) if owner or privileges else set()
    if owner:
        wanted.add(dump.properties.owner)
    if privileges:
        wanted.update(grantee for grantee, _privilege, _option in dump.properties.grants or () if grantee)
        wanted.update(role for role, _setting in dump.properties.role_settings)
    return sorted(wanted - {str(row[0]) for row in sql.rows("SELECT rolname::text FROM pg_roles")})


def create_database(sql: Session, dump: Dump, name: str, owner: bool) -> None:
    """Create the database from ``template0``, with the encoding, locale and owner of the dumped one."""
    sql.rows(creation(dump, name, owner, int(sql.value("SHOW server_version_num"))))


def require_properties(dump: Dump) -> None:
    """DatabaseRefused for an impossible property: it would become part of a superuser's statement. Pure."""
    properties = dump.properties
    wrong = [] if properties.provider in _PROVIDERS else [f"locale provider {properties.provider!r}"]
    for setting in (*properties.settings, *(setting for _role, setting in properties.role_settings)):
        key, equals, value = setting.partition("=")
        if not equals or not _SETTING.fullmatch(key):
            wrong.append(f"setting {key!r}")
        elif key.lower() in _LISTS and split_list(value) is None:
            wrong.append(f"{key} {value!r}")
    wrong += [f"privilege {p!r}" for _grantee, p, _option in properties.grants or () if p not in _PRIVILEGES]
    if wrong:
        raise DatabaseRefused(
            f"The record of the dump {dump.label} has impossible properties: {', '.join(wrong)}.",
            "Do not restore this dump. Find out who wrote its record, and choose another one (--label).",
            label=dump.label,
        )


def give_properties(sql: Session, dump: Dump, name: str, privileges: bool) -> None:
    """Set settings and comment; with ``privileges`` also the settings of roles, and the grants."""
    own = dump.properties
    if own.comment:
        sql.rows(f"COMMENT ON DATABASE {quoted(name)} IS {literal(own.comment)}")
    for setting in own.settings:
        sql.rows(f"ALTER DATABASE {quoted(name)} SET {_assignment(setting)}")
    for role, setting in own.role_settings if privileges else ():
        sql.rows(f"ALTER ROLE {quoted(role)} IN DATABASE {quoted(name)} SET {_assignment(setting)}")
    grants = own.grants
    if privileges and grants is not None:
        sql.rows(f"REVOKE ALL ON DATABASE {quoted(name)} FROM PUBLIC")
        for grantee, privilege, option in grants:
            whom = quoted(grantee) if grantee else "PUBLIC"
            more = " WITH GRANT OPTION" if option else ""
            sql.rows(f"GRANT {privilege} ON DATABASE {quoted(name)} TO {whom}{more}")


def limit_connections(sql: Session, dump: Dump, name: str) -> None:
    """Set the CONNECTION LIMIT; only after loading the data, because the loading sessions count too."""
    if dump.properties.connection_limit >= 0:
        sql.rows(f"ALTER DATABASE {quoted(name)} CONNECTION LIMIT {dump.properties.connection_limit:d}")


def creation(dump: Dump, name: str, owner: bool, version: int) -> str:
    """The statement that creates the database, for a server of this ``server_version_num``. Pure."""
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


# GUC_LIST_QUOTE of guc_tables.c: each element is quoted separately, as in pg_dump (makeAlterConfigCommand).
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_ELEMENT = re.compile(r'[ \t\n\r\f\v]*(?:"((?:[^"]|"")*)"|([^", \t\n\r\f\v][^, \t\n\r\f\v]*))[ \t\n\r\f\v]*(,|$)')


def split_list(value: str) -> Optional[List[str]]:
    """The elements of a stored list, parsed like SplitGUCList of pg_dump; None if it is not a list. Pure.

    Anybody allowed to set it can store any text: ``set_config``, then ``ALTER DATABASE … SET … FROM CURRENT``.
    """
    found: List[str] = []
    if not value.strip(" \t\n\r\f\v"):
        return found
    position, more = 0, ","
    while more:
        match = _ELEMENT.match(value, position)
        if not match:
            return None
        inside, bare, more = match.groups()
        found.append(bare if inside is None else inside.replace('""', '"'))
        position = match.end()
    return found


def _assignment(setting: str) -> str:
    """The part after ``ALTER DATABASE … SET``: a quoted name and only string constants."""
    key, _equals, value = setting.partition("=")
    elements = split_list(value) if key.lower() in _LISTS else None
    constants = ", ".join(literal(element) for element in elements) if elements else literal(value)
    return f"{quoted(key)} = {constants}"
