# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that could not be opened: the trouble of one repository must not hide the others."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable, Iterator, List, Optional

from ..errors import StoreError
from .protocol import DeleteFailure, ObjectInfo, ObjectWriter, Unfinished, Written


class UnopenedStore:
    """Every operation raises the error that told why the store could not be opened."""

    def __init__(self, location: str, error: StoreError) -> None:
        self._location, self._error = location, error

    @property
    def location(self) -> str:
        """Where it should have been."""
        return self._location

    def put(self, key: str, data: bytes) -> Written:
        """Raises."""
        raise self._error

    def writer(self, key: str, size_hint: Optional[int] = None) -> ObjectWriter:
        """Raises."""
        raise self._error

    def get(self, key: str) -> bytes:
        """Raises."""
        raise self._error

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Raises."""
        raise self._error

    def head(self, key: str) -> Optional[ObjectInfo]:
        """Raises."""
        raise self._error

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """Raises."""
        raise self._error

    def list_names(self, prefix: str) -> Iterator[str]:
        """Raises."""
        raise self._error

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """Raises."""
        raise self._error

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Raises."""
        raise self._error

    def drop(self, upload: Unfinished) -> None:
        """Raises."""
        raise self._error

    def clock(self) -> datetime:
        """Raises."""
        raise self._error

    def close(self) -> None:
        """Nothing is held."""
