# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registered erasure: whose data was erased, and how to erase it again in a restored cluster. Pure."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..base.errors import ConfigError, ErasureFailed, ObjectCorrupt
from ..records.fields import LABEL, MOST_SMALL, SHA256, printable
from ..records.model import FORMAT, format_time, open_fields, seal_record

# Clocks differ, and an erasure may be registered before its transaction ends. Reapplying one is harmless.
MARGIN = timedelta(hours=1)
_PLACEHOLDER = re.compile(r"%\(([A-Za-z_][A-Za-z0-9_]*)\)s|%%|%")


@dataclass(frozen=True)
class Erasure:
    """The erasure of a subject.

    The subject's ``key`` is in ``column`` of ``table`` (``table`` or ``schema.table``, as in the catalog). A hashed key
    is stored as ``key_hash``, the SHA-256 of ``salt`` and key. ``statement`` erases the subject again, and can be run
    repeatedly; its parameters (``%(key)s``, ``%(salt)s``, ``%(key_hash)s`` and ``parameters``) are passed separately.
    """

    id: str
    erased_at: datetime
    recorded_at: datetime
    by: str
    database: str
    table: str
    column: str
    statement: str
    key: Optional[str] = field(default=None, repr=False)
    salt: Optional[str] = None
    key_hash: Optional[str] = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    reference: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it only deletes the rows of the key. Such a statement is never run as stored, but rebuilt."""
        return self.statement == default_statement(self.table, self.column, self.key is None)

    @property
    def confirmation(self) -> str:
        """The text that confirms it: its id and a digest of the whole record, so that exactly this record is run."""
        return f"{self.id}:{hashlib.sha256(self.record()).hexdigest()[:32]}"

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it."""
        data = {"format": FORMAT, **asdict(self), "parameters": dict(self.parameters)}
        return {**data, "erased_at": format_time(self.erased_at), "recorded_at": format_time(self.recorded_at)}

    def record(self) -> bytes:
        """The stored bytes, without the signature."""
        return seal_record(self.as_dict())

    def shown(self) -> Dict[str, Any]:
        """The record for output and logs: without key, hash and parameters."""
        return {
            "id": self.id,
            "erased_at": format_time(self.erased_at),
            "recorded_at": format_time(self.recorded_at),
            "by": self.by,
            "database": self.database,
            "table": self.table,
            "column": self.column,
            "hashed": self.key is None,
            "reference": self.reference,
            "statement": None if self.is_default else self.statement,
            "confirm": self.confirmation,
        }

    def values(self) -> Dict[str, Any]:
        """The values of the statement's parameters."""
        known = {"key": self.key, "salt": self.salt, "key_hash": self.key_hash}
        return {**self.parameters, **{k: v for k, v in known.items() if v is not None}}

    def is_of(self, other: ErasureRequest) -> bool:
        """Whether this erasure matches the request."""
        same = (self.database, self.table, self.column, self.reference, dict(self.parameters)) == (
            other.database, other.table, other.column, other.reference, dict(other.parameters),
        )  # fmt: skip
        known = self.key == other.key if self.key is not None else self.key_hash == hashed(self.salt or "", other.key)
        statement = other.statement or default_statement(other.table, other.column, other.hash_key)
        return same and known and (self.key is None) == other.hash_key and self.statement == statement

    def covers(self, request: ErasureRequest) -> bool:
        """Whether registering the request adds nothing: it is this erasure, and not a later one of the same subject."""
        return self.is_of(request) and (request.erased_at is None or self.erased_at >= request.erased_at)


@dataclass(frozen=True)
class ErasureRequest:
    """An erasure to register; ``erased_at`` None: now."""

    database: str
    table: str
    column: str
    key: str = field(repr=False)
    hash_key: bool = True
    statement: Optional[str] = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    erased_at: Optional[datetime] = None
    reference: str = ""

    def __post_init__(self) -> None:
        for name in ("database", "table", "column", "key"):
            if not getattr(self, name):
                raise ConfigError(f"The erasure has no {name}.", "Specify database, table, column and key.")
        known = {*self.parameters, *(("salt", "key_hash") if self.hash_key else ("key",))}
        for found in _PLACEHOLDER.finditer(self.statement or ""):
            if found.group() == "%" or (found.group(1) and found.group(1) not in known):
                raise ConfigError(
                    f"The statement's placeholder {found.group()!r} is unknown.",
                    f"Use {', '.join(f'%({n})s' for n in sorted(known))}; write a percent sign as %%.",
                )


