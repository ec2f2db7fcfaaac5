# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand over: store the last WAL of a primary that was stopped in order, up to the end of its shutdown checkpoint.

PostgreSQL archives complete segments only, so the shutdown checkpoint, which is the first record of a new one, stays
behind. As a piece of the unfinished segment it reaches a standby. One that is promoted then forks just behind it, and
the old primary can follow without a rewind.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base.errors import (
    ConfigError,
    Deposed,
    HandoverRefused,
    LifeboatError,
    ObjectExists,
    WalConflict,
    WalInvalid,
)
from ..base.files import open_to_read
from ..base.wal_names import Segment, format_lsn, is_segment
from ..codec import zstd
from ..config.load import Config
from ..leadership.watch import Watch
from ..postgres.controldata import SHUT_DOWN, SHUT_DOWN_IN_RECOVERY, ControlData, read_control
from ..postgres.server import serves
from ..repository.hasty import open_answering
from ..repository.repository import Repositories, Repository
from ..wal import scan
from ..wal.backlog import ready_files, wal_path
from ..wal.following import cuts
from ..wal.pieces import MOST, read_pieces
from ..wal.push import Pushed, Pusher
from ..wal.segment import read_header, record_end
from .site import data_dir_of


@dataclass(frozen=True)
class End:
    """Where the WAL of a stopped primary ends: ``lsn``, just behind its shutdown checkpoint, and on which timeline.

    ``segment`` is the unfinished one, with its bytes up to there; None if the checkpoint fills its segment.
    """

    system: str
    timeline: int
    lsn: int
    segment: Optional[Segment] = None
    content: bytes = b""


@dataclass(frozen=True)
class Stored:
    """A piece of the unfinished segment that is new in a repository."""

    repository: str
    key: str


