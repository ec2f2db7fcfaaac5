# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the epochs in repositories: one listing, and one get for each record that is not known yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Dict, List, Mapping, Sequence, Tuple, Union

from ..base.errors import (
    DataDirectoryRefused,
    LeadershipUnsure,
    LifeboatError,
    ObjectCorrupt,
    ObjectMissing,
    StoreError,
)
from ..config.load import Config
from ..postgres.controldata import read_system_identifier
from ..repository.layout import epoch_place
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo
from .decide import Found, Leadership, decide
from .record import MOST_BYTES, load_epoch

#: So many objects are listed, and so many epochs read, from number 1 on: whoever may store can store thousands.
_MOST_LISTED, _MOST_READ = 100_000, 1000
_Stamp = Tuple[str, int, datetime]


@dataclass
class Reader:
    """Reads the epochs of a repository, each object once: none is ever replaced. One thread at a time uses it."""

    repository: Repository
    _known: Dict[_Stamp, Found] = field(default_factory=dict)

    def read(self, system: str) -> List[Found]:
        """What lies under each number; the store's error if the repository does not answer."""
        infos = islice(self.repository.store.list(self.repository.layout.epochs(system)), _MOST_LISTED)
        numbered = ((info, place[1]) for info in infos for place in [epoch_place(info.key)] if place)
        found = []
        for info, number in islice(numbered, _MOST_READ):
            stamp = (info.key, info.size, info.modified)
            if stamp not in self._known:
                try:
                    self._known[stamp] = self._one(info, number)
                except ObjectMissing:
                    continue
            found.append(self._known[stamp])
        return found

    def _one(self, info: ObjectInfo, number: int) -> Found:
        try:
            raw = self.repository.get_record(info.key, MOST_BYTES, info)
            return Found(self.repository.name, number, load_epoch(raw, info.key))
        except ObjectCorrupt as exc:
            return Found(self.repository.name, number, error=exc)


Answer = Union[List[Found], LifeboatError]


def ask(readers: Sequence[Reader], system: str) -> Dict[str, Answer]:
    """What each repository holds, by name, or why it did not answer; all are asked at once."""

    def one(reader: Reader) -> Answer:
        try:
            return reader.read(system)
        except LifeboatError as exc:
            reader.repository = reader.repository.reopened()
            return exc

    if len(readers) == 1:
        return {readers[0].repository.name: one(readers[0])}
    with ThreadPoolExecutor(len(readers), "lifeboat-leadership") as pool:
        return dict(zip([r.repository.name for r in readers], pool.map(one, readers)))


@dataclass(frozen=True)
class Seen:
    """Who leads, as far as the required repositories answered; ``unread`` tells why the others did not, by name."""

    system: str
    now: Leadership
    unread: Mapping[str, LifeboatError] = field(default_factory=dict)


def look(repositories: Sequence[Repository], system: str) -> Seen:
    """Read all epochs of the cluster ``system``. The first error is raised if none of the repositories answers."""
    answers = ask([Reader(r) for r in repositories], system)
    unread = {name: answer for name, answer in answers.items() if isinstance(answer, LifeboatError)}
    if len(unread) == len(answers):
        raise next(iter(unread.values()))
    read = [found for answer in answers.values() if isinstance(answer, list) for found in answer]
    return Seen(system, decide(read), unread)


def system_of(config: Config, repositories: Sequence[Repository]) -> str:
    """The system identifier of this cluster: that of the data directory, else the only one that a repository knows."""
    if config.data_dir:
        with suppress(DataDirectoryRefused):
            return read_system_identifier(config.data_dir)
    repository, known = _first_known(repositories)
    if len(known) == 1:
        return known[0]
    raise LeadershipUnsure(
        f"Repository {repository.location} knows {len(known)} system identifiers, and this host has no cluster in"
        f" {config.data_dir or 'data_dir, which is not set'}.",
        "Run it on a host of the cluster, with data_dir in its configuration.",
        known=known,
    )


def _first_known(repositories: Sequence[Repository]) -> Tuple[Repository, List[str]]:
    """The first repository that answers, and the system identifiers that it knows; the first error if none does."""
    errors: List[StoreError] = []
    for repository in repositories:
        try:
            return repository, repository.systems()
        except StoreError as exc:
            errors.append(exc)
    raise errors[0]
