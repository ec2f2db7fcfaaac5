# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push configuration without secrets to a branch of a git remote, by host, set and path, if anything changed.

Files are excluded by path, name and size; ``detect-secrets`` searches the rest, and any finding aborts the push.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import stat
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError, GitUnavailable, SecretFound, UntrustedPath
from ..base.files import located, make_directory, open_directory, open_in, open_to_write
from ..base.tree import Tree
from ..config.file_sets import FileSetConfig
from ..config.git import LARGEST, GitConfig, below, chosen_sets, kept_out, message
from ..config.load import Config
from ..fileset import TAR, path_of, scan
from ..wal.spool import take
from .detect import find_secrets
from .worktree import Moved, Worktree

_ATTEMPTS = 4
# Seconds to wait for another push of this host.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Pushed:
    """The result of a push: the commit (None: nothing changed), the changes, and the files left out with reasons."""

    remote: str
    branch: str
    prefix: str
    commit: Optional[str] = None
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kept_out: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        changes = {word: list(paths) for word, paths in self.changes.items()}
        return {**vars(self), "changes": changes, "kept_out": dict(self.kept_out)}


def push_sets(config: Config, names: Sequence[str] = ()) -> Optional[Pushed]:
    """Push the sets that go to git, or only those with these names; None if there are none.

    After SecretFound, GitUnavailable, GitRejected or DependencyMissing, nothing was pushed.
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
            left.update(_fill(git, chosen, tree.path, (host, chosen.name)))
        _require_clean(git, tree, host)
        changes = tree.changes(host)
        if not any(changes.values()):
            return Pushed(git.remote, git.branch, host, None, changes, left)
        commit = tree.commit(message(host, changes))
        try:
            tree.push()
            return Pushed(git.remote, git.branch, host, commit, changes, left)
        except Moved:
            # Another host was faster: start again on top of its push.
            clock.sleep(0.3 * (attempt + 1))
    raise GitUnavailable(
        f"The branch {git.branch} of {git.remote} moved during each of {_ATTEMPTS} attempts to push.",
        "Wait for the next run, or run it again: many hosts push at the same time.",
        remote=git.remote,
    )


def _fill(git: GitConfig, chosen: FileSetConfig, clone: str, where: Tuple[str, str]) -> Dict[str, str]:
    """Make ``where`` in the clone equal to the set; returns the files that are kept out, with reasons.

    The set's owner may swap files meanwhile without effect: links are followed on neither side.
    """
    _clear(clone, where)
    members = {"/" + os.fsdecode(seen.name).strip("/") for seen in scan(chosen, TAR, path_of)}
    out = kept_out(git, sorted(members))
    with contextlib.ExitStack() as opened:
        top = open_directory(clone)
        opened.callback(os.close, top)
        tree = Tree(top)
        for path in sorted(members - set(out)):
            try:
                _copy(path, tree, [*where, *path.strip("/").split("/")])
            except _TooLarge as exc:
                out[path] = f"its size, {exc} bytes"
            except UntrustedPath as exc:
                out[path] = exc.message
            except FileNotFoundError:
                continue  # It vanished meanwhile.
            except OSError as exc:
                raise ConfigError(
                    f"File set {chosen.name}: cannot read {path}: {exc.strerror}.",
                    "Run it as root, or exclude the path.",
                ) from exc
    return out


class _TooLarge(Exception):
    """The file is too large for git."""


def _clear(clone: str, where: Tuple[str, str]) -> None:
    """Empty the directory. A commit by somebody else may have replaced the host's directory with a link."""
    place = clone
    for part in where:
        place = os.path.join(place, part)
        if os.path.islink(place) or os.path.isfile(place):
            os.unlink(place)
            return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place)


def _copy(path: str, tree: Tree, parts: Sequence[str]) -> None:
    """Copy a file or a link; UntrustedPath for a file that root must not read."""
    with located(path, last=False) as (parent, name):
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(info.st_mode):
            with tree.directory(parts[:-1], make=True) as place:
                os.symlink(os.readlink(name, dir_fd=parent), parts[-1], dir_fd=place)
            return
        if not stat.S_ISREG(info.st_mode):
            return
        with os.fdopen(open_in(parent, name, path), "rb") as source:
            size = os.fstat(source.fileno()).st_size
            content = source.read(LARGEST + 1) if size <= LARGEST else b""
            if size > LARGEST or len(content) > LARGEST:
                raise _TooLarge(max(size, len(content)))
    with tree.directory(parts[:-1], make=True) as place:
        with os.fdopen(tree.create(place, parts[-1], 0o755 if info.st_mode & 0o100 else 0o644), "wb") as stream:
            stream.write(content)


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
            f"Nothing was pushed to {git.remote}: possible secrets in {words}{more}.",
            "Move secrets to a file that is kept out (git.keep_out, or a name such as .env); if it is not a secret, add"
            " the path to git.allow. The copies in the repositories were made anyway.",
            findings=[{"path": path, "line": f.line, "kind": f.kind} for path, f in found],
        )


@contextlib.contextmanager
def _held(directory: str) -> Iterator[str]:
    """The directory of the clone, readable only by its owner, and locked by one process at a time."""
    try:
        make_directory(directory)
        lock = open_to_write(os.path.join(directory, "lock"))
    except OSError as exc:
        raise ConfigError(
            f"Cannot use git's directory {directory}: {exc.strerror}.", "Run it as root, or set git.state_dir."
        ) from exc
    try:
        if not take(lock, fcntl.LOCK_EX, _PATIENCE):
            raise GitUnavailable(f"Another push has locked {directory}/lock.", "Wait for it, or end it.")
        yield directory
    finally:
        os.close(lock)
