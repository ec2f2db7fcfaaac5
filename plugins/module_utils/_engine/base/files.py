# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files where somebody else may have placed something: a link to a secret, a FIFO, another directory of that name.

Root creates, opens for writing, chowns and chmods only where nobody else can write. Elsewhere it reads regular files,
by descriptors that follow no link which others can place, and only files that those who can write there may read
anyway. The system limits an ordinary user to that user's own rights, and nothing restricts them further.

The kernel's ``fs.protected_symlinks`` and ``fs.protected_hardlinks`` may be off: neither is relied on.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import secrets
import stat
from dataclasses import dataclass, replace
from typing import IO, Iterable, Iterator, Tuple, Union

from .errors import UntrustedPath

#: To enter a directory, even one that may not be listed.
SEARCH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: No link, no waiting for a FIFO, no terminal.
SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# As many as Linux follows (path_resolution(7)).
_MOST_LINKS = 40
_IRREGULAR = "is not a regular file"


@dataclass(frozen=True)
class Facts:
    """The attributes that decide whether root may use a file: owner, group, mode with its type, number of names."""

    uid: int
    gid: int
    mode: int
    links: int = 1

    @classmethod
    def of(cls, found: os.stat_result) -> Facts:
        """The attributes in the result of ``stat``."""
        return cls(found.st_uid, found.st_gid, found.st_mode, found.st_nlink)


# --- decisions: pure ----------------------------------------------------------------------------------------------


def others_write(directory: Facts) -> bool:
    """Whether anybody but root can create names there. The sticky bit does not matter: it only prevents removal.

    The mode's group bits are the mask of an ACL too (acl(5)), so they cover its entries.
    """
    return directory.uid != 0 or bool(directory.mode & (stat.S_IWGRP | stat.S_IWOTH))


def stays_put(directory: Facts, entry: Facts) -> bool:
    """Whether only root could have placed ``entry`` in ``directory``: nobody else can create or move it there.

    In a sticky directory of root's (/tmp) nobody else can move root's entries; directories cannot be hard-linked.
    """
    sticky = directory.uid == 0 and bool(directory.mode & stat.S_ISVTX)
    return not others_write(directory) or (sticky and entry.uid == 0 and stat.S_ISDIR(entry.mode))


def why_not_read(directory: Facts, file: Facts, member: bool) -> str:
    """Why root must not read this file in that directory; empty: it may. ``member``: the file's owner is a member of
    the directory's group.

    A hard link can lead to any file of the file system, and remains as the only name once the original is replaced.
    So the deciding question is whether those who can write in the directory could read the file without root.
    """
    if not stat.S_ISREG(file.mode):
        return _IRREGULAR
    if not others_write(directory):
        return ""
    group_writes, all_write = bool(directory.mode & stat.S_IWGRP), bool(directory.mode & stat.S_IWOTH)
    if file.uid == directory.uid and not group_writes and not all_write:
        return ""
    if file.links != 1:
        return f"has {file.links} names"
    if file.mode & stat.S_IROTH:
        return ""
    if group_writes and not all_write and file.gid == directory.gid and file.mode & stat.S_IRGRP:
        return ""
    if file.uid != 0 and (file.uid == directory.uid or (group_writes and member)):
        return ""
    return f"belongs to uid {file.uid}"


# --- by descriptor ------------------------------------------------------------------------------------------------


def bound() -> bool:
    """Whether this process is root: only then do the rules of this module apply."""
    return os.geteuid() == 0


@contextlib.contextmanager
def located(path: str, last: bool = True) -> Iterator[Tuple[int, str]]:
    """A descriptor (``O_PATH``) of the directory that holds the last part of ``path``, and that part.

    Links are followed as long as only root could have placed them; ``last``: whether the last part is followed too.
    UntrustedPath for any other link; OSError.
    """
    directory, name = _locate(os.path.abspath(path), last)
    try:
        yield directory, name
    finally:
        os.close(directory)