def hashed(salt: str, key: str) -> str:
    """The result of PostgreSQL's ``encode(sha256(convert_to(salt || key, 'UTF8')), 'hex')``."""
    return hashlib.sha256((salt + key).encode()).hexdigest()


def split_table(table: str) -> Tuple[Optional[str], str]:
    """Schema (None: by the search path) and name."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else (None, schema)


def default_statement(table: str, column: str, hash_key: bool) -> str:
    """Delete the rows of the key. A hashed key is compared with the hash of each row's."""
    schema, name = split_table(table)
    place = ".".join(_quoted(part) for part in (schema, name) if part is not None)
    # The names are quoted; PostgreSQL has no parameters for them.
    if not hash_key:
        return f"DELETE FROM {place} WHERE {_quoted(column)}::text = %(key)s"  # noqa: S608
    digest = f"encode(sha256(convert_to(%(salt)s || {_quoted(column)}::text, 'UTF8')), 'hex')"
    return f"DELETE FROM {place} WHERE {digest} = %(key_hash)s"  # noqa: S608


def deletion(table: str, column: str, hash_key: bool) -> str:
    """The statement that deletes the rows of the key from the table of this quoted name, under any search path."""
    place, value = table.replace("%", "%%"), f"{_quoted(column)}::pg_catalog.text"
    if not hash_key:
        return f"DELETE FROM {place} WHERE {value} OPERATOR(pg_catalog.=) %(key)s"  # noqa: S608
    salted = f"pg_catalog.convert_to(%(salt)s OPERATOR(pg_catalog.||) {value}, 'UTF8')"
    digest = f"pg_catalog.encode(pg_catalog.sha256({salted}), 'hex')"
    return f"DELETE FROM {place} WHERE {digest} OPERATOR(pg_catalog.=) %(key_hash)s"  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


def make_erasure(request: ErasureRequest, now: datetime, by: str) -> Erasure:
    """The record of this request."""
    salt = secrets.token_hex(16) if request.hash_key else None
    return Erasure(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        erased_at=request.erased_at or now,
        recorded_at=now,
        by=by,
        database=request.database,
        table=request.table,
        column=request.column,
        statement=request.statement or default_statement(request.table, request.column, request.hash_key),
        key=None if request.hash_key else request.key,
        salt=salt,
        key_hash=hashed(salt, request.key) if salt else None,
        parameters=dict(request.parameters),
        reference=request.reference,
    )


def load_erasure(raw: bytes, name: str) -> Erasure:
    """The erasure of these bytes. ErasureFailed if anything is wrong, because an erasure must not be skipped."""
    try:
        fields = open_fields(raw, name, MOST_SMALL)
        parameters = fields.entries("parameters", default={})
        return Erasure(
            id=fields.text("id", LABEL),
            erased_at=fields.moment("erased_at"),
            recorded_at=fields.moment("recorded_at"),
            by=fields.text("by", most=1000),
            database=fields.lines("database", 255),
            table=fields.lines("table", 1000),
            column=fields.lines("column", 255),
            statement=fields.lines("statement"),
            key=fields.lines("key") if fields.has("key") else None,
            salt=fields.maybe_text("salt", most=255),
            key_hash=fields.maybe_text("key_hash", SHA256),
            parameters={parameter: parameters.lines(parameter) for parameter in parameters.data},
            reference=fields.lines("reference", default=""),
        )
    except ObjectCorrupt as exc:
        raise ErasureFailed(
            f"Cannot read the registered erasure {printable(name)}.",
            "Copy it from another repository: lifeboat verify --repair. If none has it intact, set it apart manually"
            " (docs/ransomware.md) and register the erasure again: lifeboat erasure add. --without-erasures restores"
            " without the register.",
            id=name,
        ) from exc


def due(register: Iterable[Erasure], reached: datetime) -> List[Erasure]:
    """The erasures that a cluster may lack if its last commit is of ``reached``, in order."""
    return sorted((e for e in register if e.erased_at > reached - MARGIN), key=lambda e: (e.erased_at, e.id))
