# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which databases are dumped, and how: the section ``dumps`` of the configuration."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from ..errors import ConfigError
from ..mapping import build, with_tuples


@dataclass(frozen=True)
class DumpsConfig:
    """``databases`` are dumped where none is named (none: all). ``count``: whether their rows are counted.

    ``format`` ``custom`` is streamed by one process; ``directory`` is written by ``jobs`` of them at once below
    ``staging_dir`` (TMPDIR where it is None), which needs room for the dump, and stored from there.
    """

    databases: Tuple[str, ...] = ()
    format: str = "custom"
    jobs: int = 2
    staging_dir: Optional[str] = None
    count: bool = True

    CHOICES: typing.ClassVar[Mapping[str, Tuple[str, ...]]] = {"format": ("custom", "directory")}


def parse_dumps(data: Any, where: str) -> DumpsConfig:
    """Check the section; ConfigError names the path of what is wrong."""
    found: DumpsConfig = build(DumpsConfig, with_tuples(data, ("databases",), "dumps", where), "dumps", where)
    if found.jobs < 1:
        raise ConfigError(f"{where}: dumps.jobs is {found.jobs}.", "It must be at least 1.")
    return found
