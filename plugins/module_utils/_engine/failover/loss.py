# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a promotion of this standby would lose, before anybody confirms it: shown in LSNs, seconds and transactions.

The standby gets each segment from whichever repository has it, and pieces from the one whose pieces go farthest. So
all repositories are looked at together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import LifeboatError, StandbyRefused
from ..base.wal_names import Segment, format_lsn, parse_lsn
from ..config.load import Config
from ..postgres.connection import Session, session
from ..postgres.facts import Position, read_facts, replay_position
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import format_time
from ..repository.hasty import open_answering
from ..repository.histories import Histories, read_histories
from ..repository.repository import Repository
from ..restore import StandbyStored, latest_timeline, standby_walk
from ..wal import scan
from ..wal.contact import Contact, update
from ..wal.fetch import Source, look_up
from ..wal.inventory import Archived, archived
from ..wal.pieces import Piece, contiguous, list_pieces
from .judge import Known, Limit, Verdict, judge

# More WAL than that is not read to count its transactions: a failover waits for the answer.
_MOST_COUNTED = 64


@dataclass(frozen=True)
class Commits:
    """Transactions in a stretch of WAL: how many, and when the first and the last of them committed."""

    count: int
    first: Optional[datetime] = None
    last: Optional[datetime] = None


@dataclass(frozen=True)
class Loss:
    """A standby beside all repositories that answer; ``unread`` are the others.

    ``received`` is the end of the WAL that was streamed to it. ``each`` is what single repositories have, ``together``
    what all of them have; ``pieced_at`` is when the newest piece of it was stored. ``commits`` are those behind what is
    replayed that the repositories have; None if they are too many to be counted in time.
    """

    at: Position
    received: int
    each: Tuple[StandbyStored, ...]
    together: StandbyStored
    pieced_at: Optional[datetime]
    contact: Optional[Contact]
    commits: Optional[Commits]
    now: datetime
    unread: Mapping[str, LifeboatError] = field(default_factory=dict)

    @property
    def lsn(self) -> int:
        """Where the standby will be once it has replayed all that it can get."""
        return max(self.at.lsn, self.received, self.together.end)

    @property
    def known(self) -> Known:
        """What the decision rests on."""
        contact = self.contact if self.contact and self.contact.timeline >= self.at.timeline else None
        primary = contact.lsn if contact else None
        heard = [contact.at] if contact and contact.lsn <= self.lsn else []
        # A whole segment tells no more than its last commit: what came behind it was not in there.
        times = [*heard, self.pieced_at, self.at.time, self.commits.last if self.commits else None]
        covered = max((t for t in times if t is not None), default=None)
        left = ""
        if self.together.left_at is not None:
            fork = format_lsn(self.together.left_at)
            left = f"the cluster went on to timeline {self.together.timeline} at {fork}: restore this standby anew"
        uncovered = None if covered is None else max(0.0, (self.now - covered).total_seconds())
        return Known(self.lsn, primary, uncovered, self.together.missing, left)

    def as_dict(self, verdict: Verdict) -> Dict[str, Any]:
        known, contact, counted = self.known, self.contact, self.commits
        return {
            "verdict": verdict.word,
            "reasons": list(verdict.reasons),
            "lsn": format_lsn(self.lsn),
            "timeline": self.at.timeline,
            "replayed_lsn": format_lsn(self.at.lsn),
            "replayed_commit_at": _time(self.at.time),
            "received_lsn": format_lsn(self.received) if self.received else None,
            "paused": self.at.pause != "not paused",
            "to_replay": {
                "bytes": self.lsn - self.at.lsn,
                "commits": counted.count if counted else None,
                "first_commit_at": _time(counted.first) if counted else None,
                "last_commit_at": _time(counted.last) if counted else None,
            },
            "repositories": [
                {
                    "repository": s.repository,
                    "archive_end_lsn": format_lsn(s.archive_end),
                    "pieces_end_lsn": format_lsn(s.end) if s.end > s.archive_end else None,
                    "missing": list(s.missing),
                }
                for s in self.each
            ],
            "unread": {name: exc.as_dict() for name, exc in self.unread.items()},
            "missing": list(known.missing),
            "primary_lsn": format_lsn(contact.lsn) if contact else None,
            "primary_heard_at": _time(contact.at) if contact else None,
            "lost_bytes": known.lost_bytes,
            "uncovered_seconds": None if known.uncovered is None else round(known.uncovered, 1),
        }


