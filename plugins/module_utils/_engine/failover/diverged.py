# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store what an old primary wrote behind the fork of the new timeline, and name its commits, before it is rewound.

It is nobody's WAL: no timeline that goes on contains it. But it may hold what somebody was told is committed. The
deposed site stores it too: it does not become part of the archive.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import LifeboatError, ObjectCorrupt, ObjectExists, ObjectMissing, WalGap
from ..base.files import open_to_read
from ..base.wal_names import Segment, format_lsn, is_segment
from ..codec import zstd
from ..config.load import Config
from ..postgres.controldata import read_control
from ..postgres.timeline import TimelinePath, path_to
from ..records.fields import SHA256, Fields
from ..records.model import FORMAT, format_time, open_fields, seal_record
from ..repository.hasty import open_answering
from ..repository.histories import read_histories
from ..repository.kinds import kind_of
from ..repository.labels import stamp
from ..repository.layout import DIVERGED, DIVERGED_COMMITS, is_sealed, sealed_name
from ..repository.repository import Repositories, Repository
from ..restore import latest_timeline
from ..wal import scan
from ..wal.fetch import MAX_WAL_FILE, read_wal
from ..wal.segment import check_segment, read_header, record_end
from .site import data_dir_of, histories_in, refuse_serving

# In the answer; the stored list has all of them.
_NAMED = 1000


@dataclass(frozen=True)
class Commit:
    """A transaction that no timeline contains that goes on."""

    lsn: int
    xid: int
    at: Optional[datetime]

    def line(self) -> str:
        return f"{format_lsn(self.lsn)}\t{self.xid}\t{format_time(self.at) if self.at else ''}\n"


