# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which WAL files to fetch ahead of replay, and which to drop for them. :mod:`.prefetch` does it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Dict, List, Sequence, Tuple

# The most files, and bytes of files, that are downloaded at once; each is in memory.
PARALLEL = 4
_IN_MEMORY = 128 * 1024 * 1024
_BYTES = 1024 * 1024 * 1024


def bound(segments: int, segment_size: int) -> int:
    """How many files may wait: ``segments``, but at most 1 GiB of them, and at least one."""
    return max(1, min(segments, _BYTES // segment_size))


def parallel(segment_size: int) -> int:
    """How many files may be downloaded at once: 4, but at most 128 MiB of them, and at least one."""
    return max(1, min(PARALLEL, _IN_MEMORY // segment_size))


@dataclass(frozen=True)
class Step:
    """What to do next: files to drop, then files to start fetching."""

    drop: Tuple[str, ...] = ()
    fetch: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """The stretch of WAL ahead of replay that is kept ready.

    ``names`` are the files in the order of replay, ``places`` their indexes, ``limit`` how many may be ready or
    downloading, ``parallel`` how many downloading, ``position`` the index that replay asks for next.
    """

    names: Tuple[str, ...]
    places: Dict[str, int]
    limit: int
    parallel: int = PARALLEL
    position: int = 0

    @classmethod
    def over(cls, names: Sequence[str], limit: int, parallel: int = PARALLEL) -> Window:
        """A window that starts at the first of ``names``."""
        return cls(tuple(names), {name: place for place, name in enumerate(names)}, limit, parallel)

    def asked(self, name: str) -> Window:
        """The window once replay asked for this file. A file outside of ``names`` does not move it."""
        return replace(self, position=self.places.get(name, self.position))

    def given(self, names: AbstractSet[str]) -> Window:
        """The window once these files were handed over: replay continues after the last one."""
        known = [self.places[name] for name in names if name in self.places]
        return replace(self, position=max(known) + 1) if known else self

    def step(
        self, ready: AbstractSet[str], busy: AbstractSet[str], wanted: Sequence[str], resting: AbstractSet[str]
    ) -> Step:
        """The next step, given the files that are there (``ready``), downloading (``busy``), requested (``wanted``) and
        unavailable for now (``resting``). At most ``limit`` files are ready or downloading.
        """
        urgent = [name for name in wanted if name not in ready and name not in busy]
        ahead = self.names[self.position : self.position + self.limit]
        calm = [n for n in ahead if n not in ready and n not in busy and n not in resting and n not in urgent]
        fetch = [*urgent, *calm[: max(0, self.parallel - len(busy) - len(urgent))]]
        free = self.limit - len(ready) - len(busy)
        passed, coming = self._expendable(ready, wanted)
        drop = passed[: max(0, len(fetch) - free)]
        # Give up files that replay will need only for files that somebody is waiting for.
        drop += coming[: max(0, len(urgent) - free - len(drop))]
        return Step(tuple(drop), tuple(fetch[: free + len(drop)]))

    def _expendable(self, ready: AbstractSet[str], wanted: Sequence[str]) -> Tuple[List[str], List[str]]:
        """Files that replay has passed or that are beyond the window; then those in the window, the farthest first."""
        kept = sorted((n for n in ready if n not in wanted), key=lambda n: self.places.get(n, -1))
        inside = [n for n in kept if self.position <= self.places.get(n, -1) < self.position + self.limit]
        return [n for n in kept if n not in inside], inside[::-1]
