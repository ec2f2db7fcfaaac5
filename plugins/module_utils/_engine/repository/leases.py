# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases: a process that reads or writes a backup announces that in the repository, so that retention waits.

The beginning, each renewal and the end are separate objects, written once. A lease is renewed every hour while its work
runs, and honored for a day after the last renewal, so a dead process delays retention for a day. Processes without
permission to write there announce nothing.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import FrozenSet, Iterator, List, Sequence

from ..base.errors import LifeboatError, ObjectCorrupt, ObjectMissing
from ..records.fields import printable
from .kinds import kind_of
from .repository import Repository

RENEWED = timedelta(hours=1)
BELIEVED = timedelta(days=1)
# Bytes: for a restore a label and a host, for a sync a line for each backup, copy and dump.
_MOST = 1024 * 1024
# How many restores are described; a single one is enough for retention to wait.
_NAMED = 20
# How many writers' leases are read; with more than that, assume that anything is being written.
_ASKED = 500
_PARALLEL = 8
_READING, _WRITING = "restores", "writes"


@dataclass(frozen=True)
class Writing:
    """What is being written: directories of keys, or ``everything`` if a lease cannot be read."""

    directories: FrozenSet[str] = frozenset()
    everything: bool = False

    def has(self, key: str) -> bool:
        """Whether a running writer may have put this object."""
        return self.everything or key.rsplit("/", 1)[0] in self.directories


class _Lease:
    """An announced lease, which a thread renews."""

    def __init__(self, repository: Repository, area: str, words: str, every: timedelta) -> None:
        self._repository, self._area, self._token = repository, area, secrets.token_hex(6)
        self._every, self._number, self._over = every, 0, threading.Event()
        self._put("begun", words.encode())
        self._thread = threading.Thread(target=self._renew, name="lifeboat-lease", daemon=True)
        self._thread.start()

    def _put(self, word: str, data: bytes = b"") -> None:
        self._repository.store.put(self._repository.layout.lease(self._area, self._token, word), data)

    def _renew(self) -> None:
        while not self._over.wait(self._every.total_seconds()):
            self._number += 1
            with contextlib.suppress(LifeboatError):
                self._put(f"held-{self._number:06d}")

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(LifeboatError):
            self._put("ended")


@contextmanager
def reading(repository: Repository, label: str, every: timedelta = RENEWED) -> Iterator[None]:
    """Announce to other hosts that this backup is being restored, if permissions allow it, until the block ends."""
    with _held([repository], _READING, f"{label} on {socket.gethostname()}\n", every):
        yield


@contextmanager
def writing(repositories: Sequence[Repository], keys: Sequence[str], every: timedelta = RENEWED) -> Iterator[None]:
    """Make retention spare the files beside these keys, although they have no record, until the block ends."""
    words = "".join(f"{directory}\n" for directory in sorted({key.rsplit("/", 1)[0] for key in keys}))
    with _held(repositories, _WRITING, words, every):
        yield


@contextmanager
def _held(repositories: Sequence[Repository], area: str, words: str, every: timedelta) -> Iterator[None]:
    with ExitStack() as stack:
        for repository in repositories:
            with contextlib.suppress(LifeboatError):
                stack.callback(_Lease(repository, area, words, every).end)
        yield


def restores_under_way(repository: Repository, now: datetime) -> List[str]:
    """The running restores and their hosts, in words; beyond the first 20 only their keys."""
    words: List[str] = []
    for key in _live(repository, _READING, now):
        if len(words) >= _NAMED:
            words.append(key)
            continue
        with contextlib.suppress(ObjectMissing):
            try:
                words.append(printable(repository.get_record(key, _MOST).decode(errors="replace").strip()))
            except ObjectCorrupt:
                # Counts as a reader even if its content is damaged.
                words.append(key)
    return words


def being_written(repository: Repository, now: datetime) -> Writing:
    """What is being written. Call this before listing the objects: a writer that ends in between has stored its record.

    It is everything if a lease cannot be read, or if there are more than 500.
    """
    live = list(islice(_live(repository, _WRITING, now), _ASKED + 1))
    if len(live) > _ASKED:
        return Writing(everything=True)
    with ThreadPoolExecutor(_PARALLEL, "lifeboat-leases") as pool:
        try:
            words = list(pool.map(lambda key: repository.get_record(key, _MOST).decode().splitlines(), live))
        except (ObjectCorrupt, ObjectMissing, ValueError):
            return Writing(everything=True)
    return Writing(frozenset(directory for lines in words for directory in lines))


def _live(repository: Repository, area: str, now: datetime) -> Iterator[str]:
    """The keys of leases that have not ended and were renewed recently enough."""
    layout = repository.layout
    listed = ((kind_of(layout.cluster, info.key), info) for info in repository.store.list(layout.leases(area)))
    ours = ((kind.owner, info) for kind, info in listed if kind.name == "lease")
    for token, group in groupby(ours, key=lambda found: found[0]):
        told = [info for _token, info in group]
        over = any(info.key == layout.lease(area, token, "ended") for info in told)
        if not over and now - max(info.modified for info in told) < BELIEVED:
            yield layout.lease(area, token, "begun")
