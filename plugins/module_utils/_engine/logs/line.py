# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stored log line: one JSON object. Pure.

``time`` (UTC) is the time at the beginning of the line, if it has a zone, or the journal's, or when the line was read;
``host``, ``stream`` and ``source`` are its origin, ``message`` its text. Lines of the journal also have
``unit``, ``identifier``, ``pid`` and ``priority``. Bytes that are not UTF-8 are written as ``\\xff``.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterable, List, Mapping, Optional

from ..records.model import format_time, parse_time

Line = Dict[str, Any]

# The time at the beginning of lines of PostgreSQL (%m, %t in log_line_prefix) and of programs that use ISO 8601.
_BEGINS = re.compile(
    r"\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6})\d*)? ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?![\d:])", re.ASCII
)
_FIELDS = {"_SYSTEMD_UNIT": "unit", "SYSLOG_IDENTIFIER": "identifier", "_PID": "pid"}
#: The fields read from the journal, besides its cursor and times.
JOURNAL_FIELDS = (*_FIELDS, "MESSAGE", "PRIORITY", "SYSLOG_FACILITY")


def as_text(raw: bytes) -> str:
    """The text of a line in a file, without the line end."""
    return raw.decode("utf-8", "backslashreplace").rstrip("\r")


def file_line(message: str, stream: str, path: str, host: str, moment: datetime) -> Line:
    """The stored line for a line in a file."""
    return {"time": format_time(moment), "host": host, "stream": stream, "source": path, "message": message}


def journal_line(entry: Mapping[str, Any], stream: str, host: str) -> Line:
    """The stored line for an entry of ``journalctl --output=json`` (systemd's Journal Export Formats)."""
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=int(entry["__REALTIME_TIMESTAMP"]))
    line: Line = {
        "time": format_time(moment), "host": host, "stream": stream, "source": "journal",
        "message": _words(entry.get("MESSAGE")),
    }  # fmt: skip
    line.update({name: _words(entry[field]) for field, name in _FIELDS.items() if entry.get(field) is not None})
    if str(entry.get("PRIORITY", "")).isdigit():
        line["priority"] = int(entry["PRIORITY"])
    return line


def lost_line(what: str, stream: str, source: str, host: str, moment: datetime) -> Line:
    """A stored line that marks lost data."""
    return {
        "time": format_time(moment), "host": host, "stream": stream, "source": source,
        "identifier": "lifeboat", "lost": True, "message": what,
    }  # fmt: skip


def own_time(message: str) -> Optional[datetime]:
    """The time at the beginning of a line, in UTC; None if there is none, or it has no zone."""
    match = _BEGINS.match(message)
    if not match:
        return None
    day, clock, fraction, zone = match.groups()
    zone = {"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00"}.get(zone, zone)
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:] or '00'}"
    try:
        found = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')}{zone}")
        return found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def dump(lines: Iterable[Line]) -> bytes:
    """The lines as JSON, one object on each line."""
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def parse(raw: bytes) -> List[Line]:
    """The reverse of :func:`dump`."""
    return [json.loads(line) for line in raw.decode().split("\n") if line]


def time_of(line: Mapping[str, Any]) -> datetime:
    """When the line was written."""
    return parse_time(line["time"])


def _words(value: Any) -> str:
    """The journal returns text that is not UTF-8 as a list of bytes, and a repeated field as a list of values."""
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return bytes(value).decode("utf-8", "backslashreplace")
        return " ".join(_words(item) for item in value)
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
