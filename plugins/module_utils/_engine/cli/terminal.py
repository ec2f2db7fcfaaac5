# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output for people: tables, durations, and progress as a bar on a terminal or as lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence

from ..base import clock
from ..base.units import duration, size

__all__ = ["Answer", "Terminal", "bullets", "duration", "size", "table"]


class Answer(NamedTuple):
    """The result of a command: data for ``--json``, text for people, and its exit status."""

    # Not a dataclass: importing that library takes longer than lifeboat --version without it.

    data: Mapping[str, Any]
    text: str
    status: int = 0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, each as wide as its widest cell."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
    return "\n".join(lines)


def _segments(count: int) -> str:
    return f"{count} segments"


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()


class Terminal:
    """Progress on standard error: a bar that is redrawn on a terminal, an occasional line elsewhere."""

    def __init__(self, show_progress: bool) -> None:
        self._show = show_progress
        self._bar = show_progress and sys.stderr.isatty()
        self._phase = ""
        self._since = clock.monotonic()
        self._last = 0.0
        self._dirty = False

    def phase(self, name: str) -> None:
        """Begin a new phase."""
        self.finish()
        self._phase, self._since, self._last = name, clock.monotonic(), 0.0
        if self._show and not self._bar:
            _say(f"lifeboat: {name}")

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """Show how far the phase is: bytes, or segments while WAL is replayed."""
        now = clock.monotonic()
        if not self._show or now - self._last < (0.1 if self._bar else 10.0):
            return
        self._last = now
        text = self._line(done, total, now - self._since)
        if self._bar:
            _say(f"\r\x1b[K{text}", end="")
            self._dirty = True
        elif now - self._since >= 10:
            _say(f"lifeboat: {text}")

    def _line(self, done: int, total: Optional[int], seconds: float) -> str:
        counts_bytes = not self._phase.startswith("recover")
        amount: Callable[[int], str] = size if counts_bytes else _segments
        if not total:
            return f"{self._phase}: {amount(done)}"
        share = min(done / total, 1.0)
        gauge = "#" * int(share * 24)
        rate = f", {size(done / seconds)}/s" if counts_bytes and seconds > 0.5 else ""
        return f"{self._phase} [{gauge:<24}] {share:4.0%} {amount(done)} of {amount(total)}{rate}"

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self.finish()
        if self._show:
            _say(f"lifeboat: {text}")

    def answer(self, line: str) -> bool:
        """Print a line of a long answer immediately; False if the reader has gone (``| head``)."""
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            return True
        except BrokenPipeError:
            # Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return False

    def finish(self) -> None:
        """End the line of a bar."""
        if self._dirty:
            _say("")
            self._dirty = False


def bullets(lines: Sequence[str]) -> List[str]:
    """The lines, indented."""
    return [f"  {line}" for line in lines]
