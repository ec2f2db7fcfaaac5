# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore files as root below directories that others can write to, where tar would follow links created meanwhile.

So tar unpacks into a private directory on the same file system, and each member is moved from there to its place by
descriptors (:mod:`.base.files`). An existing directory of root that others could have put there stays unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ..base.errors import UntrustedPath
from ..base.files import SEARCH, Facts, bound, enter, located, others_write, stays_put
from ..base.tree import copy_attributes, copy_file

_Identity = Tuple[int, int]
_Times = Tuple[int, int]


def named_in(what: Sequence[str]) -> List[bytes]:
    """The names of the members that these arguments of tar select, directly or by :func:`.changes.listed`."""
    for word in what:
        if word.startswith("--files-from="):
            with open(word.partition("=")[2], "rb") as stream:
                return [name for name in stream.read().split(b"\0") if name]
    return [os.fsencode(name) for name in what[list(what).index("--") + 1 :]] if "--" in what else []


def needs_care(target: str, what: Sequence[str]) -> bool:
    """Whether another user could replace part of the path to one of these members below ``target``.

    True unless every member is listed, because the contents of a directory are unknown here.
    """
    if not bound():
        return False
    if "--no-recursion" not in what:
        return True
    places = {os.path.abspath(os.path.join(os.fsencode(target), name)) for name in named_in(what)}
    return any(_may_change(directory) for directory in {os.path.dirname(place) for place in places})


def _may_change(directory: bytes) -> bool:
    """Whether other users can create entries in it, or move it or a directory above it."""
    below: Optional[Facts] = None
    while True:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = Facts.of(os.stat(directory))
            if others_write(found) and not (below and stays_put(found, below)):
                return True
            below = found
        if directory == b"/":
            return False
        directory = os.path.dirname(directory)


def place_members(unpack: Callable[[str], Sequence[bytes]], target: str, names: Sequence[bytes], keep: str) -> None:
    """Let ``unpack`` write members into a directory, and move them below ``target``; existing files are renamed, with
    ``keep`` after their names. ``unpack`` returns the members' names, with ``/`` after those of directories.
    """
    with _staging(target, names) as staging:
        members = unpack(f"/proc/{os.getpid()}/fd/{staging}")
        moving = _Moving(staging, target, keep)
        for member in members:
            moving.move(_parts(member))
        left = moving.finish()
    if left:
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise UntrustedPath(
            f"Everything was restored except the owner and mode of {', '.join(left[:5])}{more}: others can replace the"
            " directory, so root must not change it.",
            "Set them by hand, or remove the directory and restore again.",
            paths=left[:100],
        )


def _parts(name: bytes) -> Tuple[str, ...]:
    return tuple(os.fsdecode(part) for part in name.split(b"/") if part not in (b"", b"."))


def _looks(descriptor: int) -> Tuple[int, int, int]:
    found = os.fstat(descriptor)
    return found.st_uid, found.st_gid, found.st_mode


@contextlib.contextmanager
def _staging(target: str, names: Sequence[bytes]) -> Iterator[int]:
    """The descriptor of a private directory of root on the file system of the first member, removed at the end."""
    name = f".lifeboat-restore-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as opened:
        parent = opened.enter_context(_deepest(target, _parts(names[0])[:-1] if names else ()))
        os.mkdir(name, 0o700, dir_fd=parent)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = os.fstat(made)
            # It may have been replaced: another directory that is root's, private and empty will do.
            if found.st_uid != 0 or found.st_mode & 0o077 or os.listdir(made):
                raise UntrustedPath(
                    f"{name} below {target} was replaced while it was being created.",
                    "Find out who writes there, and restore to another target.",
                )
            try:
                yield made
            finally:
                for entry in os.listdir(made):
                    _remove(made, entry)
        finally:
            os.close(made)
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=parent)


