# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is verified how often, and what a restore test looks at: the section ``verify`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import ConfigError
from ..mapping import build


@dataclass(frozen=True)
class Question:
    """A query with one value as its answer, which must be ``equals`` (as text) or a number of at least ``minimum``.

    Without either, it only has to run.
    """

    database: str
    query: str
    name: str = ""
    minimum: Optional[float] = None
    equals: Optional[str] = None

    @property
    def title(self) -> str:
        """How people call it."""
        return self.name or " ".join(self.query.split())[:80]


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows are counted when a backup is made; ``table`` as SQL names it: ``public.orders``."""

    database: str
    table: str


@dataclass(frozen=True)
class VerifyConfig:
    """What was read in the last ``max_age_days`` and was intact is not read again.

    ``scratch_dir`` is where the scratch cluster is for the time; beside the data directory where it is None.

    ``max_shrink`` is by how many per cent a database or a counted table may be smaller than it was at the backup.
    ``amcheck``: whether ``pg_amcheck`` reads every table and index, ``jobs`` how many at once. ``settings`` are those
    of the scratch server, ``timeout`` is what its recovery may take, in seconds.
    """

    max_age_days: float = 30.0
    scratch_dir: Optional[str] = None
    queries: Tuple[Question, ...] = ()
    count_tables: Tuple[CountedTable, ...] = ()
    max_shrink: float = 10.0
    amcheck: bool = True
    jobs: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout: Optional[float] = None


def parse_verify(data: Any, where: str) -> VerifyConfig:
    """Check the section; ConfigError names the path of what is wrong."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: verify must be a mapping, not {type(data).__name__}.", "See docs/verification.md.")
    values: Dict[str, Any] = dict(data)
    for key, cls in (("queries", Question), ("count_tables", CountedTable)):
        given = values.get(key) or ()
        if not isinstance(given, (list, tuple)):
            raise ConfigError(f"{where}: verify.{key} must be a list.", "Put each on a line of its own.")
        values[key] = tuple(build(cls, item, f"verify.{key}[{i}]", where) for i, item in enumerate(given))
    found: VerifyConfig = build(VerifyConfig, values, "verify", where)
    if not 0 <= found.max_shrink <= 100:
        raise ConfigError(f"{where}: verify.max_shrink is {found.max_shrink:g}.", "It is per cent, from 0 to 100.")
    if found.max_age_days < 0:
        raise ConfigError(f"{where}: verify.max_age_days is {found.max_age_days:g}.", "It is days, 0 or more.")
    if found.jobs < 1:
        raise ConfigError(f"{where}: verify.jobs is {found.jobs}.", "It must be at least 1.")
    return found
