# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the chunks of logs: when a chunk was stored, its first line's time, its host, and its digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from .labels import begun, stamp
from .layout import sealed_name

_LOG = re.compile(
    r"[^/]+/logs/([a-z0-9][a-z0-9_-]*)/(\d{8})/((\2T\d{6}Z)(\d{6})-(\d{8}T\d{6}Z)-([A-Za-z0-9_-]+)-([0-9a-f]{16})\.jsonl\.zst(?:\.age)?)\Z",
    re.ASCII,
)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def log_name(stored: datetime, first: datetime, host: str, digest: str, sealed: bool) -> str:
    """The name of a chunk; ``digest`` is the SHA-256 of the stored bytes."""
    # To the microsecond, so that chunks are listed in their order.
    when, host = f"{stamp(stored)}{stored.microsecond:06d}-{stamp(first)}", _UNSAFE.sub("-", host) or "-"
    return sealed_name(f"{when}-{host}-{digest[:16]}.jsonl.zst", sealed)


@dataclass(frozen=True)
class LogChunk:
    """Of a chunk: its stream, when it was stored, its first line's time, its host, 16 digits of the stored SHA-256."""

    stream: str
    stored: datetime
    first: datetime
    host: str
    digest: str


def log_chunk(key: str) -> Optional[LogChunk]:
    """The reverse of :meth:`Layout.log`; None for another object."""
    match = _LOG.match(key)
    stored, first = (begun(match.group(i)) for i in (4, 6)) if match else (None, None)
    if match is None or stored is None or first is None:
        return None
    stored = stored.replace(microsecond=int(match.group(5)))
    return LogChunk(match.group(1), stored, first, match.group(7), match.group(8))
