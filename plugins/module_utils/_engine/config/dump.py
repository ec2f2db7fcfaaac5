# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which databases are dumped, and how: the section ``dumps`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from ..base.errors import ConfigError
from .option import build, option, with_tuples


@dataclass(frozen=True)
class DumpsConfig:
    """How databases are dumped. ``staging_dir`` needs space for a whole dump in the format ``directory``."""

    databases: Tuple[str, ...] = option("Databases to dump if the command names none. Default: all.", ())
    format: str = option(
        "V(custom) is streamed by one process; V(directory) is written by several in parallel.",
        "custom",
        choices=("custom", "directory"),
    )
    jobs: int = option("Processes that write the V(directory) format.", 2)
    staging_dir: Optional[str] = option(
        "Directory for the V(directory) format until it is stored. Default: TMPDIR.", None, path=True
    )
    count: bool = option("Count the rows of each table, so that a restore can compare.", True)


def parse_dumps(data: Any, where: str) -> DumpsConfig:
    """Check the section; ConfigError names the path of a wrong option."""
    found: DumpsConfig = build(DumpsConfig, with_tuples(data, ("databases",), "dumps", where), "dumps", where)
    if found.jobs < 1:
        raise ConfigError(f"{where}: dumps.jobs is {found.jobs}.", "It must be at least 1.")
    return found
