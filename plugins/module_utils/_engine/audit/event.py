# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One event of the audit trail, and its place in a chain.

A chain has the events of one user on one host: they are numbered from 1, and each has the SHA-256 of the previous
record. So several hosts can write at once without coordination. Pure.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, Mapping, Optional, Tuple

from ..records.fields import MOST_SMALL, SHA256
from ..records.model import FORMAT, format_time, open_fields, seal_record

OK, FAILED = "ok", "failed"
#: The recorded operations.
WHATS = (
    "backup", "prune", "restore", "verify", "sync", "files-backup", "files-restore", "configuration", "prepare", "hold",
    "release", "erasure", "logs-read", "git-push", "notice",
    "leader-claim", "incident", "drill", "handover", "promote", "settle", "diverged",
)  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Event:
    """A recorded operation.

    ``number`` and ``previous`` (SHA-256 of the previous record; None for the first) place it in its ``chain``. ``who``
    has the user, the host, and more about the caller as far as known. ``objects`` are labels, never contents.
    ``witnessed`` is the last number that the writer saw of each other chain.
    """

    chain: str
    number: int
    previous: Optional[str]
    at: datetime
    what: str
    result: str
    cluster: str
    who: Mapping[str, str]
    error_code: Optional[str] = None
    objects: Tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    witnessed: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """As JSON-serializable data, with the format, without the checksum."""
        data = {"format": FORMAT, **asdict(self), "at": format_time(self.at), "objects": list(self.objects)}
        return {**data, "details": dict(self.details), "witnessed": dict(self.witnessed), "who": dict(self.who)}

    def record(self) -> bytes:
        """The bytes to store, the same in every place."""
        return seal_record(self.as_dict())


def digest(record: bytes) -> str:
    """The SHA-256 of the record, which is ``previous`` in the next event of the chain."""
    return hashlib.sha256(record).hexdigest()


_CHAIN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
#: Keys have ten digits for the number.
MOST_EVENTS = 9_999_999_999


def load_event(raw: bytes, name: str) -> Event:
    """The event of these bytes; ObjectCorrupt (naming ``name``) if anything is wrong."""
    fields = open_fields(raw, name, MOST_SMALL)
    who, witnessed = fields.entries("who"), fields.entries("witnessed", default={})
    return Event(
        chain=fields.text("chain", _CHAIN, 255),
        number=fields.integer("number", 1, MOST_EVENTS),
        previous=fields.maybe_text("previous", SHA256),
        at=fields.moment("at"),
        what=fields.text("what", most=255),
        result=fields.text("result", most=255),
        cluster=fields.text("cluster", most=255),
        who={name: who.lines(name) for name in who.data},
        error_code=fields.maybe_text("error_code", most=255),
        objects=fields.texts("objects"),
        details=fields.free("details", default={}),
        witnessed={chain: witnessed.integer(chain, 0, MOST_EVENTS) for chain in witnessed.data},
    )


def chain_name(host: str, user: str) -> str:
    """The chain of this user of this host: a part of a key, of letters, digits, ``_``, ``-`` and one dot."""
    return f"{_UNSAFE.sub('-', host) or '-'}.{_UNSAFE.sub('-', user) or '-'}"