def read(config: Config, limit: Limit, accepted: Optional[int] = None) -> Tuple[Loss, Verdict]:
    """Ask the standby, then every repository; and the decision. StandbyRefused if the server is no standby."""
    with session(config.connection) as sql:
        facts = read_facts(sql)
        if not facts.in_recovery:
            raise StandbyRefused(
                "The server is a primary: it has nothing to lose by a promotion.", "Ask on the host of the standby."
            )
        at, contact = replay_position(sql, facts.segment_size), update(config, sql)
        received = _received(sql)
    with open_answering(config) as repositories:
        system, size = facts.system_identifier, facts.segment_size
        told, unread = _histories(repositories.items, system)
        texts = {t: text for known in told.values() for t, text in known.texts.items()}
        stored = {t for known in told.values() for t in known.stored}
        path = path_to(latest_timeline({at.timeline}, texts, stored), texts)
        views = [_View.of(r, system, path, at, size) for r in repositories.items if r.name in told]
        together = _walk("", path, at, size, views)
        segments = _until(path, at.lsn, together.end, size) if together.left_at is None else []

        def content_of(segment: Segment) -> bytes:
            found = look_up(repositories, system, segment.name, _source(unread), rounds=1)
            return found[1] if found else b""

        counted, only = None, ["--rmgr=Transaction"]
        if config.data_dir and received >= together.end:
            # All of it was streamed to this host.
            wal_dir = os.path.join(config.data_dir, "pg_wal")
            counted = count(scan.records_between(config.bin_dir, wal_dir, at.timeline, at.lsn, received, only))
        elif len(segments) <= _MOST_COUNTED:
            counted = count(scan.records_along(config.bin_dir, segments, content_of, at.lsn, together.end, only))
    each = tuple(_walk(v.name, path, at, size, [v]) for v in views)
    pieces = max((t for v in views for t in v.pieced_at), default=None)
    loss = Loss(at, received, each, together, pieces, contact, counted, clock.now(), unread)
    return loss, judge(loss.known, limit, accepted)


def count(records: Iterable[scan.Record]) -> Commits:
    """The commits among these records. Pure."""
    times = [r.moment for r in records if r.is_commit]
    known = [t for t in times if t is not None]
    return Commits(len(times), min(known, default=None), max(known, default=None))


def _source(unread: Mapping[str, LifeboatError]) -> Source:
    """Pieces count, and a repository that gave no answer is not waited for."""
    return Source(None, tuple(unread), pieces=True)


@dataclass
class _View:
    """What a repository has from the standby's position on; of a segment its pieces are listed once."""

    name: str
    have: Archived
    list_them: Callable[[str], Tuple[Piece, ...]]
    listed: Dict[str, Tuple[Piece, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, repository: Repository, system: str, path: TimelinePath, at: Position, size: int) -> _View:
        timelines = [s.timeline for s in path.steps if s.timeline >= at.timeline]
        have = archived(repository, system, timelines, at.lsn, size)
        return cls(repository.name, have, lambda name: list_pieces(repository, system, name))

    def pieces(self, segment: str) -> Tuple[Piece, ...]:
        """Those that cover it without a hole from its beginning on."""
        if segment not in self.listed:
            self.listed[segment] = contiguous(self.list_them(segment))
        return self.listed[segment]

    @property
    def pieced_at(self) -> List[datetime]:
        """When the last piece of each segment was stored."""
        return [found[-1].modified for found in self.listed.values() if found]


def _histories(
    repositories: Sequence[Repository], system: str
) -> Tuple[Dict[str, Histories], Dict[str, LifeboatError]]:
    found: Dict[str, Histories] = {}
    unread: Dict[str, LifeboatError] = {}
    for repository in repositories:
        try:
            repository.owns(system)
            found[repository.name] = read_histories(repository, system)
        except LifeboatError as exc:
            unread[repository.name] = exc
    if not found:
        raise next(iter(unread.values()))
    return found, unread


def _walk(name: str, path: TimelinePath, at: Position, size: int, views: Sequence[_View]) -> StandbyStored:
    """What these repositories have together; a segment is put together from the pieces of one of them."""
    if not path.contains(at.timeline, at.lsn):
        return StandbyStored(name, path.timeline, at.lsn, at.lsn, left_at=path.fork_of(at.timeline) or 0)
    have = Archived()
    for view in views:
        have.merge(view.have)

    def pieces_of(segment: str) -> Tuple[Piece, ...]:
        return max((v.pieces(segment) for v in views), key=lambda found: found[-1].stop if found else 0)

    return standby_walk(name, path, at.lsn, size, have, pieces_of)


def _until(path: TimelinePath, start: int, end: int, size: int) -> List[Segment]:
    """The segments with WAL between two LSNs."""
    if end <= start:
        return []
    return list(takewhile(lambda s: s.start < end, path.segments(start, size)))


def _received(sql: Session) -> int:
    """The end of what was streamed to this standby and is on its disk; 0 if nothing was."""
    return parse_lsn(str(sql.value("SELECT coalesce(pg_last_wal_receive_lsn(), '0/0')::text")))


def _time(moment: Optional[datetime]) -> Optional[str]:
    return format_time(moment) if moment else None
