# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file set in the configuration; and which file names suggest secrets. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Iterable, List, Tuple

from ..base.errors import ConfigError
from .option import build, option, with_tuples

#: Names of files (in lower case) that usually contain secrets.
SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".pgpass", "pgpass", ".netrc", ".htpasswd", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*password*", "*passwd*", "*secret*", "*credential*", "*token*",
)  # fmt: skip
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


@dataclass(frozen=True)
class FileSetConfig:
    """A named list of absolute paths that are stored together; ``excludes`` are patterns of ``tar --exclude``.

    A copy of an ``incremental`` set has what changed, or everything if the last full one is ``full_days`` old.
    ``kind`` ``data`` is the application's data, which has its own retention. In sets of configuration,
    files whose names suggest secrets are refused if nothing is sealed, unless
    ``allow_unsealed_secrets``. A restore writes only at or below ``paths``, and no setuid or setgid file unless
    ``allow_setuid``.
    """

    name: str = option("Name: letters, digits, C(.), C(_), C(-).")
    paths: Tuple[str, ...] = option("Absolute paths to keep. A restore writes at or below them only.", path=True)
    excludes: Tuple[str, ...] = option("Patterns of C(tar --exclude).", ())
    incremental: bool = option("Store only what changed since the newest copy.", False)
    full_days: float = option("Days after which an incremental set is copied in full again.", 7.0)
    kind: str = option(
        "V(data) is the application's data, kept for C(retention.data_days).", "config", choices=("config", "data")
    )
    allow_unsealed_secrets: bool = option(
        "Store files whose names suggest secrets even if nothing is encrypted.", False
    )
    allow_setuid: bool = option("Let a restore write setuid and setgid files.", False)


def parse_file_set(item: Any, path: str, where: str) -> FileSetConfig:
    """Check one file set; ConfigError names the path of a wrong option."""
    values = with_tuples(item, ("paths", "excludes"), path, where)
    found: FileSetConfig = build(FileSetConfig, values, path, where)
    if not _NAME.match(found.name) or not found.paths:
        raise ConfigError(
            f"{where}: {path} has the name {found.name!r} and {len(found.paths)} paths.",
            "Name it with letters, digits, '.', '_', '-', and list at least one path.",
        )
    return found


def named_like_secrets(paths: Iterable[str], patterns: Iterable[str] = SECRET_NAMES) -> List[str]:
    """The paths whose last part matches one of the patterns, ignoring case; never public keys. Pure."""
    wanted = tuple(patterns)
    found = []
    for path in paths:
        name = path.rstrip("/").rsplit("/", 1)[-1].lower()
        if not name.endswith(".pub") and any(fnmatchcase(name, pattern.lower()) for pattern in wanted):
            found.append(path)
    return found
