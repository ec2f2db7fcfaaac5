# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often to verify, and what a restore test checks: the section ``verify`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from .option import build, option


@dataclass(frozen=True)
class Question:
    """A query with a single value as its result: it must equal ``equals`` (as text), or be at least ``minimum``.

    Without either, it only has to run.
    """

    database: str = option("Database to query.")
    query: str = option("Query that returns a single value.")
    name: str = option("Name for reports. Default: the query.", "")
    minimum: Optional[float] = option("Lowest number to accept as the result.", None)
    equals: Optional[str] = option("Value to require as the result, as text.", None)

    @property
    def title(self) -> str:
        """The name for reports and messages."""
        return self.name or " ".join(self.query.split())[:80]


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows are counted at each backup; ``table`` as in SQL: ``public.orders``."""

    database: str = option("Database.")
    table: str = option("Table, as in SQL: C(public.orders).")


@dataclass(frozen=True)
class VerifyConfig:
    """What verification and restore tests check."""

    max_age_days: float = option("Days before objects that were found intact are read again.", 30.0)
    scratch_dir: Optional[str] = option(
        "Directory for a restore test's cluster. Default: beside the data directory.", None, path=True
    )
    queries: Tuple[Question, ...] = option("Queries that a restore test runs.", ())
    count_tables: Tuple[CountedTable, ...] = option(
        "Tables whose rows are counted at each backup and compared by restore tests.", ()
    )
    max_shrink: float = option(
        "Percentage by which a database or counted table may be smaller than at the backup.", 10.0
    )
    amcheck: bool = option("Check every table and index with C(pg_amcheck).", True)
    jobs: int = option("Tables that C(pg_amcheck) checks in parallel.", 2)
    settings: Mapping[str, Any] = option("Server settings for the restored cluster.", factory=dict)
    timeout: Optional[float] = option("Seconds that recovery may take. Default: no limit.", None)


def parse_verify(data: Any, where: str) -> VerifyConfig:
    """Check the section; ConfigError names the path of a wrong option."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: verify must be a mapping, not {type(data).__name__}.", "See docs/verification.md.")
    values: Dict[str, Any] = dict(data)
    for key, cls in (("queries", Question), ("count_tables", CountedTable)):
        given = values.get(key) or ()
        if not isinstance(given, (list, tuple)):
            raise ConfigError(f"{where}: verify.{key} must be a list.", "Write it as a YAML list.")
        values[key] = tuple(build(cls, item, f"verify.{key}[{i}]", where) for i, item in enumerate(given))
    found: VerifyConfig = build(VerifyConfig, values, "verify", where)
    if not 0 <= found.max_shrink <= 100:
        raise ConfigError(f"{where}: verify.max_shrink is {found.max_shrink:g}.", "Use a percentage from 0 to 100.")
    if found.max_age_days < 0:
        raise ConfigError(f"{where}: verify.max_age_days is {found.max_age_days:g}.", "Use days, 0 or more.")
    if found.jobs < 1:
        raise ConfigError(f"{where}: verify.jobs is {found.jobs}.", "It must be at least 1.")
    return found
