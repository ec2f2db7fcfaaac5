# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each repository of a cluster lacks that another one has, and what contradicts, by one listing of each.

The listings are read side by side, one directory at a time, so that memory does not grow with the number of segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from ..repository.kinds import kind_of
from ..repository.lag import find_lag
from ..repository.repository import Repository
from ..store.protocol import ObjectInfo

# Each repository is released by itself, and a hold or report may lie under another key in another one.
_OWN = ("hold", "report")


@dataclass(frozen=True)
class Difference:
    """``lag``: the bytes of what another repository has and this one lacks. ``conflicts``: objects that must have the
    same bytes everywhere, and have another size elsewhere.
    """

    lag: int = 0
    conflicts: int = 0


def differences(cluster: str, repositories: Sequence[Repository]) -> Dict[str, Difference]:
    """By the name of the repository. Errors of the stores."""
    return differ(cluster, {r.name: r.store.list(f"{cluster}/") for r in repositories})


def differ(cluster: str, listings: Mapping[str, Iterable[ObjectInfo]]) -> Dict[str, Difference]:
    """The same of listings in key order, as stores give them; each is read once. Pure.

    What is being stored while they are listed may be counted as lacking. Equal sizes are taken for equal content:
    ``lifeboat verify`` reads it.
    """
    lag = dict.fromkeys(listings, 0)
    conflicts = dict.fromkeys(listings, 0)
    together = merge(*(_named(name, infos) for name, infos in listings.items()), key=_order)
    for _directory, group in groupby(together, key=_directory_of):
        held: Dict[str, List[ObjectInfo]] = {name: [] for name in listings}
        for name, info in group:
            held[name].append(info)
        sizes = {name: {info.key: info.size for info in infos} for name, infos in held.items()}
        if all(have == sizes[next(iter(sizes))] for have in sizes.values()):
            continue
        for name, have in sizes.items():
            others = [info for other, infos in held.items() if other != name for info in infos]
            found = find_lag(cluster, [i for i in others if kind_of(cluster, i.key).name not in _OWN], have)
            lag[name] += sum({item.info.key: item.info.size for item in found.lacking}.values())
            conflicts[name] += len(set(found.conflicts))
    return {name: Difference(lag[name], conflicts[name]) for name in listings}


def _named(name: str, infos: Iterable[ObjectInfo]) -> Iterator[Tuple[str, ObjectInfo]]:
    return ((name, info) for info in infos)


def _order(item: Tuple[str, ObjectInfo]) -> bytes:
    return item[1].key.encode("utf-8", "surrogateescape")


def _directory_of(item: Tuple[str, ObjectInfo]) -> str:
    return item[1].key.rpartition("/")[0]
