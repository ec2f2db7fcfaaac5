# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration is pushed to git, where to, and what is left out: the section ``git``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ..base.errors import ConfigError
from .file_sets import SECRET_NAMES, FileSetConfig, named_like_secrets
from .option import build, option, with_tuples

_STATE = "/var/lib/lifeboat/git"
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z", re.ASCII)
#: Larger files are not configuration; they are only in the copies of the repositories.
LARGEST = 1024 * 1024


@dataclass(frozen=True)
class GitConfig:
    """Where to push configuration, without secrets."""

    remote: str = option("URL or path of the remote, without a password.")
    branch: str = option("Branch.", "main")
    prefix: Optional[str] = option("Directory of this host in the remote. Default: the host's name.", None)
    file_sets: Tuple[str, ...] = option("File sets to push. Default: all of kind V(config).", ())
    keep_out: Tuple[str, ...] = option("Paths to leave out, with C(*) and C(?) as in a shell.", ())
    secret_names: Tuple[str, ...] = option(
        "Names of files to leave out. Default: names that suggest secrets.", SECRET_NAMES
    )
    allow: Tuple[str, ...] = option("Paths whose findings by the detector are accepted.", ())
    ssh_key: Optional[str] = option("Private key, on the host.", None, path=True)
    known_hosts: Optional[str] = option("C(known_hosts) file with the remote's keys, on the host.", None, path=True)
    credentials: Optional[str] = option("File of C(git credential-store), on the host.", None, path=True)
    author: str = option("Author of the commits.", "Lifeboat <lifeboat@localhost>")
    detector: str = option("Program C(detect-secrets).", "detect-secrets", path=True)
    state_dir: Optional[str] = option(
        "Directory of the clone. Default: C(/var/lib/lifeboat/git/CLUSTER).", None, path=True
    )

    def directory(self, cluster: str) -> str:
        """The directory of the clone."""
        return self.state_dir or f"{_STATE}/{cluster}"


def parse_git(data: Any, where: str) -> GitConfig:
    """Check the section; ConfigError names the path of a wrong option, never a password."""
    lists = ("file_sets", "keep_out", "secret_names", "allow")
    found: GitConfig = build(GitConfig, with_tuples(data, lists, "git", where), "git", where)
    if urlsplit(found.remote).password:
        raise ConfigError(
            f"{where}: git.remote contains a password.",
            "Put it into a git credential-store file that only root can read, and set git.credentials to its path.",
        )
    if found.prefix is not None and not _PREFIX.match(found.prefix):
        raise ConfigError(f"{where}: git.prefix is {found.prefix!r}.", "Use the name of a single directory.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", found.branch):
        raise ConfigError(f"{where}: git.branch is {found.branch!r}.", "Name a branch: main.")
    if not re.fullmatch(r"[^<>\n]+ <[^<>\s]+>", found.author):
        raise ConfigError(f"{where}: git.author is {found.author!r}.", "Write: Name <name@example.com>.")
    return found


def chosen_sets(git: GitConfig, sets: Sequence[FileSetConfig], names: Sequence[str] = ()) -> List[FileSetConfig]:
    """The sets that go to git; only those with these names, if any are given."""
    unknown = sorted(set(git.file_sets) - {s.name for s in sets})
    if unknown:
        raise ConfigError(
            f"git.file_sets names unknown file sets: {', '.join(unknown)}.",
            "Add them to file_sets, or correct the names.",
        )
    wanted = [s for s in sets if s.name in git.file_sets or (not git.file_sets and s.kind == "config")]
    return [s for s in wanted if not names or s.name in names]


def kept_out(git: GitConfig, paths: Iterable[str]) -> Dict[str, str]:
    """The absolute paths that are left out, each with the reason."""
    found: Dict[str, str] = {}
    for path in paths:
        if any(below(path, pattern) for pattern in git.keep_out):
            found[path] = "its path"
        elif named_like_secrets([path], git.secret_names):
            found[path] = "its name"
        elif ".git" in path.split("/"):
            found[path] = "a git directory"
    return found


def below(path: str, pattern: str) -> bool:
    """Whether a shell pattern matches a path or one of its parents."""
    parts = path.rstrip("/").split("/")
    return any(fnmatchcase("/".join(parts[:n]), pattern.rstrip("/")) for n in range(2, len(parts) + 1))


def message(host: str, changes: Mapping[str, Sequence[str]]) -> str:
    """The commit message: the number and names of ``added``, ``changed`` and ``removed`` files."""
    counts = [f"{len(paths)} {word}" for word, paths in changes.items() if paths]
    lines = [f"{word}: {path}" for word, paths in changes.items() for path in paths]
    return "\n".join([f"{host}: {', '.join(counts)}", "", *lines[:200]])
