# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories this host has stored in, saved in the spool: an empty mount point is no new repository.

Without a spool nothing is known. If it is lost, an empty directory is taken for a new repository once more.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Optional

from ..base import clock
from ..base.errors import LifeboatError, StoreUnavailable
from ..base.files import make_directory, open_to_read, replace_file
from ..records.fields import MOST_SMALL, Fields, parse_object
from ..records.model import format_time


@dataclass(frozen=True)
class Adopted:
    """The records ``<spool>/adopted/<repository>.json``; none if ``directory`` is None."""

    directory: Optional[str] = None

    @classmethod
    def of(cls, spool_dir: Optional[str]) -> Adopted:
        """Those of a cluster's spool."""
        return cls(os.path.join(spool_dir, "adopted") if spool_dir else None)

    def since(self, name: str, location: str) -> Optional[str]:
        """When this host first stored there, in ISO 8601; None if it did not, or that is unknown."""
        if self.directory is None:
            return None
        path = self._path(name)
        with contextlib.suppress(OSError, ValueError, LifeboatError), open_to_read(path) as stream:
            found = Fields(parse_object(stream.read(MOST_SMALL)), path)
            return format_time(found.moment("since")) if found.text("location") == location else None
        return None

    def require_new(self, name: str, location: str) -> None:
        """StoreUnavailable if this host has stored there, where nothing is now."""
        since = self.since(name, location)
        if since:
            raise StoreUnavailable(
                f"Repository {location} is empty, but this host has stored in it since {since}.",
                "Mount it. If it was emptied and shall begin anew: lifeboat backup --accept-new-system.",
                repository=name,
                since=since,
            )

    def remember(self, name: str, location: str) -> None:
        """Record it, once. Only the owner of the spool does; a failure changes nothing."""
        if self.directory is None or self.since(name, location):
            return
        with contextlib.suppress(OSError, LifeboatError):
            if os.stat(os.path.dirname(self.directory)).st_uid == os.geteuid():
                make_directory(self.directory)
                record = {"location": location, "since": format_time(clock.now())}
                replace_file(self._path(name), json.dumps(record).encode())

    def _path(self, name: str) -> str:
        return os.path.join(self.directory or "", f"{name}.json")
