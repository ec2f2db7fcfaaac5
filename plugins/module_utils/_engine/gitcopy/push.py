# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration without secrets to a branch of a git remote: host, set and path, a commit where anything changed.

Kept out by path, by name, and by size; what is left is searched by ``detect-secrets``, and one finding ends the push.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import stat
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from .. import clock
from ..audit.scope import audited
from ..config import Config
from ..errors import ConfigError, GitUnavailable, SecretFound
from ..file_changes import TAR, scan
from ..file_index import path_of
from ..file_set_config import FileSetConfig
from ..wal.spool import take
from .detect import find_secrets
from .policy import LARGEST, GitConfig, below, chosen_sets, kept_out, message
from .worktree import Moved, Worktree

_ATTEMPTS = 4
# Seconds that another push of this host is waited for.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Pushed:
    """What became of a push: the commit (None: nothing had changed), what changed, and what was kept out, and why."""

    remote: str
    branch: str
    prefix: str
    commit: Optional[str] = None
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kept_out: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        """As JSON knows it."""
        changes = {word: list(paths) for word, paths in self.changes.items()}
        return {**vars(self), "changes": changes, "kept_out": dict(self.kept_out)}


def push_sets(config: Config, names: Sequence[str] = ()) -> Optional[Pushed]:
    """Push the sets that go to git, or those of these names; None where there is none.

    SecretFound, GitUnavailable, GitRejected, DependencyMissing: nothing was pushed then.
    """
    git = config.git
    if git is None:
        return None
    sets = chosen_sets(git, config.file_sets, names)
    if not sets:
        return None
    with audited(config, "git-push", [s.name for s in sets]) as note, _held(git.directory(config.cluster)) as directory:
        done = _push(git, sets, directory)
        note.skip = done.commit is None
        note.details.update(commit=done.commit, branch=done.branch)
        return done


def _push(git: GitConfig, sets: Sequence[FileSetConfig], directory: str) -> Pushed:
    host = git.prefix or platform.node()
    tree = Worktree(git, directory)
    for attempt in range(_ATTEMPTS):
        tree.update()
        left: Dict[str, str] = {}
        for chosen in sets:
            left.update(_fill(git, chosen, os.path.join(tree.path, host, chosen.name)))
        _require_clean(git, tree, host)
        changes = tree.changes(host)
        if not any(changes.values()):
            return Pushed(git.remote, git.branch, host, None, changes, left)
        commit = tree.commit(message(host, changes))
        try:
            tree.push()
            return Pushed(git.remote, git.branch, host, commit, changes, left)
        except Moved:
            # Another host was faster: what is there now is what this is put beside.
            clock.sleep(0.3 * (attempt + 1))
    raise GitUnavailable(
        f"The branch {git.branch} of {git.remote} moved {_ATTEMPTS} times while it was pushed to.",
        "Many hosts push at once; the next run does it.",
        remote=git.remote,
    )


def _fill(git: GitConfig, chosen: FileSetConfig, target: str) -> Dict[str, str]:
    """Make ``target`` what the set is, without what is kept out: that, and why."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(target)
    members = {"/" + os.fsdecode(seen.name).strip("/") for seen in scan(chosen, TAR, path_of)}
    out = kept_out(git, sorted(members))
    for path in sorted(members - set(out)):
        try:
            info = os.lstat(path)
            place = target + path
            if stat.S_ISLNK(info.st_mode):
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.symlink(os.readlink(path), place)
            elif stat.S_ISREG(info.st_mode) and info.st_size > LARGEST:
                out[path] = f"its size, {info.st_size} bytes"
            elif stat.S_ISREG(info.st_mode):
                os.makedirs(os.path.dirname(place), exist_ok=True)
                shutil.copyfile(path, place)
                os.chmod(place, 0o755 if info.st_mode & 0o100 else 0o644)
        except FileNotFoundError:
            continue  # It went meanwhile.
        except OSError as exc:
            raise ConfigError(
                f"File set {chosen.name}: {path} cannot be read: {exc.strerror}.",
                "Run it as root, or exclude the path.",
            ) from exc
    return out


def _require_clean(git: GitConfig, tree: Worktree, host: str) -> None:
    if not os.path.isdir(os.path.join(tree.path, host)):
        return
    found = []
    for finding in find_secrets(git.detector, tree.path, host):
        # host/set/absolute/path
        path = "/" + finding.path.split("/", 2)[-1]
        if not any(below(path, pattern) for pattern in git.allow):
            found.append((path, finding))
    if found:
        shutil.rmtree(os.path.join(tree.path, host))
        words = "; ".join(f"{path} line {finding.line} ({finding.kind})" for path, finding in found[:10])
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise SecretFound(
            f"Nothing was pushed to {git.remote}: what looks like a secret is in {words}{more}.",
            "Move it to a file that is kept out (git.keep_out, or a name like .env); if it is none, name the path in"
            " git.allow. The copies in the repositories were made all the same.",
            findings=[{"path": path, "line": f.line, "kind": f.kind} for path, f in found],
        )


@contextlib.contextmanager
def _held(directory: str) -> Iterator[str]:
    """The directory of the clone, readable by its owner only, held by one process at a time."""
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(
            f"The directory {directory} of git cannot be used: {exc.strerror}.", "Run it as root, or set git.state_dir."
        ) from exc
    try:
        if not take(lock, fcntl.LOCK_EX, _PATIENCE):
            raise GitUnavailable(f"Another push holds {directory}/lock.", "Wait for it, or end it.")
        yield directory
    finally:
        os.close(lock)
