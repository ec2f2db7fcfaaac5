# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settle: archive the WAL of earlier timelines that only the standby has.

PostgreSQL marks segments that were streamed to a standby as archived, because that is its primary's task. If the
primary was lost before it did that, nobody ever does: a restore across the promotion finds a gap. Up to where the new
timeline forks, or up to what is replayed, the standby's segments are the same bytes.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base.errors import DataDirectoryRefused, ObjectMissing, WalConflict, WalInvalid
from ..base.files import open_to_read
from ..base.wal_names import Segment, format_lsn, history_name, is_segment
from ..config.load import Config
from ..leadership.watch import Watch
from ..postgres.controldata import read_control
from ..postgres.timeline import TimelinePath
from ..repository.hasty import open_answering
from ..repository.histories import digest_line, read_histories
from ..repository.layout import is_sealed, wal_name
from ..repository.repository import Repositories, Repository
from ..wal import scan
from ..wal.fetch import read_wal
from ..wal.inventory import archived
from ..wal.push import Pusher
from ..wal.segment import check_segment, fills
from .site import Place, data_dir_of, histories_in, place_of

_PARALLEL = 4
_NAMED = 50


@dataclass(frozen=True)
class Lacking:
    """What a repository lacks of what is here, oldest first, and what neither has."""

    repository: str
    names: Tuple[str, ...]
    missing: Tuple[str, ...]


@dataclass(frozen=True)
class Settled:
    """What each repository lacked, what was ``pushed``, and how many other segments were ``compared``: the same."""

    place: Place
    histories: Tuple[str, ...]
    lacking: Tuple[Lacking, ...]
    compared: int = 0
    pushed: Tuple[str, ...] = ()

    @property
    def missing(self) -> List[str]:
        """Segments that are nowhere: a restore across the fork finds a gap."""
        return sorted({name for item in self.lacking for name in item.missing})

    def as_dict(self) -> Dict[str, Any]:
        return {
            "changed": bool(self.pushed),
            "timeline": self.place.path.timeline,
            "in_recovery": self.place.in_recovery,
            "settled_up_to": format_lsn(self.place.end),
            "lacking": {item.repository: list(item.names) for item in self.lacking},
            "missing": {item.repository: list(item.missing) for item in self.lacking if item.missing},
            "pushed": list(self.pushed),
            "compared": self.compared,
        }


def complete(names: Iterable[str], path: TimelinePath, end: int, size: int) -> Tuple[Segment, ...]:
    """The segments among these names that are whole and on the path: nothing beyond ``end``, or behind a fork. Pure."""
    found = []
    for name in names:
        if is_segment(name):
            try:
                segment = Segment.parse(name, size)
            except ValueError:
                continue
            if segment.end <= end and path.at(segment.end - 1) == segment.timeline:
                found.append(segment)
    return tuple(sorted(found, key=lambda s: s.number))


def lacking(
    repository: str, here: Sequence[Segment], there: Iterable[Segment], oldest: Optional[Segment], place: Place
) -> Lacking:
    """What ``there`` lacks of ``here``. Nothing before the ``oldest`` that it has: retention removed that. Pure."""
    have = {s.number: s for s in here if oldest is None or s.number >= oldest.number}
    stored = set(there)
    names = [s.name for s in have.values() if s not in stored]
    missing: List[str] = []
    if have:
        for segment in place.path.segments(min(have) * here[0].size, here[0].size):
            if segment.end > place.end or len(missing) == _NAMED:
                break
            if segment not in stored and segment.number not in have:
                missing.append(segment.name)
    return Lacking(repository, tuple(names), tuple(missing))


def plan(config: Config) -> Settled:
    """What :func:`apply` would push; nothing is written, nothing compared."""
    with open_answering(config) as repositories:
        return _plan(config, repositories)[0]


def apply(config: Config) -> Settled:
    """Push what a required repository lacks, then compare the rest with what is there.

    Deposed if another site leads: claim first. WalConflict if a repository holds something else; WalInvalid for a
    segment that is not whole. Memory: four segments, twice.
    """
    with audited(config, "settle") as note, open_answering(config) as repositories:
        planned, here, system = _plan(config, repositories)
        Watch(config.site, repositories.required).require(system)
        data_dir = data_dir_of(config)
        pusher = Pusher(config, repositories, data_dir)
        pushed = []
        for name in planned.histories:
            if set(pusher.push(os.path.join("pg_wal", name)).already) != {r.name for r in repositories.required}:
                pushed.append(name)
        wanted = sorted({name for item in planned.lacking for name in item.names})
        for name in wanted:
            _require_whole(config, Segment.parse(name, here[0].size), _content(data_dir, name, system))
            pusher.push(os.path.join("pg_wal", name))
            pushed.append(name)
            note.objects.append(name)
        rest = [s.name for s in here if s.name not in wanted]
        compared = sum(_compare(r, system, data_dir, rest, planned) for r in repositories.required)
        note.details.update(pushed=len(pushed), missing=len(planned.missing))
        note.skip = not pushed
        return Settled(planned.place, planned.histories, planned.lacking, compared, tuple(pushed))


