# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long operation tells what it does."""

from __future__ import annotations

from typing import Optional, Protocol


class Progress(Protocol):
    """Told by the engine, shown by whoever called it."""

    def phase(self, name: str) -> None:
        """A new phase begins."""

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """Bytes done in this phase so far, and how many are expected."""

    def note(self, text: str) -> None:
        """Something a person wants to know."""


class Silent:
    """Shows nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def advance(self, done: int, total: Optional[int] = None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
