# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the systemd journal with ``journalctl`` from the last position on."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import dataclass
from typing import Any, Dict, Generator, Mapping, Optional, Sequence, Tuple

from ..base.errors import ProcessFailed
from ..base.process import Drain
from .line import JOURNAL_FIELDS

# The first run reads the last day of the journal.
_FIRST = "-1 day"


@dataclass(frozen=True)
class Entries:
    """New entries, and the cursor of the last one. ``cut``: the last read entry is gone, so some may be lost."""

    entries: Tuple[Mapping[str, Any], ...]
    cursor: Optional[str]
    cut: bool = False
    more: bool = False


def read_journal(matches: Sequence[str], cursor: Optional[str], budget: int) -> Entries:
    """Entries after ``cursor``, about ``budget`` bytes of them, oldest first.

    ProcessFailed with the message of ``journalctl``, DependencyMissing without it.
    """
    # Start at the known entry, not after it: if another one comes first, entries between the two were removed.
    start = f"--cursor={cursor}" if cursor else f"--since={_FIRST}"
    argv = ["journalctl", "--output=json", "--all", "--no-pager", "--quiet", start]
    argv += [f"--output-fields={','.join(JOURNAL_FIELDS)}", "--", *matches]
    found, taken, cut, more = [], 0, False, False
    with contextlib.closing(_lines(argv)) as lines:
        for i, raw in enumerate(lines):
            if taken >= budget:
                more = True
                break
            entry: Dict[str, Any] = json.loads(raw)
            if i == 0 and cursor:
                if _place(entry["__CURSOR"]) == _place(cursor):
                    continue
                cut = True
            found.append(entry)
            taken += len(raw)
    return Entries(tuple(found), found[-1]["__CURSOR"] if found else cursor, cut, more)


def _place(cursor: str) -> Tuple[str, ...]:
    """The parts of a cursor that identify the entry: the journal's sequence, and the number in it."""
    parts = dict(part.split("=", 1) for part in cursor.split(";") if "=" in part)
    return (parts.get("s", cursor), parts.get("i", ""))


def _lines(argv: Sequence[str]) -> Generator[bytes, None, None]:
    """The lines of the program's output; it is terminated if the reader stops early."""
    with tempfile.TemporaryFile() as words:
        rest = b""
        with contextlib.closing(_chunks(argv, words)) as chunks:
            for chunk in chunks:
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)
        if rest:
            yield rest


def _chunks(argv: Sequence[str], words: Any) -> Generator[bytes, None, None]:
    try:
        yield from Drain(argv, words).chunks()
    except ProcessFailed as exc:
        # No output means that nothing matches.
        if exc.details.get("output") or exc.details.get("status") != 1:
            raise
