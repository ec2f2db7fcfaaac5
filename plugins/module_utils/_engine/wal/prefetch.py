# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch WAL ahead of replay into a directory, from which ``restore_command`` takes it.

The directory belongs to one restore. A file under its own name there is decompressed, checked and complete. The
command asks for one that is not there by an empty file ``<name>.<token>.want``; it is removed when the prefetcher has
seen it, and the answer is the file itself, ``<name>.<token>.missing`` (every repository confirmed it, after the
question), or ``<name>.<token>.ask`` (a doubt: ask for yourself).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Set, Tuple

from .. import clock
from ..config import Config
from ..errors import ConfigError, LifeboatError
from ..postgres.wal_names import is_wal_file
from ..repository.repository import Repositories
from .fetch import Source, look_up, write_wal
from .window import PARALLEL, Window, parallel

_ORDER = "order.json"
_UNFINISHED = ".unfinished"
WANT, MISSING, ASK = ".want", ".missing", ".ask"
_POLL = 0.02
# A file that could not be had is tried again after so many seconds, and an old answer is swept after these.
_REST, _STALE = 5.0, 600.0
# Never take the last of a disk: the server that recovers needs it.
_SPARE = 128 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What a prefetcher shall do: whose WAL, the files in the order of replay, how many may wait, and from where."""

    system: str
    segment_size: int
    names: Tuple[str, ...]
    limit: int
    source: Optional[str] = None
    without: Tuple[str, ...] = ()
    pieces: bool = False


def write_order(directory: str, order: Order) -> None:
    """Leave the order in the directory."""
    with open(os.path.join(directory, _ORDER), "w", encoding="utf-8") as stream:
        json.dump(asdict(order), stream)


def read_order(directory: str) -> Order:
    """The order in the directory; ConfigError where there is none."""
    try:
        with open(os.path.join(directory, _ORDER), encoding="utf-8") as stream:
            content = json.load(stream)
        return Order(**{**content, "names": tuple(content["names"]), "without": tuple(content["without"])})
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{directory} holds no order to fetch WAL ahead.", "A restore makes one and starts this itself."
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
        # The restore has removed the directory: it is over.
        return 0
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(directory, ignore_errors=True)


def _ended(lifeline: int) -> bool:
    readable = select.select([lifeline], [], [], _POLL)[0]
    return bool(readable) and not os.read(lifeline, 4096)


@dataclass(frozen=True)
class _Outcome:
    """``found``: it is there now; every repository confirmed that it has none (False); a doubt (None).

    ``questions`` are those that were open just before the file appeared.
    """

    found: Optional[bool]
    questions: Tuple[str, ...] = ()


class _Prefetcher:
    """The state of the directory, and of what is on its way. Only :meth:`_fetch` runs in other threads."""

    def __init__(self, repositories: Repositories, order: Order, directory: str, pool: ThreadPoolExecutor) -> None:
        self._repositories, self._order, self._directory, self._pool = repositories, order, directory, pool
        self._window = Window.over(order.names, order.limit, parallel(order.segment_size))
        self._ready: Set[str] = set()
        self._busy: Dict[str, Future[_Outcome]] = {}
        # Begun for somebody who asked: only such a look-up may answer that there is no file.
        self._asked: Set[str] = set()
        self._wanted: Dict[str, List[str]] = {}
        self._resting: Dict[str, float] = {}
        self._answers: Dict[str, float] = {}
        self.fetched = 0

    def turn(self) -> None:
        """Look at the directory once, and do what follows."""
        self._look()
        self._collect()
        step = self._window.step(self._ready, set(self._busy), list(self._wanted), self._rest())
        for name in step.drop:
            self._ready.discard(name)
            self._unlink(name)
        for name in step.fetch:
            if name in self._wanted:
                self._asked.add(name)
            elif not self._room():
                continue
            self._busy[name] = self._pool.submit(self._fetch, name)

    def _look(self) -> None:
        there = set(os.listdir(self._directory))
        self._window = self._window.given(self._ready - there)
        self._ready &= there
        for entry in sorted(there):
            if entry.endswith(WANT):
                question = entry[: -len(WANT)]
                name = question.rpartition(".")[0]
                self._unlink(entry)
                if is_wal_file(name):
                    self._window = self._window.asked(name)
                    self._wanted.setdefault(name, []).append(question)
        for name in self._ready & self._wanted.keys():
            del self._wanted[name]
        now = clock.monotonic()
        for entry in [e for e, since in self._answers.items() if now - since > _STALE]:
            del self._answers[entry]
            self._unlink(entry)

    def _collect(self) -> None:
        for name in [n for n, future in self._busy.items() if future.done()]:
            future = self._busy.pop(name)
            asked = name in self._asked
            self._asked.discard(name)
            outcome = _Outcome(None) if future.exception() else future.result()
            if outcome.found:
                self._ready.add(name)
                self._settle(name, outcome.questions)
                self.fetched += 1
                continue
            self._resting[name] = clock.monotonic()
            if asked:
                self._answer(name, ASK if outcome.found is None else MISSING)

    def _settle(self, name: str, questions: Tuple[str, ...]) -> None:
        """These had their answer. The file may be taken by now, and asked for once more."""
        left = [q for q in self._wanted.get(name, []) if q not in questions]
        if left:
            self._wanted[name] = left
        else:
            self._wanted.pop(name, None)

    def _answer(self, name: str, verdict: str) -> None:
        for question in self._wanted.pop(name, []):
            with contextlib.suppress(OSError), open(self._path(question + verdict), "w", encoding="utf-8"):
                self._answers[question + verdict] = clock.monotonic()

    def _rest(self) -> Set[str]:
        now = clock.monotonic()
        self._resting = {n: since for n, since in self._resting.items() if now - since < _REST}
        return set(self._resting)

    def _fetch(self, name: str) -> _Outcome:
        """One round only: who asks hears of the doubt, and asks the repositories with more patience."""
        unfinished = self._path(name + _UNFINISHED)
        try:
            source = Source(self._order.source, self._order.without, self._order.pieces)
            found = look_up(self._repositories, self._order.system, name, source, rounds=1)
            if found is None:
                return _Outcome(False)
            write_wal(unfinished, found[1])
            questions = tuple(self._wanted.get(name, ()))
            os.rename(unfinished, self._path(name))
            return _Outcome(True, questions)
        except (LifeboatError, OSError):
            self._unlink(name + _UNFINISHED)
            return _Outcome(None)

    def _room(self) -> bool:
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize > _SPARE + PARALLEL * self._order.segment_size

    def _path(self, entry: str) -> str:
        return os.path.join(self._directory, entry)

    def _unlink(self, entry: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(entry))
