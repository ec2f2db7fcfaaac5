# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One event of the audit trail, and its place in a chain.

A chain is what one user of one host wrote: events are numbered from 1 on, and each names the SHA-256 of the record
before it. So several hosts write at once without asking each other. Pure.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import ObjectCorrupt
from ..model import FORMAT, format_time, open_record, parse_time, seal_record

OK, FAILED = "ok", "failed"
#: What can have happened.
WHATS = (
    "backup", "prune", "restore", "verify", "sync", "files-backup", "files-restore", "configuration", "prepare", "hold",
    "release", "erasure", "logs-read", "git-push",
)  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Event:
    """What happened.

    ``number`` and ``previous`` (SHA-256 of the record before; None of the first) place it in its ``chain``. ``who`` has
    user and host, and what else is known of the caller. ``objects`` names what it was about (labels), never contents.
    ``witnessed`` is the last number of each other chain that the writer saw.
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
        """As JSON knows it, with the format, without the checksum."""
        data = {"format": FORMAT, **asdict(self), "at": format_time(self.at), "objects": list(self.objects)}
        return {**data, "details": dict(self.details), "witnessed": dict(self.witnessed), "who": dict(self.who)}

    def record(self) -> bytes:
        """The bytes that are stored: the same ones everywhere."""
        return seal_record(self.as_dict())


def digest(record: bytes) -> str:
    """By what the next event of the chain names this record."""
    return hashlib.sha256(record).hexdigest()


def load_event(raw: bytes, name: str) -> Event:
    """The event of these bytes; ObjectCorrupt (naming ``name``) when anything is off."""
    data = open_record(raw, name)
    values = {k: v for k, v in data.items() if k not in ("format", "sha256")}
    try:
        return Event(**{**values, "at": parse_time(values["at"]), "objects": tuple(values["objects"])})
    except (KeyError, TypeError, ValueError) as exc:
        raise ObjectCorrupt(
            f"{name} lacks or misspells a field: {exc}.", "Use the Lifeboat release that wrote it.", key=name
        ) from exc


def chain_name(host: str, user: str) -> str:
    """The chain of this user of this host; part of a key, so that it has letters, digits, ``_``, ``-`` and one dot."""
    return f"{_UNSAFE.sub('-', host) or '-'}.{_UNSAFE.sub('-', user) or '-'}"
