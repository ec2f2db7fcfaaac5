# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse stored JSON of untrusted writers, with bounded length, depth, numbers and strings. Pure.

Anything invalid is an ``ObjectCorrupt`` that names the object and the field, never another exception.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Pattern, Sequence, Tuple

from ..base.errors import ObjectCorrupt, RecordTooNew
from ..base.version import VERSION
from ..base.wal_names import parse_lsn

#: Maximum bytes of a record. The largest ones are those of dumps, which count the rows of every table.
MOST_RECORD = 16 * 1024 * 1024
#: Maximum bytes of a record of a kind with many: events, holds, erasures, verifications, reports.
MOST_SMALL = 4 * 1024 * 1024
#: A size or count; 8 EiB would not fit into PostgreSQL's bigint.
MOST_NUMBER = 2**63 - 1
MOST_TIMELINE = 2**32 - 1
_MOST_DEPTH = 32
_MOST_DIGITS = 64
_MOST_TEXT = 4096
_MOST_ITEMS = 1_000_000
_SHOWN = 60
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
# Far enough from the bounds of datetime to add and subtract the days of a policy.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2300, 1, 1, tzinfo=timezone.utc)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
#: The label of a backup, copy, dump or drill.
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
SYSTEM = re.compile(r"[0-9]{1,20}\Z")
_REQUIRED: Any = object()