def _plan(config: Config, repositories: Repositories) -> Tuple[Settled, Tuple[Segment, ...], str]:
    data_dir = data_dir_of(config)
    control = read_control(config.bin_dir, data_dir)
    names = _names(data_dir)
    texts = histories_in(os.path.join(data_dir, "pg_wal"), names)
    place = place_of(config, control, data_dir, {**_known(repositories, control.system_identifier), **texts})
    here = complete(names, place.path, place.end, control.segment_size)
    steps = [s.timeline for s in place.path.steps]
    own = tuple(history_name(t) for t in steps if t in texts)
    found = [_lacking(r, control.system_identifier, here, steps, place) for r in repositories.required]
    return Settled(place, own, tuple(found)), here, control.system_identifier


def _known(repositories: Repositories, system: str) -> Dict[int, str]:
    return dict(read_histories(repositories.readable(), system).texts)


def _lacking(
    repository: Repository, system: str, here: Sequence[Segment], timelines: Sequence[int], place: Place
) -> Lacking:
    if not here:
        return Lacking(repository.name, (), ())
    size = here[0].size
    there = [s for s, info in archived(repository, system, timelines, here[0].start, size).items() if info.size]
    return lacking(repository.name, here, there, _oldest(repository, system, timelines, size), place)


def _oldest(repository: Repository, system: str, timelines: Sequence[int], size: int) -> Optional[Segment]:
    for timeline in timelines:
        # Some objects at the beginning may be pieces, marks, or what an older segment left.
        for info in islice(repository.store.list(repository.layout.wal_log(system, timeline)), 1000):
            if is_segment(name := wal_name(info.key)):
                return Segment.parse(name, size)
    return None


def _compare(repository: Repository, system: str, data_dir: str, names: Sequence[str], planned: Settled) -> int:
    """How many of these segments it has. WalConflict for the first that is another one there."""

    def one(name: str) -> int:
        content = _kept(data_dir, name, system)
        if content is None:
            # The checkpoint of the promotion removes segments meanwhile.
            return 0
        try:
            if _same(repository, system, name, content):
                return 1
        except ObjectMissing:
            # Before the oldest one there.
            return 0
        raise WalConflict(
            f"Repository {repository.location} holds {name} with other content than this server has replayed.",
            "Nothing was overwritten. Find out who stored it (lifeboat audit list), and make a full backup of this"
            " server: a restore across that segment brings back something else.",
            name=name,
            repository=repository.name,
        )

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-settle") as pool:
        return sum(pool.map(one, names))


def _same(repository: Repository, system: str, name: str, content: bytes) -> bool:
    layout = repository.layout
    clear, sealed = layout.wal_forms(system, name)
    if is_sealed(sealed) and repository.store.head(clear) is None:
        # Who seals need not be able to open it: its digest tells.
        return repository.store.get(layout.wal_digest(system, name)) == digest_line(content, name)
    return read_wal(repository, system, name) == content


def _require_whole(config: Config, segment: Segment, content: bytes) -> None:
    """WalInvalid for a segment of which the end is missing, as one put together from pieces may be."""
    last = None
    for record in scan.records_in(config.bin_dir, segment, content, []):
        last = record
    if not fills(segment, content, (last.lsn, last.length, last.kind) if last else None):
        raise WalInvalid(
            f"{segment.name} in pg_wal is not whole: its last record is at {format_lsn(last.lsn if last else 0)}.",
            "Nothing was stored. Is the disk intact? Make a full backup of this server.",
            name=segment.name,
        )


def _names(data_dir: str) -> List[str]:
    try:
        return os.listdir(os.path.join(data_dir, "pg_wal"))
    except OSError as exc:
        raise DataDirectoryRefused(
            f"{data_dir}/pg_wal cannot be read: {exc.strerror}.", "Run this as the owner of the data directory."
        ) from exc


def _content(data_dir: str, name: str, system: str) -> bytes:
    content = _kept(data_dir, name, system)
    if content is None:
        raise WalInvalid(
            f"{name} was removed from {data_dir}/pg_wal before it was archived.",
            "Run it again: it tells what is missing.",
            name=name,
        )
    return content


def _kept(data_dir: str, name: str, system: str) -> Optional[bytes]:
    """The segment in ``pg_wal``; None if PostgreSQL has removed it since it was listed."""
    path = os.path.join(data_dir, "pg_wal", name)
    try:
        with open_to_read(path) as stream:
            content = stream.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise WalInvalid(f"Cannot read {path}: {exc.strerror}.", "Run it again.", name=name) from exc
    check_segment(name, content, system)
    return content