@dataclass(frozen=True)
class Found:
    """The WAL of the old side from ``fork``, where timeline ``successor`` left ``timeline``, to ``end``."""

    system: str
    timeline: int
    successor: int
    fork: int
    end: int
    segments: Tuple[Segment, ...] = ()
    commits: Tuple[Commit, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether there is anything behind the fork."""
        return self.end > self.fork

    def facts(self) -> Dict[str, Any]:
        """For the record and the answer, without the list of commits."""
        times = [c.at for c in self.commits if c.at is not None]
        return {
            "system_identifier": self.system,
            "timeline": self.timeline,
            "new_timeline": self.successor,
            "fork_lsn": format_lsn(self.fork),
            "end_lsn": format_lsn(self.end),
            "commits": len(self.commits),
            "first_commit_at": format_time(min(times)) if times else None,
            "last_commit_at": format_time(max(times)) if times else None,
        }


@dataclass(frozen=True)
class Kept:
    """What was found, the label under which it is stored, and the repositories in which it is new."""

    found: Found
    label: str = ""
    repositories: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        found = self.found
        return {
            "changed": bool(self.repositories),
            "diverged": found.diverged,
            "label": self.label or None,
            "repositories": list(self.repositories),
            **found.facts(),
            "bytes": found.end - found.fork,
            "segments": [segment.name for segment in found.segments],
            "xids": [commit.xid for commit in found.commits[:_NAMED]],
            "xids_complete": len(found.commits) <= _NAMED,
        }


def fork_between(old: TimelinePath, new: TimelinePath) -> Optional[int]:
    """The LSN up to which both paths are the same; None if ``new`` goes on with all of ``old``. Pure.

    A path that ends on a timeline on which the other one forks has no end there: the other one's fork counts.
    """
    shared: Optional[int] = None
    for mine, theirs in zip(old.steps, new.steps):
        if mine.timeline != theirs.timeline:
            return shared
        shared, ends = mine.switch, [s for s in (mine.switch, theirs.switch) if s is not None]
        if mine.switch != theirs.switch:
            return min(ends)
    return None


def plan(config: Config) -> Kept:
    """What is behind the fork; nothing is stored."""
    with open_answering(config) as repositories:
        return Kept(_Old(config, repositories).look())


def apply(config: Config) -> Kept:
    """Store it in every required repository that has it not; the record, which makes it exist, comes last.

    DataDirectoryRefused if a server runs there; WalGap if a part of it is neither here nor in a repository.
    """
    with audited(config, "diverged") as note, open_answering(config) as repositories:
        repositories.require_signing("diverged")
        old = _Old(config, repositories)
        found = old.look()
        note.skip = not found.diverged
        if not found.diverged:
            return Kept(found)
        contents = {name: hashlib.sha256(content).hexdigest() for name, content in old.contents(found)}
        there = {r.name: _label_in(r, found, contents) for r in repositories.required}
        lacking = [r for r in repositories.required if not there[r.name]]
        known = next((r for r in repositories.required if there[r.name]), None)
        label = (there[known.name] if known else None) or f"{stamp(clock.now())}-{secrets.token_hex(6)}"
        note.objects.append(f"{found.system}/{label}")
        note.details.update(commits=len(found.commits), repositories=[r.name for r in lacking])
        note.skip = not lacking
        if known:
            for repository in lacking:
                _copy(known, repository, found.system, label)
        elif lacking:
            _store(lacking, found, label, contents, old, config.backup.zstd_level)
        return Kept(found, label, tuple(r.name for r in lacking))


class _Old:
    """The data directory of an old primary."""

    def __init__(self, config: Config, repositories: Repositories) -> None:
        self._config, self._repositories, self.data_dir = config, repositories, data_dir_of(config)
        refuse_serving(self.data_dir)
        self._control = read_control(config.bin_dir, self.data_dir)
        self._system, self._size = self._control.system_identifier, self._control.segment_size
        self._wal_dir = os.path.join(self.data_dir, "pg_wal")

    def look(self) -> Found:
        """The WAL behind the fork, and its commits. Disk: nine segments."""
        fork, own, system = self._fork(), self._control.timeline, self._system
        if fork is None:
            return Found(system, own, own, self._control.checkpoint or 0, self._control.checkpoint or 0)
        start, successor = fork
        mine = path_to(own, self._texts())
        segments = self._there(mine, start)
        records = scan.records_along(
            self._config.bin_dir, segments, self.content, start, segments[-1].end if segments else start, []
        )
        last: Optional[scan.Record] = None
        commits: List[Commit] = []
        for record in records:
            last = record
            if record.is_commit:
                commits.append(Commit(record.lsn, record.ended, record.moment))
        end = start
        if last is not None:
            block = read_header(segments[0].name, self.content(segments[0])).block
            end = record_end(last.lsn, last.length, block, self._size)
        used = tuple(s for s in segments if s.start < end)
        return Found(system, own, successor, start, end, used if end > start else (), tuple(commits))

    def contents(self, found: Found) -> Iterable[Tuple[str, bytes]]:
        """The files that are to be stored, by name."""
        for segment in found.segments:
            yield segment.name, self.content(segment)
        yield DIVERGED_COMMITS, "".join(commit.line() for commit in found.commits).encode()

    def content(self, segment: Segment) -> bytes:
        """A segment of the old side: from ``pg_wal``, else from a repository that has it."""
        try:
            with open_to_read(os.path.join(self._wal_dir, segment.name)) as stream:
                content = stream.read()
        except FileNotFoundError:
            found = self._stored(segment)
            if found is None:
                raise WalGap(
                    f"{segment.name}, which the old side wrote, is neither in {self._wal_dir} nor in a repository.",
                    "It cannot be stored, nor its commits be counted. Look for a copy of pg_wal; else accept that.",
                    missing=[segment.name],
                ) from None
            return found
        check_segment(segment.name, content, self._system)
        return content

    def _there(self, path: TimelinePath, start: int) -> Tuple[Segment, ...]:
        """The segments from the fork to the last file of the own path that is its own, and not one for later use."""
        names = {name for name in os.listdir(self._wal_dir) if is_segment(name)}
        found, waiting = [], []
        for segment in path.segments(start, self._size):
            if segment.name in names and not self._is_own(segment):
                break
            waiting.append(segment)
            if segment.name in names or self._stored(segment) is not None:
                found += waiting
                waiting = []
            elif not any(name[:8] == segment.name[:8] and name > segment.name for name in names):
                break
        return tuple(found)

    def _is_own(self, segment: Segment) -> bool:
        """Not a file that PostgreSQL renamed to be used later: such a one still has its old header."""
        with open_to_read(os.path.join(self._wal_dir, segment.name)) as stream:
            head = stream.read(64)
        return any(head) and read_header(segment.name, head).start == segment.start

    def _stored(self, segment: Segment) -> Optional[bytes]:
        for repository in self._repositories.items:
            try:
                return read_wal(repository, self._system, segment.name)
            except ObjectMissing:
                continue
        return None

    def _fork(self) -> Optional[Tuple[int, int]]:
        """The LSN at which the newest timeline in any repository left the own path, and that timeline.

        If there is none, a repository that did not answer may know of one: its error is raised.
        """
        texts: Dict[int, str] = {}
        stored: Set[int] = set()
        unread: List[LifeboatError] = []
        for repository in self._repositories.items:
            try:
                told = read_histories(repository, self._system)
                texts.update(told.texts)
                stored |= told.stored
            except LifeboatError as exc:
                unread.append(exc)
        path = path_to(latest_timeline({self._control.timeline}, texts, stored), texts)
        fork = fork_between(path_to(self._control.timeline, self._texts()), path)
        if fork is None and unread:
            raise unread[0]
        return None if fork is None else (fork, path.timeline)

    def _texts(self) -> Mapping[int, str]:
        return histories_in(self._wal_dir, os.listdir(self._wal_dir))


def _label_in(repository: Repository, found: Found, contents: Mapping[str, str]) -> Optional[str]:
    """The label under which a repository has just this, read back as far as it can be opened here; None if none."""
    layout = repository.layout
    for info in repository.store.list(layout.diverged(found.system)):
        kind = kind_of(layout.cluster, info.key)
        if not kind.record:
            continue
        try:
            fields = open_fields(repository.get_record(info.key, info=info), info.key)
            if fields.text("system_identifier") == found.system and _holds(repository, fields, kind.part, contents):
                return kind.part
        except (ObjectCorrupt, ObjectMissing):
            continue
    return None


def _holds(repository: Repository, fields: Fields, label: str, contents: Mapping[str, str]) -> bool:
    files = {f.text("name"): f for f in fields.inners("files")}
    system = fields.text("system_identifier")
    if {n: f.text("content_sha256", SHA256) for n, f in files.items()} != dict(contents):
        return False
    for name, file in files.items():
        key = sealed_name(repository.layout.diverged(system, label, name), file.flag("sealed"))
        raw = repository.store.get(key)
        if not is_sealed(key):
            content = zstd.decompress(raw, key, MAX_WAL_FILE)
            if hashlib.sha256(content).hexdigest() != contents[name]:
                return False
        elif hashlib.sha256(raw).hexdigest() != file.text("sha256", SHA256):
            return False
    return True


def _copy(origin: Repository, target: Repository, system: str, label: str) -> None:
    """The same bytes, the record last."""
    keys = [info.key for info in origin.store.list(origin.layout.diverged(system, label))]
    for key in sorted(keys, key=lambda k: k.endswith(DIVERGED)):
        _put(target, key, origin.store.get(key))


def _store(
    targets: Sequence[Repository], found: Found, label: str, contents: Mapping[str, str], old: _Old, level: int
) -> None:
    files, seal = [], targets[0].seal
    for name, content in old.contents(found):
        body = zstd.compress(content, level)
        body = seal.close(body) if seal.seals else body
        for target in targets:
            _put(target, sealed_name(target.layout.diverged(found.system, label, name), seal.seals), body)
        digest = hashlib.sha256(body).hexdigest()
        files.append({"name": name, "sealed": seal.seals, "size": len(body), "sha256": digest,
                      "content_sha256": contents[name]})  # fmt: skip
    record = {
        "format": FORMAT, "label": label, "host": socket.gethostname(), "stored_at": format_time(clock.now()),
        **found.facts(), "files": files,
    }  # fmt: skip
    key = targets[0].layout.diverged(found.system, label, DIVERGED)
    # Signed once: the bytes are the same everywhere.
    raw = seal_record(targets[0].signatures.sign(key, record))
    for target in targets:
        _put(target, key, raw)


def _put(repository: Repository, key: str, raw: bytes) -> None:
    try:
        repository.store.put(key, raw)
    except ObjectExists:
        if repository.store.get(key) != raw:
            raise
