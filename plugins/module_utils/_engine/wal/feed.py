# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``restore_command`` of a standby that is fed from the repository alone (``lifeboat wal-fetch --follow``).

A segment that is not complete in the archive is put together from its pieces and padded with zeros. PostgreSQL
replays to the end of the pieces, finds no valid record there, and asks for the same segment again. It gets the
segment again only once there is more of it; until then the answer is "not there", and it uses its own copy.

In standby mode "not there" does not end recovery: PostgreSQL asks again (``WaitForWALToBecomeAvailable`` in
``xlogrecovery.c``). So doubt, which stops a restore, does not stop a standby: it serves readers, and waits. A store
that does not answer does not hold back WAL that another store has.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Iterable, List, Optional, Tuple

from ..base import clock
from ..base.errors import LifeboatError, StoreUnavailable, WalConflict
from ..base.wal_names import is_history, is_segment, is_wal_file
from ..config.load import Config
from ..postgres.controldata import read_system_identifier
from ..postgres.recovery import RECOVERY, STANDBY
from ..postgres.server import refuse_root, serves
from ..repository.hasty import open_answering
from ..repository.repository import Repositories, Repository
from ..repository.silence import key_of, read_silent, write_silent
from .fetch import Fetched, Source, longest, look_up, write_wal

#: In pg_wal, which no base backup contains.
STATE = "lifeboat_standby.json"
_PROMOTED = "lifeboat_promoted"
# Seconds that the command itself waits, because starting it costs more than asking a store, and between two requests.
# Afterwards PostgreSQL looks for a new timeline.
_PATIENCE, _POLL = 5.0, 1.0
# Seconds between two looks for a promotion, during which clients wait.
_GLANCE = 0.1
_STATES = ("standby", "ready")


@dataclass(frozen=True)
class Handed:
    """The last segment handed out incomplete: its name, how many bytes of it are WAL, and their SHA-256."""

    name: str
    end: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes, end: int) -> Handed:
        """The first ``end`` bytes of ``content``."""
        return cls(name, end, hashlib.sha256(memoryview(content)[:end]).hexdigest())

    def begins(self, content: bytes) -> bool:
        """Whether ``content`` begins with what was handed out."""
        return len(content) >= self.end and Handed.of(self.name, content, self.end) == self

    def followed_by(self, content: bytes, end: int, held: bool) -> bool:
        """Whether to hand out ``content``, of which ``end`` bytes are WAL: it must begin with what was handed out.

        ``held``: the server still has that, so ``content`` must also be longer.
        """
        return end >= self.end + held and end > 0 and self.begins(content)


NOTHING = Handed("", 0, hashlib.sha256(b"").hexdigest())


@dataclass(frozen=True)
class Fed:
    """The file that was handed out, None if it does not exist (yet); ``notes`` are for the server's log."""

    fetched: Optional[Fetched]
    notes: Tuple[str, ...] = ()


def read_handed(wal_dir: str, name: str) -> Handed:
    """The part of the segment ``name`` that was handed out; NOTHING if the last one was another, or is not known."""
    try:
        with open(os.path.join(wal_dir, STATE), encoding="utf-8") as stream:
            found = json.load(stream)
        if found["name"] != name or int(found["end"]) <= 0:
            return NOTHING
        return Handed(name, int(found["end"]), str(found["sha256"]))
    except (OSError, ValueError, TypeError, KeyError):
        return NOTHING


def write_handed(wal_dir: str, handed: Handed) -> None:
    """Save it in the directory. After a failure all pieces of the segment are read again."""
    path = os.path.join(wal_dir, STATE)
    with contextlib.suppress(OSError):
        with open(f"{path}.new", "w", encoding="utf-8") as stream:
            json.dump(asdict(handed), stream)
        os.replace(f"{path}.new", path)