def printable(text: str) -> str:
    """An untrusted key or text as one line that is safe to print on a terminal."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def parse_object(raw: bytes, most: int = MOST_RECORD) -> Dict[str, Any]:
    """A JSON object; ValueError if it has over ``most`` bytes, is over 32 deep, or has a number that is not finite."""
    if len(raw) > most:
        raise ValueError(f"it has {len(raw)} bytes, more than {most}")
    try:
        data = json.loads(raw, parse_int=_integer, parse_float=_real, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"it is more than {_MOST_DEPTH} deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    _require_shallow(data)
    return data


def too_new(data: Mapping[str, Any], name: str, newest: int) -> RecordTooNew:
    """The error for an intact record whose format is newer than ``newest``."""
    said = data.get("lifeboat_version")
    by = f"Lifeboat {printable(said)[:40]}" if isinstance(said, str) and said else "a newer Lifeboat"
    return RecordTooNew(
        f"{name} was written by {by}, in format {data['format']}; this Lifeboat ({VERSION}) reads format {newest}.",
        "Upgrade Lifeboat here. Until then, retention keeps the object.",
        key=name,
        written_by=said if isinstance(said, str) else None,
    )


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is infinite")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _require_shallow(data: Any) -> None:
    level: List[Any] = [data]
    for _depth in range(_MOST_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise ValueError(f"it is more than {_MOST_DEPTH} deep")


def read_stored_time(text: str) -> datetime:
    """ISO 8601 with its zone, from 1970 to 2299, in UTC; ValueError."""
    match = _MOMENT.match(text)
    if not match:
        raise ValueError(f"{_shown(text)} is not a time with a zone")
    second, fraction, zone = match.groups()
    offset = "+00:00" if zone == "Z" else zone
    try:
        moment = datetime.fromisoformat(f"{second}.{(fraction or '0').ljust(6, '0')}{offset}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is not a time") from None
    if not _FIRST <= moment < _LAST:
        raise ValueError(f"{_shown(text)} is out of range")
    return moment


@dataclass(frozen=True)
class Fields:
    """The fields of the object ``name``, read by their types. Unknown fields are ignored."""

    data: Mapping[str, Any]
    name: str
    path: str = ""

    def wrong(self, field: str, why: str) -> ObjectCorrupt:
        """The error for this field."""
        return ObjectCorrupt(
            f"{printable(self.name)} has a missing or invalid field: {self.path}{field} {why}.",
            "Use the Lifeboat release that wrote it, or copy the object from another repository: lifeboat verify"
            " --repair.",
            key=self.name,
        )

    def has(self, field: str) -> bool:
        """Whether the field exists and is not null."""
        return self.data.get(field) is not None

    def _get(self, field: str, default: Any) -> Any:
        if field in self.data:
            return self.data[field]
        if default is _REQUIRED:
            raise self.wrong(field, "is missing")
        return default

    def _typed(self, field: str, kind: Any, what: str, default: Any = _REQUIRED) -> Any:
        value = self._get(field, default)
        # In Python, a bool is an int.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(field, f"is {_shown(value)}, not {what}")
        return value

    def text(
        self, field: str, pattern: Optional[Pattern[str]] = None, most: int = _MOST_TEXT, default: Any = _REQUIRED
    ) -> str:
        """A string of at most ``most`` characters that ``pattern`` matches, or by default a single line."""
        return self._checked(field, self._typed(field, str, "text", default), pattern, most)

    def maybe_text(self, field: str, pattern: Optional[Pattern[str]] = None, most: int = _MOST_TEXT) -> Optional[str]:
        """As :meth:`text`, or None if the field is absent or null."""
        return self.text(field, pattern, most) if self.has(field) else None

    def lines(self, field: str, most: int = MOST_SMALL, default: Any = _REQUIRED) -> str:
        """Text of several lines: any valid UTF-8 without NUL."""
        value: str = self._typed(field, str, "text", default)
        if len(value) > most or "\0" in value or not _is_unicode(value):
            raise self.wrong(field, f"is {_shown(value)}")
        return value

    def _checked(self, field: str, value: Any, pattern: Optional[Pattern[str]], most: int) -> str:
        if not isinstance(value, str):
            raise self.wrong(field, f"is {_shown(value)}, not text")
        bad = not pattern.match(value) if pattern else bool(_CONTROL.search(value))
        if bad or len(value) > most:
            raise self.wrong(field, f"is {_shown(value)}")
        return value

    def texts(
        self, field: str, pattern: Optional[Pattern[str]] = None, most: int = _MOST_TEXT, default: Any = _REQUIRED
    ) -> Tuple[str, ...]:
        """A list of strings."""
        return tuple(self._checked(field, v, pattern, most) for v in self.listed(field, default))

    def listed(self, field: str, default: Any = _REQUIRED) -> Sequence[Any]:
        """A list of any values."""
        value: Sequence[Any] = self._typed(field, (list, tuple), "a list", default)
        if len(value) > _MOST_ITEMS:
            raise self.wrong(field, f"has {len(value)} entries")
        return value

    def integer(self, field: str, low: int = 0, high: int = MOST_NUMBER, default: Any = _REQUIRED) -> int:
        """An integer from ``low`` to ``high``, both included."""
        value: int = self._typed(field, int, "a whole number", default)
        if not low <= value <= high:
            raise self.wrong(field, f"is {_shown(value)}, not in {low} to {high}")
        return value

    def number(self, field: str, default: Any = _REQUIRED) -> float:
        """A number of zero or more."""
        value: float = self._typed(field, (int, float), "a number", default)
        if not 0 <= value <= MOST_NUMBER:
            raise self.wrong(field, f"is {_shown(value)}")
        return value

    def flag(self, field: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        return bool(self._typed(field, bool, "true or false", default))

    def moment(self, field: str) -> datetime:
        """A time, as :func:`read_stored_time`."""
        try:
            return read_stored_time(self._typed(field, str, "a time"))
        except ValueError as exc:
            raise self.wrong(field, f": {exc}") from None

    def lsn(self, field: str) -> int:
        """An LSN in its text form."""
        value = self.text(field, most=17)
        try:
            return parse_lsn(value)
        except ValueError:
            raise self.wrong(field, f"is {_shown(value)}, not an LSN") from None

    def inner(self, field: str, default: Any = _REQUIRED) -> Fields:
        """An object."""
        return Fields(self._typed(field, dict, "an object", default), self.name, f"{self.path}{field}.")

    def inners(self, field: str, default: Any = _REQUIRED) -> Tuple[Fields, ...]:
        """A list of objects."""
        found = []
        for value in self.listed(field, default):
            if not isinstance(value, dict):
                raise self.wrong(field, f"has {_shown(value)}, not an object")
            found.append(Fields(value, self.name, f"{self.path}{field}."))
        return tuple(found)

    def entries(self, field: str, default: Any = _REQUIRED) -> Fields:
        """An object with arbitrary field names: a bounded number of them, each a single line."""
        found = self.inner(field, default)
        if len(found.data) > _MOST_ITEMS:
            raise self.wrong(field, f"has {len(found.data)} entries")
        for name in found.data:
            if len(name) > _MOST_TEXT or not _is_unicode(name) or "\0" in name:
                raise self.wrong(field, f"has the name {_shown(name)}")
        return found

    def free(self, field: str, default: Any = _REQUIRED) -> Mapping[str, Any]:
        """An object with any content whose text can be encoded as UTF-8."""
        value = self.inner(field, default).data
        if not _is_unicode(json.dumps(value, ensure_ascii=False)):
            raise self.wrong(field, "has text that is not Unicode")
        return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any) -> str:
    try:
        text = printable(repr(value)) if not isinstance(value, (dict, list)) else f"of the type {type(value).__name__}"
    except ValueError:
        text = "a number that is too long"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