def _locate(path: str, last: bool) -> Tuple[int, str]:
    waiting = [part for part in path.split("/") if part]
    current, trusted, links = os.open("/", SEARCH), True, 0
    try:
        while waiting:
            here = Facts.of(os.fstat(current))
            part = waiting.pop(0)
            try:
                found = os.stat(part, dir_fd=current, follow_symlinks=False)
            except FileNotFoundError:
                if waiting:
                    raise
                return current, part
            if stat.S_ISLNK(found.st_mode) and (waiting or last):
                links += 1
                if bound() and (not trusted or others_write(here)):
                    raise _link_refused(path, part)
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(part, dir_fd=current)
                waiting[:0] = [p for p in target.split("/") if p not in ("", ".")]
                if target.startswith("/"):
                    current, trusted = instead(current, os.open("/", SEARCH)), True
            elif waiting:
                current = instead(current, enter(current, part, path))
                trusted = trusted and stays_put(here, Facts.of(os.fstat(current)))
            else:
                return current, part
        return current, "."
    except BaseException:
        os.close(current)
        raise


def instead(old: int, new: int) -> int:
    """Close the old descriptor and return the new one."""
    os.close(old)
    return new


def enter(directory: int, name: str, path: str) -> int:
    """A descriptor (``O_PATH``) of a directory in another one; UntrustedPath for a link. ``path`` is for messages."""
    try:
        return os.open(name, SEARCH, dir_fd=directory)
    except OSError as exc:
        if exc.errno in (errno.ENOTDIR, errno.ELOOP) and _is_link(directory, name):
            raise _link_refused(path, name) from exc
        raise