def feed(config: Config, name: str, path: str, source: Source, data_dir: Optional[str] = None) -> Fed:
    """Write the file ``name`` to ``path`` (relative to ``data_dir``) if it is new to the standby; see the module.

    WalConflict if the archived segment does not begin with the replayed pieces: the standby has replayed WAL that its
    primary never wrote, and recovery must stop.
    """
    refuse_root()
    data_dir = os.path.abspath(data_dir or os.getcwd())
    if not is_wal_file(name):
        return Fed(None)
    system = read_system_identifier(data_dir)
    repositories = _open(config, data_dir, name)
    try:
        return _Feed(repositories, system, name, os.path.join(data_dir, path), source).wait(data_dir)
    finally:
        repositories.close()


def _open(config: Config, data_dir: str, name: str) -> Repositories:
    """Every repository that answers; those that did not answer a moment ago are not asked where doubt is harmless."""
    wal_dir = os.path.join(data_dir, "pg_wal")
    marks = read_silent(wal_dir) if doubt_ends_nothing(data_dir, name) else {}
    where = {r.name: key_of(r.name, r.store.location) for r in config.repositories}
    repositories = open_answering(config, [n for n, key in where.items() if key in marks])
    write_silent(
        wal_dir, marks, [where[n] for n, exc in repositories.silent.items() if isinstance(exc, StoreUnavailable)]
    )
    return repositories


def waits(data_dir: str) -> bool:
    """Whether this standby can wait for more WAL: it accepts connections, and is not being promoted or stopped.

    A starting server must read its own copy of the segment before it accepts connections.
    Line 8 of ``postmaster.pid`` is the status (``miscadmin.h``); ``pg_ctl promote`` creates the file ``promote``.
    """
    if promotion_asked(data_dir) or promotion_began(data_dir):
        return False
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8") as stream:
            return [line.strip() for line in stream][7] in _STATES
    except (OSError, IndexError):
        return False


def promotion_asked(data_dir: str) -> bool:
    """Whether a promotion of this server was requested, and has not begun. It is recorded for later calls."""
    if not os.path.exists(os.path.join(data_dir, "promote")):
        return False
    with contextlib.suppress(OSError):
        with open(os.path.join(data_dir, "pg_wal", _PROMOTED), "w", encoding="utf-8") as stream:
            stream.write(" ".join(_server(data_dir)))
    return True


def promotion_began(data_dir: str) -> bool:
    """Whether this server is being promoted: it has removed ``promote``, and asks its last questions."""
    server = " ".join(_server(data_dir))
    if not server or promotion_asked(data_dir):
        return False
    with contextlib.suppress(OSError):
        with open(os.path.join(data_dir, "pg_wal", _PROMOTED), encoding="utf-8") as stream:
            return stream.read() == server
    return False


def doubt_ends_nothing(data_dir: str, name: str) -> bool:
    """Whether "not there" is harmless where a store is in doubt: only of a standby, which asks again.

    A server that is promoted removes ``standby.signal``, and then asks for the history of the timeline that it leaves
    (``writeTimeLineHistory`` in ``timeline.c``). It has its own copy of that; timeline 1 has none. An error would end
    the server, half promoted.
    """
    if os.path.exists(os.path.join(data_dir, STANDBY)):
        return True
    if os.path.exists(os.path.join(data_dir, RECOVERY)) or not is_history(name):
        return False
    return int(name[:8], 16) == 1 or os.path.exists(os.path.join(data_dir, "pg_wal", name))


def _server(data_dir: str) -> Tuple[str, ...]:
    """The process id and start time of the server that runs here; empty if none does."""
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
        return (lines[0], lines[2]) if serves(data_dir) else ()
    except (OSError, IndexError):
        return ()


