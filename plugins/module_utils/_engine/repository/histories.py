# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline histories in a repository, checked by their digests; those of earlier releases have none."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Dict, Iterator, Optional, Set, Tuple, Union

from ..base.errors import ObjectCorrupt, ObjectMissing, RecordImplausible, WalInvalid
from ..base.wal_names import history_name, is_history
from ..postgres.timeline import parse_history
from ..records.fields import printable
from .repository import Repository

# PostgreSQL writes a line of about sixty bytes for each ancestor.
_LARGEST = 1024 * 1024
# A new timeline takes the next free number, so none is far ahead of all others.
_FAR = 100_000
_PARALLEL = 8
#: The text of a sound history, or what is wrong with it.
_DIRECTORY = re.compile(r"[0-9A-F]{8}/")
_Read = Union[str, ObjectMissing, ObjectCorrupt]


@dataclass
class Histories:
    """``texts``: the sound histories by timeline, of which ``unchecked`` have no digest; ``damaged``: faults of others.

    ``lost`` have a digest, or were listed, but are missing. ``stored`` are the timelines with WAL, history or not.
    """

    texts: Dict[int, str] = field(default_factory=dict)
    unchecked: Set[int] = field(default_factory=set)
    damaged: Dict[int, ObjectCorrupt] = field(default_factory=dict)
    lost: Set[int] = field(default_factory=set)
    stored: Set[int] = field(default_factory=set)

    def aside(self, repository: Repository, system: str) -> Dict[str, ObjectCorrupt]:
        """The damaged and the implausible ones, by key."""
        return {repository.layout.wal(system, history_name(t)): error for t, error in self.damaged.items()}


def digest_line(content: bytes, name: str) -> bytes:
    """The stored digest of this content: a line of ``sha256sum``."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


def read_histories(repository: Repository, system: str) -> Histories:
    """Read all histories. Damaged ones are set apart; the store's errors are raised."""
    layout, found, last = repository.layout, Histories(), 1
    names = list(repository.store.list_names(layout.wal_root(system)))
    there = {n for n in names if is_history(n)}
    found.stored = {int(n[:8], 16) for n in names if _DIRECTORY.fullmatch(n)}
    promised = {n for n in repository.store.list_names(layout.wal_digests(system)) if is_history(n)}

    def read(name: str) -> _Read:
        return _read(repository, system, name, name in promised)

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-histories") as pool:
        waiting = iter(sorted(there))
        while batch := list(islice(waiting, 4 * _PARALLEL)):
            near = [name for name in batch if int(name[:8], 16) <= last + _FAR]
            ready = dict(zip(near, pool.map(read, near)))
            for name in batch:
                timeline, key = int(name[:8], 16), layout.wal(system, name)
                # Do not read those that are too far ahead of all others.
                said = _far(key, last) if timeline > last + _FAR else ready[name] if name in ready else read(name)
                if isinstance(said, ObjectCorrupt):
                    found.damaged[timeline] = said
                elif isinstance(said, str):
                    found.texts[timeline], last = said, timeline
                    if name not in promised:
                        found.unchecked.add(timeline)
                else:
                    # Listed, but not there when it was read.
                    found.lost.add(timeline)
    found.lost |= {int(name[:8], 16) for name in promised - there}
    return found


def _read(repository: Repository, system: str, name: str, promised: bool) -> _Read:
    key = repository.layout.wal(system, name)
    try:
        raw = repository.get_record(key, _LARGEST)
        return sound_history(repository, system, name, raw, promised).decode(errors="replace")
    except (ObjectMissing, ObjectCorrupt) as exc:
        return exc
    except WalInvalid as exc:
        words = f"{key} is not a timeline history: {printable(exc.message)}"
        return ObjectCorrupt(words, exc.hint, key=key)


def _far(key: str, last: int) -> RecordImplausible:
    return RecordImplausible(
        f"{key} is not plausible: the timeline before it is {last}.",
        "Find out who stored it; it is set apart.",
        key=key,
    )


def histories(repository: Repository, system: str) -> Iterator[Tuple[int, str]]:
    """Every sound timeline history in the repository: timeline and text."""
    return iter(read_histories(repository, system).texts.items())


def sound_history(repository: Repository, system: str, name: str, raw: bytes, promised: Optional[bool] = None) -> bytes:
    """``raw``, if it is a history that matches its digest; otherwise ObjectCorrupt or WalInvalid.

    ``promised``: whether there is a digest, if that is known.
    """
    key = repository.layout.wal(system, name)
    if len(raw) > _LARGEST:
        raise ObjectCorrupt(
            f"{key} has {len(raw)} bytes, too many for a timeline history.",
            "Copy it from another repository: lifeboat verify --repair.",
            key=key,
        )
    if promised is not False:
        try:
            known = repository.store.get(repository.layout.wal_digest(system, name))
        except ObjectMissing:
            known = None
        if known is not None and known != digest_line(raw, name):
            raise ObjectCorrupt(
                f"{key} does not match its digest {repository.layout.wal_digest(system, name)}.",
                "Copy it from another repository: lifeboat verify --repair.",
                key=key,
            )
    parse_history(int(name[:8], 16), raw.decode(errors="replace"))
    return raw
