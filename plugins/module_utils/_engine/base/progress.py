# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress reports of long operations."""

from __future__ import annotations

import json
import os
from typing import Optional, Protocol

from . import clock
from .errors import UntrustedPath
from .files import open_to_write


class Progress(Protocol):
    """Interface through which the engine reports progress to its caller."""

    def phase(self, name: str) -> None:
        """A new phase begins."""

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """Bytes done in this phase so far, and how many are expected."""

    def note(self, text: str) -> None:
        """Show a message to the user."""


class Silent:
    """Shows nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Written:
    """Writes ``phase``, ``done``, ``total`` (None while unknown) and ``note`` to a JSON file, for another process.

    The file is replaced at most once a second within a phase. A failure to write it is ignored.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._state: dict[str, Optional[object]] = {"phase": "", "done": 0, "total": None, "note": ""}
        self._last = 0.0

    def phase(self, name: str) -> None:
        """A new phase begins."""
        self._write(phase=name, done=0, total=None)

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """How far the phase is."""
        if clock.monotonic() - self._last >= 1:
            self._write(done=done, total=total)

    def note(self, text: str) -> None:
        """Show a message to the user."""
        self._write(note=text)

    def _write(self, **changes: Optional[object]) -> None:
        self._state.update(changes)
        self._last = clock.monotonic()
        try:
            with os.fdopen(open_to_write(self._path, 0o644, empty=True), "w", encoding="utf-8") as stream:
                stream.write(json.dumps(self._state) + "\n")
        except (OSError, UntrustedPath):
            pass
