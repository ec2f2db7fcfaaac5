# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tablespace, as the server and the record of a backup describe it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tablespace:
    """A tablespace with its own archive. ``size``: bytes of its files in this backup.

    ``restored_size``: the largest size after combining them with those of the parents; 0 in a full backup.
    """

    oid: str
    name: str
    location: str
    size: int = 0
    restored_size: int = 0

    @property
    def in_place(self) -> bool:
        """Whether it is inside the data directory (``allow_in_place_tablespaces``)."""
        return self.location == f"pg_tblspc/{self.oid}"

    @property
    def final_size(self) -> int:
        """The size of the restored tablespace in bytes."""
        return self.restored_size or self.size