def _remove(directory: int, name: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            _clear(f"/proc/self/fd/{directory}/{name}")
        else:
            os.unlink(name, dir_fd=directory)


def _clear(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _deepest(target: str, parts: Sequence[str]) -> Iterator[int]:
    """The descriptor of the deepest of these directories that exists."""
    for count in range(len(parts), -1, -1):
        with contextlib.ExitStack() as opened:
            try:
                parent, name = opened.enter_context(located(os.path.join(target, *parts[:count])))
                found = enter(parent, name, name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            opened.callback(os.close, found)
            yield found
            return


class _Moving:
    """Moves members from the private directory to their places; directories get their attributes at the end."""

    def __init__(self, staging: int, target: str, keep: str) -> None:
        self._staging, self._target, self._keep = staging, target, keep
        self._directories: List[Tuple[Tuple[str, ...], _Times]] = []
        self._made: Dict[Tuple[str, ...], _Identity] = {}
        self._there: Set[Tuple[str, ...]] = set()

    def move(self, parts: Tuple[str, ...]) -> None:
        """Move one member; its directory was moved before, or is created."""
        with self._staged(parts) as source:
            found = os.stat(parts[-1], dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._have(parts)
                # Before its members are moved.
                self._directories.append((parts, (found.st_atime_ns, found.st_mtime_ns)))
                return
            if len(parts) > 1:
                self._have(parts[:-1])
            with self._place(parts) as (parent, name):
                self._put_aside(parent, name)
                try:
                    os.rename(parts[-1], name, src_dir_fd=source, dst_dir_fd=parent)
                except OSError as exc:
                    if exc.errno != errno.EXDEV:
                        raise
                    copy_file(source, parts[-1], parent, name)

    def finish(self) -> List[str]:
        """Set the attributes of directories, last because moving members changes times.

        Returns the directories that differ and must not be changed.
        """
        left = []
        for parts, times in reversed(self._directories):
            with self._staged(parts) as source, self._place(parts) as (parent, name):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                there = os.open(name, flags, dir_fd=parent)
                try:
                    stored = os.open(parts[-1], flags, dir_fd=source)
                    try:
                        if self._may_change(parts, Facts.of(os.fstat(parent)), os.fstat(there)):
                            copy_attributes(stored, there)
                            os.utime(there, ns=times)
                        elif _looks(stored) != _looks(there):
                            left.append(os.path.join(self._target, *parts))
                    finally:
                        os.close(stored)
                finally:
                    os.close(there)
        return left

    def _may_change(self, parts: Tuple[str, ...], parent: Facts, there: os.stat_result) -> bool:
        """Whether to change this directory. If others could have replaced it: only if it was created here, or belongs
        to the user who could have.
        """
        if not others_write(parent) or (there.st_uid == parent.uid and there.st_uid != 0):
            return True
        return self._made.get(parts) == (there.st_dev, there.st_ino)

    def _have(self, parts: Tuple[str, ...]) -> None:
        """Create the directory and those above it, if missing. A later replacement is noticed when it is opened."""
        if parts in self._there:
            return
        self._there.add(parts)
        for count in range(1, len(parts) + 1):
            with self._place(parts[:count]) as (parent, name):
                with contextlib.suppress(FileNotFoundError):
                    if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                        continue
                    if count < len(parts):
                        # A link of root in the path, such as /var/run, is followed.
                        continue
                    self._put_aside(parent, name)
                os.mkdir(name, 0o700 if count == len(parts) else 0o755, dir_fd=parent)
                made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
                try:
                    found = os.fstat(made)
                    if found.st_uid == 0 and not os.listdir(made):
                        self._made[parts[:count]] = (found.st_dev, found.st_ino)
                finally:
                    os.close(made)

    def _put_aside(self, parent: int, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(name, name + self._keep, src_dir_fd=parent, dst_dir_fd=parent)

    @contextlib.contextmanager
    def _place(self, parts: Tuple[str, ...]) -> Iterator[Tuple[int, str]]:
        with located(os.path.join(self._target, *parts), last=False) as found:
            yield found

    @contextlib.contextmanager
    def _staged(self, parts: Tuple[str, ...]) -> Iterator[int]:
        """The descriptor of a member's directory in the private one, where nobody else can change anything."""
        directory = os.open("/".join(parts[:-1]) or ".", SEARCH, dir_fd=self._staging)
        try:
            yield directory
        finally:
            os.close(directory)
