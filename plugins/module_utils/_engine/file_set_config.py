# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file set, as the configuration has it; and which of its names speak of secrets. Pure."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Iterable, List, Mapping, Tuple

from .errors import ConfigError
from .mapping import build, with_tuples

#: Names of files (in lower case) that hold secrets as a rule.
SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".pgpass", "pgpass", ".netrc", ".htpasswd", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*password*", "*passwd*", "*secret*", "*credential*", "*token*",
)  # fmt: skip
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


@dataclass(frozen=True)
class FileSetConfig:
    """A named list of absolute paths that are kept together; ``excludes`` are patterns of ``tar --exclude``.

    Of an ``incremental`` one a copy holds what changed, and everything when the last that did is ``full_days`` old.
    ``kind`` ``data`` is the application's data, which retention keeps for another time than configuration. Of
    configuration, files whose names speak of secrets are refused where nothing is sealed, unless
    ``allow_unsealed_secrets``.
    """

    name: str
    paths: Tuple[str, ...]
    excludes: Tuple[str, ...] = ()
    incremental: bool = False
    full_days: float = 7.0
    kind: str = "config"
    allow_unsealed_secrets: bool = False

    CHOICES: typing.ClassVar[Mapping[str, Tuple[str, ...]]] = {"kind": ("config", "data")}


def parse_file_set(item: Any, path: str, where: str) -> FileSetConfig:
    """A file set; its lists become tuples."""
    values = with_tuples(item, ("paths", "excludes"), path, where)
    found: FileSetConfig = build(FileSetConfig, values, path, where)
    if not _NAME.match(found.name) or not found.paths:
        raise ConfigError(
            f"{where}: {path} has the name {found.name!r} and {len(found.paths)} paths.",
            "Name it with letters, digits, '.', '_', '-', and list at least one path.",
        )
    return found


def named_like_secrets(paths: Iterable[str], patterns: Iterable[str] = SECRET_NAMES) -> List[str]:
    """Those whose own name fits one of the patterns, in any case of letters; public keys do not. Pure."""
    wanted = tuple(patterns)
    found = []
    for path in paths:
        name = path.rstrip("/").rsplit("/", 1)[-1].lower()
        if not name.endswith(".pub") and any(fnmatchcase(name, pattern.lower()) for pattern in wanted):
            found.append(path)
    return found
