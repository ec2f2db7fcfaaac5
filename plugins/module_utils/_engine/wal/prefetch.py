# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch WAL ahead of replay into a directory, from which ``restore_command`` takes it.

The directory belongs to one restore. A file under its own name there is decompressed, checked and complete. The
command requests a missing one by an empty file ``<name>.<token>.want``, which the prefetcher renames to
``….seen``. The answer is the file itself, ``<name>.<token>.missing`` (every repository confirmed it, after the
request), or ``<name>.<token>.ask`` (doubt: ask the repositories). The command removes its request and the answer
before it takes the file. A request that exists means that somebody is waiting, and only that protects a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.wal_names import is_wal_file
from ..config.load import Config
from ..repository.repository import Repositories
from .fetch import Source, look_up, write_wal
from .window import PARALLEL, Window, parallel

_ORDER = "order.json"
_UNFINISHED = ".unfinished"
WANT, SEEN, MISSING, ASK = ".want", ".seen", ".missing", ".ask"
_POLL = 0.02
# Seconds until a file that could not be fetched is tried again.
_REST = 5.0
# No command waits longer (restore_command in postgres/recovery.py): the one that left an older request was killed.
_WAITS = 60.0
# Never fill the disk: the recovering server needs space.
_SPARE = 128 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """The task of a prefetcher: whose WAL, the files in replay order, how many may wait, and from where."""

    system: str
    segment_size: int
    names: Tuple[str, ...]
    limit: int
    source: Optional[str] = None
    without: Tuple[str, ...] = ()
    pieces: bool = False


def write_order(directory: str, order: Order) -> None:
    """Write the order into the directory."""
    with open(os.path.join(directory, _ORDER), "w", encoding="utf-8") as stream:
        json.dump(asdict(order), stream)


def read_order(directory: str) -> Order:
    """The order in the directory; ConfigError if there is none."""
    try:
        with open(os.path.join(directory, _ORDER), encoding="utf-8") as stream:
            content = json.load(stream)
        return Order(**{**content, "names": tuple(content["names"]), "without": tuple(content["without"])})
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{directory} has no {_ORDER} for a prefetch.", "Do not run this by hand: a restore runs this."
        ) from exc


def prefetch(config: Config, directory: str, lifeline: int) -> int:
    """Serve the directory until the other end of the descriptor ``lifeline`` is closed; then remove it.

    Returns how many files were fetched. Memory: up to 4 files, 128 MiB of them, and their compressed forms.
    """
    order = read_order(directory)
    repositories = Repositories.open(config)
    pool = ThreadPoolExecutor(PARALLEL + 1, "lifeboat-prefetch")
    try:
        serving = _Prefetcher(repositories, order, directory, pool)
        while not _ended(lifeline):
            serving.turn()
        return serving.fetched
    except FileNotFoundError:
        # The restore has ended, and removed the directory.
        return 0
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(directory, ignore_errors=True)


def _question(entry: str) -> str:
    """``<name>.<token>`` of a request or an answer."""
    return entry.rpartition(".")[0]


def _ended(lifeline: int) -> bool:
    readable = select.select([lifeline], [], [], _POLL)[0]
    return bool(readable) and not os.read(lifeline, 4096)


class _Prefetcher:
    """The state of the directory and of the downloads. Only :meth:`_fetch` runs in other threads."""

    def __init__(self, repositories: Repositories, order: Order, directory: str, pool: ThreadPoolExecutor) -> None:
        self._repositories, self._order, self._directory, self._pool = repositories, order, directory, pool
        self._window = Window.over(order.names, order.limit, parallel(order.segment_size))
        self._ready: Set[str] = set()
        self._busy: Dict[str, Future[Optional[bool]]] = {}
        # The requests that existed when a look-up began, by file: only they may be answered that the file is missing.
        self._begun_for: Dict[str, Sequence[str]] = {}
        # The open requests by file, and when each request and answer was first seen.
        self._wanted: Dict[str, List[str]] = {}
        self._since: Dict[str, float] = {}
        self._resting: Dict[str, float] = {}
        self.fetched = 0

    def turn(self) -> None:
        """Read the directory once and act on it: answer requests, drop files, start downloads."""
        self._look()
        self._collect()
        waited_for = [name for name, questions in self._wanted.items() if questions]
        step = self._window.step(self._ready, set(self._busy), waited_for, self._rest())
        for name in step.drop:
            self._ready.discard(name)
            self._unlink(name)
        for name in step.fetch:
            questions = tuple(self._wanted.get(name, ()))
            if questions or self._room():
                self._begun_for[name] = questions
                self._busy[name] = self._pool.submit(self._fetch, name)

    def _look(self) -> None:
        there = set(os.listdir(self._directory))
        self._window = self._window.given(self._ready - there)
        self._ready &= there
        self._wanted = {}
        marks = {entry for entry in there if entry.endswith((WANT, SEEN, MISSING, ASK))}
        now = clock.monotonic()
        self._since = {question: self._since.get(question, now) for question in map(_question, marks)}
        answered = {_question(entry) for entry in marks if entry.endswith((MISSING, ASK))}
        for entry in sorted(marks):
            question = _question(entry)
            name = question.rpartition(".")[0]
            if now - self._since[question] > _WAITS or not is_wal_file(name):
                self._unlink(entry)
            elif entry.endswith((WANT, SEEN)) and question not in answered and self._notice(entry, name):
                self._wanted.setdefault(name, []).append(question)

    def _notice(self, entry: str, name: str) -> bool:
        """Let the command know that its request was seen; False if it has ended meanwhile."""
        if entry.endswith(SEEN):
            return True
        try:
            os.rename(self._path(entry), self._path(_question(entry) + SEEN))
        except FileNotFoundError:
            return False
        self._window = self._window.asked(name)
        return True

    def _collect(self) -> None:
        for name in [n for n, future in self._busy.items() if future.done()]:
            future, questions = self._busy.pop(name), self._begun_for.pop(name)
            found = None if future.exception() else future.result()
            if found:
                self._ready.add(name)
                self.fetched += 1
                continue
            self._resting[name] = clock.monotonic()
            for question in questions:
                if question in self._wanted.get(name, ()):
                    self._answer(name, question, ASK if found is None else MISSING)

    def _answer(self, name: str, question: str, verdict: str) -> None:
        self._wanted[name].remove(question)
        with contextlib.suppress(OSError), open(self._path(question + verdict), "w", encoding="utf-8"):
            pass

    def _rest(self) -> Set[str]:
        now = clock.monotonic()
        self._resting = {n: since for n, since in self._resting.items() if now - since < _REST}
        return set(self._resting)

    def _fetch(self, name: str) -> Optional[bool]:
        """Whether the file could be fetched; None in doubt.

        One round only: the command learns of the doubt, and asks the repositories with more patience.
        """
        unfinished = self._path(name + _UNFINISHED)
        try:
            source = Source(self._order.source, self._order.without, self._order.pieces)
            found = look_up(self._repositories, self._order.system, name, source, rounds=1)
            if found is None:
                return False
            write_wal(unfinished, found[1])
            os.rename(unfinished, self._path(name))
            return True
        except (LifeboatError, OSError):
            self._unlink(name + _UNFINISHED)
            return None

    def _room(self) -> bool:
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize > _SPARE + PARALLEL * self._order.segment_size

    def _path(self, entry: str) -> str:
        return os.path.join(self._directory, entry)

    def _unlink(self, entry: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(entry))