class _Feed:
    """One request of a standby for one file."""

    def __init__(self, repositories: Repositories, system: str, name: str, path: str, source: Source) -> None:
        self._repositories, self._system, self._name, self._path = repositories, system, name, path
        self._silent = {n: exc for n, exc in repositories.silent.items() if n not in source.without}
        without = (*source.without, *self._silent)
        self._source, self._whole = Source(source.name, without, source.pieces), Source(source.name, without)
        self._wal_dir = os.path.dirname(path)
        self._notes: List[str] = []
        self._ends = False

    def wait(self, data_dir: str) -> Fed:
        """Ask until there is something new; for a segment up to some seconds, else once."""
        until = clock.monotonic() + (_PATIENCE if is_segment(self._name) else 0)
        began = _server(data_dir)
        while True:
            if began and _server(data_dir) != began:
                # The server was killed: its successor may ask for another file at the same path.
                return Fed(None)
            more, self._ends = waits(data_dir), promotion_began(data_dir)
            doubt: Optional[LifeboatError] = None
            self._notes.clear()
            try:
                fetched = self._ask(1 if more else 3)
                if fetched is not None:
                    return Fed(fetched, tuple(self._notes))
                doubt = next(iter(self._silent.values()), None)
            except WalConflict:
                raise
            except LifeboatError as exc:
                doubt = exc
            if not more or clock.monotonic() >= until:
                # Once more: after this answer, a promotion that was requested meanwhile begins at once.
                promotion_asked(data_dir)
                if doubt and not doubt_ends_nothing(data_dir, self._name):
                    raise doubt
                if doubt:
                    self._notes.append(f"{self._name} cannot be fetched now: {doubt.message} [{doubt.error_code}]")
                return Fed(None, tuple(self._notes))
            asked = clock.monotonic()
            while clock.monotonic() < asked + _POLL and not promotion_asked(data_dir):
                clock.sleep(_GLANCE)

    def _ask(self, rounds: int) -> Optional[Fetched]:
        if is_history(self._name):
            return self._history(rounds)
        handed = read_handed(self._wal_dir, self._name)
        found = look_up(self._repositories, self._system, self._name, self._whole, rounds)
        if found is not None:
            repository, content = found
            if not handed.begins(content):
                raise WalConflict(
                    f"{self._name} in repository {repository.location} does not begin with the {handed.end} bytes of"
                    " its pieces that were replayed here.",
                    "Restore this standby again: it has replayed WAL that its primary never wrote. Find out who stored"
                    " the pieces.",
                    name=self._name,
                    repository=repository.name,
                )
            return self._hand_out(repository, content)
        if not (self._source.pieces and is_segment(self._name)):
            return None
        have = self._have(handed)
        longer = longest(self._repositories, self._system, self._name, self._source, have)
        if longer is None:
            return None
        repository, pieced = longer
        if pieced.damaged:
            self._notes.append(f"{self._name} ends early in repository {repository.name}: {pieced.damaged}")
        if not handed.followed_by(pieced.content, pieced.end, bool(have)):
            if pieced.end >= handed.end and not handed.begins(pieced.content):
                self._notes.append(f"{self._name}: its pieces differ from those that were replayed here")
            return None
        fetched = self._hand_out(repository, pieced.content)
        write_handed(self._wal_dir, Handed.of(self._name, pieced.content, pieced.end))
        return fetched

    def _have(self, handed: Handed) -> bytes:
        """The server's own bytes of the segment, if they are exactly those that were handed out; else none."""
        if handed is NOTHING:
            return b""
        try:
            with open(os.path.join(self._wal_dir, self._name), "rb") as stream:
                content = stream.read(handed.end)
        except OSError:
            return b""
        return content if handed.begins(content) else b""

    def _history(self, rounds: int) -> Optional[Fetched]:
        """A history, if there is WAL of its timeline or a later one.

        A promotion archives the history first: an unfinished or forged one would lead every standby to a timeline
        without WAL. But a server that is being promoted itself only looks for an unused number.
        """
        found = look_up(self._repositories, self._system, self._name, self._whole, rounds)
        if found is None:
            return None
        repository, content = found
        names = repository.store.list_names(repository.layout.wal_root(self._system))
        if not self._ends and int(self._name[:8], 16) > leads_to(names):
            self._notes.append(f"{self._name} is not followed yet: there is no WAL of its timeline")
            return None
        return self._hand_out(repository, content)

    def _hand_out(self, repository: Repository, content: bytes) -> Fetched:
        write_wal(self._path, content)
        return Fetched(self._name, repository.name, len(content))


def leads_to(names: Iterable[str]) -> int:
    """The last timeline with a history and WAL (segments or pieces), by the names below the cluster's WAL; 0 for none.

    PostgreSQL asks for one history after the other, up to the first that is missing. Pure.
    """
    there = set(names)
    return max((int(n[:8], 16) for n in there if is_history(n) and f"{n[:8]}/" in there), default=0)
