# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a standby with the repository that feeds it: its lag, and whether a promotion would leave a gap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Collection, Dict, List, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import StandbyRefused
from ..base.wal_names import Segment, format_lsn
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import session
from ..postgres.facts import Position, read_facts, replay_position
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import format_time
from ..repository.hasty import open_answering
from ..repository.histories import read_histories
from ..repository.repository import Repository
from ..wal.inventory import Archived, archived
from ..wal.pieces import Piece, contiguous, list_pieces
from .target import latest_timeline

_NAMED = 5


@dataclass(frozen=True)
class Stored:
    """The WAL of a repository from a standby's position on: without a hole up to the LSN ``end``.

    ``archive_end`` is the same without pieces. ``waiting_since`` is when the oldest object that is not replayed yet was
    stored; ``only_pieces`` are whole segments that exist only as pieces, ``missing`` segments before existing ones.
    ``left_at``: where the cluster left the standby's timeline, if that was before the standby's position.
    """

    repository: str
    timeline: int
    archive_end: int
    end: int
    waiting_since: Optional[datetime] = None
    only_pieces: Tuple[str, ...] = ()
    missing: Tuple[str, ...] = ()
    left_at: Optional[int] = None


@dataclass(frozen=True)
class Status:
    """A standby compared with its repository; ``now`` is this host's time."""

    at: Position
    stored: Stored
    now: datetime

    @property
    def lag_bytes(self) -> int:
        """WAL in the repository that is not replayed."""
        return max(0, self.stored.end - self.at.lsn)

    @property
    def lag_seconds(self) -> float:
        """Seconds since the oldest WAL that is not replayed was stored; 0 if all is replayed."""
        since = self.stored.waiting_since
        return max(0.0, (self.now - since).total_seconds()) if self.lag_bytes and since else 0.0

    @property
    def faults(self) -> List[str]:
        """Faults that do not resolve themselves as replay continues."""
        found, stored = [], self.stored
        if stored.left_at is not None:
            found.append(
                f"the cluster switched to timeline {stored.timeline} at {format_lsn(stored.left_at)}, before this"
                " standby's position: restore it again"
            )
        if self.at.pause != "not paused":
            found.append(f"replay is paused ({self.at.pause}): pg_wal_replay_resume()")
        if stored.missing:
            found.append(f"WAL is missing in the repository, but later WAL exists: {_named(stored.missing)}")
        return found

    @property
    def obstacles(self) -> List[str]:
        """Why a promotion now would leave a gap, or lose WAL that the repository has."""
        found, stored = self.faults, self.stored
        if self.lag_bytes:
            found.append(f"{self.lag_bytes} bytes in the repository are not replayed yet")
        if stored.only_pieces:
            found.append(f"the archive has only pieces of {_named(stored.only_pieces)}")
        return found

    def as_dict(self) -> Dict[str, Any]:
        """For JSON, and the result of a restore."""
        at, stored = self.at, self.stored
        return {
            "replayed_lsn": format_lsn(at.lsn),
            "replayed_commit_at": format_time(at.time) if at.time else None,
            "timeline": at.timeline,
            "paused": at.pause != "not paused",
            "repository": stored.repository,
            "newest_timeline": stored.timeline,
            "archive_end_lsn": format_lsn(stored.archive_end),
            "pieces_end_lsn": format_lsn(stored.end) if stored.end > stored.archive_end else None,
            "lag_bytes": self.lag_bytes,
            "lag_seconds": round(self.lag_seconds, 1),
            "missing": list(stored.missing),
            "promotable_without_gap": not self.obstacles,
            "obstacles": self.obstacles,
        }


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def read(config: Config, connection: Optional[ConnectionConfig] = None) -> Status:
    """Query the standby of ``connection`` (by default the configured one), then the first repository that answers.

    StandbyRefused if the server is not a standby.
    """
    with session(connection or config.connection) as sql:
        facts = read_facts(sql)
        if not facts.in_recovery:
            raise StandbyRefused(
                "The server is a primary, not a standby.", "Run this with the configuration of the standby's host."
            )
        at = replay_position(sql, facts.segment_size)
    repositories = open_answering(config)
    try:
        repository = repositories.readable()
        return Status(at, _stored(repository, facts.system_identifier, facts.segment_size, at), clock.now())
    finally:
        repositories.close()


def _stored(repository: Repository, system: str, size: int, at: Position) -> Stored:
    told = read_histories(repository, system)
    path = path_to(latest_timeline({at.timeline}, told.texts, told.stored), told.texts)
    if not path.contains(at.timeline, at.lsn):
        left = path.fork_of(at.timeline)
        return Stored(repository.location, path.timeline, at.lsn, at.lsn, left_at=left if left is not None else 0)
    timelines = [s.timeline for s in path.steps if s.timeline >= at.timeline]
    have = archived(repository, system, timelines, at.lsn, size)
    return walk(repository.location, path, at.lsn, size, have, lambda name: list_pieces(repository, system, name))


def walk(
    repository: str, path: TimelinePath, lsn: int, size: int, have: Archived,
    pieces_of: Callable[[str], Collection[Piece]],
) -> Stored:  # fmt: skip
    """Follow complete segments and pieces from ``lsn`` on, up to the first hole."""
    begin = archive_end = end = lsn // size * size
    only_pieces: List[str] = []
    waiting: List[datetime] = []
    stop: Optional[Segment] = None
    for segment in path.segments(begin, size):
        whole = have.get(segment)
        if whole is not None and whole.size:
            archive_end = segment.end if not only_pieces else archive_end
            end = segment.end
            waiting += [whole.modified] if end > lsn else []
            continue
        parts = contiguous(pieces_of(segment.name))
        reach = segment.start + min(parts[-1].stop, size) if parts else segment.start
        waiting += [p.modified for p in parts if segment.start + p.stop > lsn]
        end = max(end, reach)
        if reach < segment.end:
            stop = segment
            break
        only_pieces.append(segment.name)
    later = [s.number for s in have if stop and s.number > stop.number and path.at(s.end - 1) == s.timeline]
    gap: List[str] = []
    if stop and later:
        for segment in path.segments(stop.start, size):
            if segment.number >= min(later) or len(gap) > 1000:
                break
            gap.append(segment.name)
    since = min(waiting, default=None)
    return Stored(repository, path.timeline, archive_end, max(end, lsn), since, tuple(only_pieces), tuple(gap))
