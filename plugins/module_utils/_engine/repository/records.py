# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the small records below a prefix: one listing, and a get for each of them, several at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import List, Tuple

from .repository import Repository

_PARALLEL = 8


def read_records(repository: Repository, prefix: str) -> List[Tuple[str, bytes]]:
    """Key and content of every object there, in the order of the listing."""
    keys = [info.key for info in repository.store.list(prefix)]
    with ThreadPoolExecutor(_PARALLEL, "lifeboat-records") as pool:
        return list(zip(keys, pool.map(repository.store.get, keys)))