def _is_link(directory: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _link_refused(path: str, part: str) -> UntrustedPath:
    return UntrustedPath(
        f"{path}: {part!r} is a symbolic link, which is not followed here.",
        "Put the file or directory itself there, or configure the path that the link points to.",
        path=path,
    )


def open_directory(path: str) -> int:
    """A descriptor (``O_PATH``) of a directory, to work below it. UntrustedPath, OSError."""
    with located(path) as (parent, name):
        return enter(parent, name, path)


def root_alone_writes(path: str) -> bool:
    """Whether this process may write in the directory ``path``: root only where nobody else can, other users always.

    False for root if it does not exist.
    """
    if not bound():
        return True
    try:
        directory = open_directory(path)
    except (OSError, UntrustedPath):
        return False
    try:
        return not others_write(Facts.of(os.fstat(directory)))
    finally:
        os.close(directory)


def open_to_read(path: str) -> IO[bytes]:
    """A regular file that root may read (:func:`why_not_read`); never blocks on a FIFO.

    UntrustedPath for any other file; OSError.
    """
    with located(path) as (parent, name):
        return os.fdopen(open_in(parent, name, path), "rb")


def open_in(parent: int, name: str, path: str, owner: int = -1) -> int:
    """:func:`open_to_read` of a name in an open directory; ``path`` is its name in messages.

    A file of ``owner`` may have several names.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | SAFE, dir_fd=parent)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise _link_refused(path, name) from exc
        if exc.errno in (errno.ENXIO, errno.ENODEV):
            raise irregular(path) from exc
        raise
    try:
        directory, file = Facts.of(os.fstat(parent)), Facts.of(os.fstat(descriptor))
        if stat.S_ISDIR(file.mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if bound():
            known = replace(file, links=1) if file.uid == owner else file
            reason = why_not_read(directory, known, _is_member(file.uid, directory))
        else:
            reason = "" if stat.S_ISREG(file.mode) else _IRREGULAR
        if reason:
            raise irregular(path) if reason == _IRREGULAR else _refused(path, reason)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_member(uid: int, directory: Facts) -> bool:
    """Whether the user is a member of the directory's group, where the group can write."""
    if not directory.mode & stat.S_IWGRP:
        return False
    try:
        user = pwd.getpwuid(uid)
        return user.pw_gid == directory.gid or user.pw_name in grp.getgrgid(directory.gid).gr_mem
    except KeyError:
        return False


def irregular(path: str) -> UntrustedPath:
    """The error for a FIFO, a socket, a device or a link where a file is expected."""
    return UntrustedPath(f"{path} {_IRREGULAR}.", "Find out who created it, and remove it.", path=path)


def _refused(path: str, reason: str) -> UntrustedPath:
    return UntrustedPath(
        f"{path} {reason}, in a directory that users other than root can write: root does not read it.",
        "Find out who created it; remove it, or chown it to the owner of its directory.",
        path=path,
    )


@contextlib.contextmanager
def _own_directory(path: str) -> Iterator[Tuple[int, str]]:
    """The directory to write ``path`` in; UntrustedPath for root if others can write there too."""
    with located(path) as (parent, name):
        if bound() and others_write(Facts.of(os.fstat(parent))):
            raise UntrustedPath(
                f"{path} is in a directory that users other than root can write: root does not write there.",
                "Run this as the owner of the directory, or choose one that only root can write.",
                path=path,
            )
        yield parent, name


def open_to_write(path: str, mode: int = 0o600, append: bool = False, empty: bool = False) -> int:
    """A descriptor of a regular file, created if need be, to read and write. UntrustedPath, OSError."""
    flags = os.O_RDWR | os.O_CREAT | (os.O_APPEND if append else 0) | SAFE
    with _own_directory(path) as (parent, name):
        descriptor = os.open(name, flags, mode, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise irregular(path)
        if empty:
            os.ftruncate(descriptor, 0)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def replace_file(path: str, content: Union[bytes, Iterable[bytes]], mode: int = 0o600, sync: bool = False) -> None:
    """Replace a file atomically: it has either the old content or the new one. ``sync``: flush it to disk as well."""
    with _own_directory(path) as (parent, name):
        temporary = f".{secrets.token_hex(16)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, mode, dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines([content] if isinstance(content, bytes) else content)
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise
        if sync:
            sync_directory(parent)


def make_directory(path: str, mode: int = 0o700) -> None:
    """Create a directory and its missing parents; root does so only where nobody else can write."""
    try:
        os.close(open_directory(path))
        return
    except FileNotFoundError:
        pass
    parent = os.path.dirname(os.path.abspath(path))
    make_directory(parent, 0o755)
    with _own_directory(path) as (directory, name), contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory)


def remove_file(path: str) -> None:
    """Remove a name; root does so only where nobody else can write."""
    with _own_directory(path) as (parent, name):
        os.unlink(name, dir_fd=parent)


def require_place(place: str) -> None:
    """UntrustedPath if root would create something in a directory whose entries somebody else can move."""
    if bound():
        directory = open_directory(place)
        found = Facts.of(os.fstat(directory))
        os.close(directory)
        if not stays_put(found, Facts(0, 0, stat.S_IFDIR)):
            raise _not_ours(place)


def require_own(directory: str) -> None:
    """UntrustedPath if root would work in somebody else's directory: its owner should."""
    if bound() and os.path.lexists(directory) and not root_alone_writes(directory):
        raise _not_ours(directory)


def _not_ours(directory: str) -> UntrustedPath:
    return UntrustedPath(
        f"{directory} is a directory that users other than root can write: root does not work there.",
        "Run this as its owner, e.g. sudo -u postgres, or become_user: postgres.",
        path=directory,
    )


def give_group(descriptor: int, gid: int, mode: int) -> None:
    """Change the group of a file that this process created and holds open."""
    os.fchmod(descriptor, mode)
    os.fchown(descriptor, -1, gid)


def sync_directory(descriptor: int) -> None:
    """Flush a directory's entries to disk. FAT and some network file systems cannot, and return EINVAL."""
    try:
        again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
    except FileNotFoundError:
        return
    try:
        os.fsync(again)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(again)
