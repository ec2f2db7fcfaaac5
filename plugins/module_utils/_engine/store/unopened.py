# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for a store that could not be opened, or does not answer, so that one failing repository does not hide or
delay the others."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable, Iterator, List, Optional

from ..base.errors import StoreError
from .protocol import DeleteFailure, ObjectInfo, ObjectWriter, Unfinished, Written


class UnopenedStore:
    """Every operation raises the error that opening the store, or asking it, raised."""

    def __init__(self, location: str, error: StoreError) -> None:
        self._location, self.error = location, error

    @property
    def location(self) -> str:
        """The location of the store that it stands in for."""
        return self._location

    def put(self, key: str, data: bytes) -> Written:
        raise self.error

    def writer(self, key: str) -> ObjectWriter:
        raise self.error

    def get(self, key: str) -> bytes:
        raise self.error

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        raise self.error

    def head(self, key: str) -> Optional[ObjectInfo]:
        raise self.error

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        raise self.error

    def list_names(self, prefix: str) -> Iterator[str]:
        raise self.error

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        raise self.error

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        raise self.error

    def drop(self, upload: Unfinished) -> None:
        raise self.error

    def clock(self) -> datetime:
        raise self.error

    def close(self) -> None:
        """There is nothing to release."""