@dataclass(frozen=True)
class HandedOver:
    """``pushed`` are the files that PostgreSQL had not archived; ``pieces`` are new; ``required`` are repositories."""

    end: End
    pushed: Tuple[Pushed, ...]
    pieces: Tuple[Stored, ...]
    required: Tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was stored."""
        return bool(self.pieces) or any(set(p.already) != set(self.required) for p in self.pushed)

    def as_dict(self) -> Dict[str, Any]:
        segment = self.end.segment
        return {
            "changed": self.changed,
            "system_identifier": self.end.system,
            "timeline": self.end.timeline,
            "handover_lsn": format_lsn(self.end.lsn),
            "segment": segment.name if segment else None,
            "pushed": [{"name": p.name, "already_in": list(p.already)} for p in self.pushed],
            "pieces": [{"repository": p.repository, "key": p.key} for p in self.pieces],
        }


def apply(config: Config) -> HandedOver:
    """Archive what waits, then store the tail, in every required repository; what is there already is left alone.

    HandoverRefused unless the server is stopped and was a primary; Deposed if another site leads; WalConflict if a
    repository holds something else; ConfigError for a sealed cluster.
    """
    end = _read_end(config)
    with audited(config, "handover") as note, open_answering(config) as repositories:
        refuse_sealed(config)
        note.objects.append(f"{end.system}/{end.timeline}/{format_lsn(end.lsn)}")
        required = tuple(r.name for r in repositories.required)
        if _taken_over(config, repositories, end):
            note.skip = True
            return HandedOver(end, (), (), required)
        pushed = push_all(config, repositories, ready_files(data_dir_of(config)))
        pieces = [stored for r in repositories.required for stored in _store_tail(r, end, config.backup.zstd_level)]
        done = HandedOver(end, pushed, tuple(pieces), required)
        note.details.update(pushed=len(pushed), pieces=len(pieces))
        note.skip = not done.changed
        return done


def _taken_over(config: Config, repositories: Repositories, end: End) -> bool:
    """Whether another site has already taken over at just this LSN: an earlier run stored everything before that."""
    try:
        Watch(config.site, repositories.required).require(end.system)
    except Deposed as exc:
        if exc.details.get("handover_lsn") != format_lsn(end.lsn):
            raise
        return True
    return False


def push_all(config: Config, repositories: Repositories, names: Sequence[str]) -> Tuple[Pushed, ...]:
    """Archive these files of ``pg_wal``, in this order. PostgreSQL marks them as archived itself when it runs again."""
    data_dir = data_dir_of(config)
    pusher = Pusher(config, repositories, data_dir)
    done: List[Pushed] = []
    for name in names:
        done.append(pusher.push(wal_path(data_dir, name)))
        if is_segment(name):
            pusher.acknowledge(name)
    return tuple(done)


def refuse_sealed(config: Config) -> None:
    """ConfigError where what is stored is sealed: a piece is not."""
    if config.seal.recipients:
        raise ConfigError(
            "This cluster is sealed, and a piece of WAL would be stored in the clear: the shutdown checkpoint is not"
            " handed over.",
            "Promote the standby without it, and rewind the old primary (pg_rewind): docs/regions.md.",
        )


def _read_end(config: Config) -> End:
    data_dir = data_dir_of(config)
    control = read_control(config.bin_dir, data_dir)
    _require_stopped(control, data_dir)
    start = control.checkpoint or 0
    wal_dir = os.path.join(data_dir, "pg_wal")
    first = Segment.at(control.timeline, start, control.segment_size)
    record = scan.record_at(config.bin_dir, wal_dir, control.timeline, start)
    if record is None or record.kind != "CHECKPOINT_SHUTDOWN":
        raise HandoverRefused(
            f"There is no shutdown checkpoint at {format_lsn(start)}, where pg_control of {data_dir} has it.",
            "Is pg_wal whole? Start and stop the server in order (pg_ctl stop -m fast), and try again.",
            data_dir=data_dir,
        )
    block = read_header(first.name, _read(wal_dir, first, 64)).block
    end = record_end(start, record.length, block, first.size)
    last = Segment.at(control.timeline, end, first.size)
    if end == last.start:
        return End(control.system_identifier, control.timeline, end)
    content = _read(wal_dir, last, end - last.start)
    header = read_header(last.name, content)
    if (header.system_identifier, header.start) != (control.system_identifier, last.start):
        raise WalInvalid(
            f"{last.name} in {wal_dir} is WAL of system identifier {header.system_identifier}.",
            "Nothing was stored. Check the disk.",
            name=last.name,
        )
    return End(control.system_identifier, control.timeline, end, last, content)


def _require_stopped(control: ControlData, data_dir: str) -> None:
    if serves(data_dir):
        why, hint = "a server runs there", "Stop it in order first: pg_ctl stop -m fast."
    elif control.state == SHUT_DOWN_IN_RECOVERY:
        why, hint = "it was stopped as a standby", "The primary hands over; look at lifeboat standby status."
    elif control.state != SHUT_DOWN:
        why = f"its state is {control.state!r}"
        hint = "Start it, and stop it in order (pg_ctl stop -m fast). If it cannot start any more, this is a failover."
    else:
        return
    raise HandoverRefused(
        f"The cluster in {data_dir} cannot be handed over: {why}.", hint, data_dir=data_dir, state=control.state
    )


def _store_tail(repository: Repository, end: End, level: int) -> List[Stored]:
    """What the repository lacks of the unfinished segment; read back, so that a standby will get just these bytes."""
    if end.segment is None:
        return []
    name, new = end.segment.name, []
    for key in repository.layout.wal_forms(end.system, name):
        if repository.store.head(key) is not None:
            raise _conflict(repository, name, "it has the whole segment, which this primary never finished")
    there = read_pieces(repository, end.system, name)
    _require_same(repository, end, there.content[: there.end])
    for start, stop in cuts(there.end, len(end.content), MOST):
        key = repository.layout.wal_piece(end.system, name, start, stop)
        try:
            repository.store.put(key, zstd.compress(end.content[start:stop], level))
            new.append(Stored(repository.name, key))
        except ObjectExists:
            # It is read below.
            continue
    if new or there.end < len(end.content):
        back = read_pieces(repository, end.system, name)
        _require_same(repository, end, back.content[: back.end])
        if back.end < len(end.content):
            raise _conflict(repository, name, back.damaged or "its pieces end before the shutdown checkpoint")
    return new


def _require_same(repository: Repository, end: End, content: bytes) -> None:
    """WalConflict unless the pieces that were stored are the beginning of the segment here."""
    if end.segment is not None and not end.content.startswith(content):
        raise _conflict(repository, end.segment.name, "its pieces are not what this primary wrote")


def _conflict(repository: Repository, name: str, why: str) -> LifeboatError:
    return WalConflict(
        f"Repository {repository.location} holds {name} otherwise than this primary: {why}.",
        "Nothing was overwritten. Find out who else stores WAL of this cluster: lifeboat verify, lifeboat audit list.",
        name=name,
        repository=repository.name,
    )


def _read(wal_dir: str, segment: Segment, length: int) -> bytes:
    path = os.path.join(wal_dir, segment.name)
    try:
        with open_to_read(path) as stream:
            content = stream.read(length)
    except OSError as exc:
        raise WalInvalid(f"Cannot read {path}: {exc.strerror}.", "Check pg_wal.", name=segment.name) from exc
    if len(content) < length:
        raise WalInvalid(f"{path} has only {len(content)} bytes.", "Check the disk.", name=segment.name)
    return content
