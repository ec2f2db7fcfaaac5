# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory tree of another user in which root works on that user's behalf, such as a repository of ``postgres``."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from typing import Dict, Iterator, Sequence

from .files import SAFE, bound, enter, instead, open_in, sync_directory


class Tree:
    """Directories below an open one, reached without following links; root creates files for the tree's owner.

    Nobody can exploit that: names are created and removed in the tree's directories only, a file is chowned through the
    descriptor that created it, and nothing that already existed is opened for writing, chowned or chmodded.
    """

    def __init__(self, descriptor: int) -> None:
        self._top = descriptor
        owner = os.fstat(descriptor)
        self._owner = (owner.st_uid, owner.st_gid)

    @contextlib.contextmanager
    def directory(self, parts: Sequence[str], make: bool = False) -> Iterator[int]:
        """A descriptor (``O_PATH``) of a directory below; ``make``: create missing ones (0750), and sync them.

        UntrustedPath for a link.
        """
        current = os.dup(self._top)
        try:
            for part in parts:
                current = instead(current, self._step(current, part, make))
            yield current
        finally:
            os.close(current)

    def _step(self, parent: int, name: str, make: bool) -> int:
        try:
            return enter(parent, name, name)
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(name, 0o750, dir_fd=parent)
        except FileExistsError:
            return enter(parent, name, name)
        if bound():
            self._give(parent, name)
        sync_directory(parent)
        return enter(parent, name, name)

    def _give(self, parent: int, name: str) -> None:
        """Chown the new directory, unless somebody has replaced it: the one that was created is root's and empty."""
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if os.fstat(made).st_uid == 0 and not os.listdir(made):
                self._hand_over(made)
        finally:
            os.close(made)

    def create(self, parent: int, name: str, mode: int = 0o640) -> int:
        """A new file, open for writing. FileExistsError if the name exists, even as a link."""
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, mode, dir_fd=parent)
        if bound():
            self._hand_over(descriptor)
        return descriptor

    def _hand_over(self, made: int) -> None:
        # NFS may forbid chown (root_squash): then the server decides who owns the files.
        with contextlib.suppress(PermissionError):
            os.fchown(made, *self._owner)

    def open(self, parent: int, name: str, path: str) -> int:
        """A regular file, open for reading; the owner's may have several names. UntrustedPath, OSError."""
        return open_in(parent, name, path, self._owner[0])


def copy_attributes(source: int, target: int) -> None:
    """Owner, mode, ACL, attributes and times of one open file or directory to another."""
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    wanted = _attributes(source)
    for name in set(_attributes(target)) - set(wanted):
        os.removexattr(target, name)
    for name, value in wanted.items():
        os.setxattr(target, name, value)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _attributes(descriptor: int) -> Dict[str, bytes]:
    """The attributes that tar keeps (--acls, --xattrs); empty if the file system has none."""
    try:
        names = [name for name in os.listxattr(descriptor) if name.startswith(("user.", "system.posix_acl_"))]
    except OSError:
        return {}
    return {name: os.getxattr(descriptor, name) for name in names}


def copy_file(source: int, name: str, target: int, new: str) -> None:
    """Copy a file or link out of a private directory (a descriptor) to another file system. Sparse files are filled,
    and hard links become separate files. OSError (EXDEV) for a device, a FIFO or a socket.
    """
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new, dir_fd=target)
        os.chown(new, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        return
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), new)
    temporary = f".{secrets.token_hex(16)}.tmp"
    written = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, 0o600, dir_fd=target)
    try:
        reading = os.open(name, os.O_RDONLY | SAFE, dir_fd=source)
        with os.fdopen(written, "wb") as writer, os.fdopen(reading, "rb") as reader:
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            writer.flush()
            copy_attributes(reader.fileno(), writer.fileno())
        os.rename(temporary, new, src_dir_fd=target, dst_dir_fd=target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=target)
        raise
