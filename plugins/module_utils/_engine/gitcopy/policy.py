# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration goes to git, where, and what is kept out of it: the section ``git``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..file_set_config import SECRET_NAMES, FileSetConfig, named_like_secrets
from ..mapping import build, with_tuples

_STATE = "/var/lib/lifeboat/git"
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z", re.ASCII)
#: A larger file is no configuration; it stays in the copy that the repositories have.
LARGEST = 1024 * 1024


@dataclass(frozen=True)
class GitConfig:
    """``remote`` is a URL or a path, without a password; ``prefix`` the directory of this host in it (its name).

    ``file_sets`` are the sets of kind ``config`` that go there (none: all). Paths below ``keep_out`` stay out, and
    names that fit ``secret_names``. ``allow`` are paths in which the detector may find what it finds.
    ``ssh_key`` and ``known_hosts`` are files; ``credentials`` is one of ``git credential-store``. ``detector`` is the
    command ``detect-secrets``.
    """

    remote: str
    branch: str = "main"
    prefix: Optional[str] = None
    file_sets: Tuple[str, ...] = ()
    keep_out: Tuple[str, ...] = ()
    secret_names: Tuple[str, ...] = SECRET_NAMES
    allow: Tuple[str, ...] = ()
    ssh_key: Optional[str] = None
    known_hosts: Optional[str] = None
    credentials: Optional[str] = None
    author: str = "Lifeboat <lifeboat@localhost>"
    detector: str = "detect-secrets"
    state_dir: Optional[str] = None

    def directory(self, cluster: str) -> str:
        """Where the clone is."""
        return self.state_dir or f"{_STATE}/{cluster}"


def parse_git(data: Any, where: str) -> GitConfig:
    """Check the section; ConfigError names the path of what is wrong, never a password."""
    lists = ("file_sets", "keep_out", "secret_names", "allow")
    found: GitConfig = build(GitConfig, with_tuples(data, lists, "git", where), "git", where)
    if urlsplit(found.remote).password:
        raise ConfigError(
            f"{where}: git.remote has a password in it.",
            "Put it into a file of git credential-store that root alone can read, and name it: git.credentials.",
        )
    if found.prefix is not None and not _PREFIX.match(found.prefix):
        raise ConfigError(f"{where}: git.prefix is {found.prefix!r}.", "It is one directory's name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", found.branch):
        raise ConfigError(f"{where}: git.branch is {found.branch!r}.", "Name a branch: main.")
    if not re.fullmatch(r"[^<>\n]+ <[^<>\s]+>", found.author):
        raise ConfigError(f"{where}: git.author is {found.author!r}.", "Write: Name <name@example.com>.")
    return found


def chosen_sets(git: GitConfig, sets: Sequence[FileSetConfig], names: Sequence[str] = ()) -> List[FileSetConfig]:
    """The sets that go to git; of them those with these names, where there are any."""
    unknown = sorted(set(git.file_sets) - {s.name for s in sets})
    if unknown:
        raise ConfigError(f"git.file_sets names {', '.join(unknown)}, which file_sets does not have.", "Correct it.")
    wanted = [s for s in sets if s.name in git.file_sets or (not git.file_sets and s.kind == "config")]
    return [s for s in wanted if not names or s.name in names]


def kept_out(git: GitConfig, paths: Iterable[str]) -> Dict[str, str]:
    """Of absolute paths those that stay out, each with the reason."""
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
    """Whether a path is, or lies below, what a pattern of a shell names."""
    parts = path.rstrip("/").split("/")
    return any(fnmatchcase("/".join(parts[:n]), pattern.rstrip("/")) for n in range(2, len(parts) + 1))


def message(host: str, changes: Mapping[str, Sequence[str]]) -> str:
    """What a commit says: how many files, and which, by ``added``, ``changed`` and ``removed``."""
    counts = [f"{len(paths)} {word}" for word, paths in changes.items() if paths]
    lines = [f"{word}: {path}" for word, paths in changes.items() for path in paths]
    return "\n".join([f"{host}: {', '.join(counts)}", "", *lines[:200]])
