# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as an object store: an NFS mount, a mounted cold disk.

An object is written to ``.tmp/`` at the root, synced, and given its name by ``link(2)``, which refuses a name that is
taken; then the directories are synced. Nothing is ever visible half-written, not after a crash either. A file system
without hard links (FAT, some CIFS mounts) has no such call: there the name is checked and given by ``rename(2)`` under
an ``flock(2)`` on ``.tmp/rename.lock``, which is create-only among all writers that see the same lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from datetime import datetime, timezone
from typing import Callable, Iterable, Iterator, List, Optional, Tuple, Union

from ..config import DirectoryOptions
from ..errors import ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from .checks import check_key, check_size, key_order, verified
from .directory_errors import bucket_missing, translated
from .protocol import DeleteFailure, ObjectInfo, Unfinished, Written

_TEMP = ".tmp"
_CHUNK = 1024 * 1024
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class DirectoryStore:
    """Objects are files of mode 0640 below ``options.path``; directories come and go with them."""

    def __init__(self, options: DirectoryOptions) -> None:
        self._root = os.path.abspath(options.path)
        self._identity = self._root_identity()

    @property
    def location(self) -> str:
        """The directory's path."""
        return self._root

    def put(self, key: str, data: bytes) -> Written:
        """Write, sync and link."""
        with self.writer(key) as writer:
            writer.write(data)
            return writer.commit()

    def writer(self, key: str, size_hint: Optional[int] = None) -> DirectoryWriter:
        """A streaming put; holds nothing in memory."""
        path = self._path(key)
        self._confirm_root()
        return DirectoryWriter(self._root, key, path)

    def get(self, key: str) -> bytes:
        """The whole file."""
        with self._reading("get", key), open(self._path(key), "rb") as stream:
            return stream.read()

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Chunks of 1 MiB. A wrong ``size`` is raised before the first one, a wrong ``sha256`` after the last one."""
        what = f"{self._root}/{key}"
        return verified(self._chunks(key, what, size), what, sha256, size)

    def _chunks(self, key: str, what: str, size: Optional[int]) -> Iterator[bytes]:
        with self._reading("read", key), open(self._path(key), "rb") as stream:
            check_size(what, os.fstat(stream.fileno()).st_size, size)
            while chunk := stream.read(_CHUNK):
                yield chunk

    def head(self, key: str) -> Optional[ObjectInfo]:
        """The file's facts; None only while the root is the directory that was opened."""
        try:
            with self._reading("head", key):
                return _info(key, os.stat(self._path(key)))
        except ObjectMissing:
            return None

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """Walks only the directories that ``prefix`` and ``start_after`` leave."""
        base = prefix.rpartition("/")[0]
        after = key_order(start_after)
        with translated(self._root, "list", prefix):
            for key, entry in self._walk(f"{base}/" if base else "", after):
                if key.startswith(prefix) and key_order(key) > after:
                    with contextlib.suppress(FileNotFoundError):
                        yield _info(key, entry.stat())
        self._confirm_root()

    def list_names(self, prefix: str) -> Iterator[str]:
        """One level; a directory without any object below it does not exist for an object store."""
        with translated(self._root, "list", prefix):
            for name, _info in self._entries(prefix):
                if not name.endswith("/") or next(self._walk(prefix + name, b""), None):
                    yield name
        self._confirm_root()

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """Unlink the files and the directories that this empties."""
        failures: List[DeleteFailure] = []
        self._confirm_root()
        for key in keys:
            path = self._path(key)
            try:
                os.unlink(path)
                self._prune(os.path.dirname(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as exc:
                failures.append(DeleteFailure(key, exc.strerror or str(exc)))
        return failures

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """A crashed writer leaves a file in ``.tmp/``, below no prefix."""
        return iter(())

    def drop(self, upload: Unfinished) -> None:
        """There is none."""

    def clock(self) -> datetime:
        """The time that a new file gets: of NFS the server's. The file never has a name of its own."""
        writer = self.writer("clock")
        try:
            return writer.created
        finally:
            writer.abort()

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, key: str) -> str:
        if check_key(key).split("/")[0] == _TEMP:
            raise StoreError(f"{key!r} is not a valid object key.", f"Below {_TEMP}/ are unfinished writes.", key=key)
        return os.path.join(self._root, key)

    def _root_identity(self) -> Tuple[int, int]:
        try:
            found = os.stat(os.path.join(self._root, ""))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise bucket_missing(self._root) from exc
        except OSError:
            with translated(self._root, "open", ""):
                raise
        return found.st_dev, found.st_ino

    def _confirm_root(self) -> None:
        """A file that is not found proves nothing once the file system under the path is gone."""
        if self._root_identity() != self._identity:
            raise StoreUnavailable(
                f"The directory {self._root} is another one than when it was opened.",
                "Check that it is still mounted.",
                store=self._root,
            )

    @contextlib.contextmanager
    def _reading(self, operation: str, key: str) -> Iterator[None]:
        try:
            with translated(self._root, operation, key):
                yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            self._confirm_root()
            raise ObjectMissing(
                f"There is no object {key!r} in {self._root}.",
                "Check the cluster's name and the path.",
                store=self._root, key=key, operation=operation,
            ) from exc  # fmt: skip

    def _entries(self, directory: str) -> List[Tuple[str, os.DirEntry[str]]]:
        """Names below a relative directory (empty or ending in ``/``), directories with ``/``, in key order."""
        try:
            with os.scandir(os.path.join(self._root, directory)) as scan:
                entries = list(scan)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [(f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in entries]
        usable = [
            (name, e)
            for name, e in found
            if (name.endswith("/") or e.is_file(follow_symlinks=False)) and (directory or name != f"{_TEMP}/")
        ]
        return sorted(usable, key=lambda item: key_order(item[0]))

    def _walk(self, directory: str, after: bytes) -> Iterator[Tuple[str, os.DirEntry[str]]]:
        for name, entry in self._entries(directory):
            key = directory + name
            if not key.endswith("/"):
                yield key, entry
            elif key_order(key) > after or after.startswith(key_order(key)):
                yield from self._walk(key, after)

    def _prune(self, directory: str) -> None:
        _sync_directory(directory)
        while directory != self._root:
            try:
                os.rmdir(directory)
            except OSError:
                return
            directory = os.path.dirname(directory)
            _sync_directory(directory)


class DirectoryWriter:
    """A file in ``.tmp/`` that gets its name at :meth:`commit`."""

    def __init__(self, root: str, key: str, path: str) -> None:
        self._root, self._key, self._path = root, key, path
        self._digest, self._size = hashlib.sha256(), 0
        self._written: Optional[Written] = None
        self._temp = os.path.join(root, _TEMP, secrets.token_hex(16))
        with translated(root, "put", key):
            _make_directories(os.path.dirname(self._temp), root)
            descriptor = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            _give_to_owner(descriptor, root)
        self._stream = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, data: bytes) -> int:
        """Write all of it to the file."""
        self._check_open()
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        done = 0
        with translated(self._root, "put", self._key):
            while done < len(view):
                done += self._stream.write(view[done:])
        return len(view)

    @property
    def created(self) -> datetime:
        """When the file system says that it began."""
        return datetime.fromtimestamp(os.fstat(self._stream.fileno()).st_mtime, timezone.utc)

    def commit(self) -> Written:
        """Sync the file, give it its name, sync the directories."""
        if self._written is not None:
            return self._written
        self._check_open()
        try:
            with translated(self._root, "put", self._key):
                os.fsync(self._stream.fileno())
                self._stream.close()
                self._give_name()
        finally:
            self.abort()
        self._written = Written(self._key, self._size, self._digest.hexdigest())
        return self._written

    def abort(self) -> None:
        """Remove the file in ``.tmp/``."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temp)

    def __enter__(self) -> DirectoryWriter:
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        if exc_type is not None:
            self.abort()
        elif not self._stream.closed:
            self.commit()

    def _check_open(self) -> None:
        if self._stream.closed:
            raise StoreError(f"The put of {self._key!r} has already ended.", "Open another writer.", key=self._key)

    def _give_name(self) -> None:
        parent = os.path.dirname(self._path)
        try:
            self._in_parent(parent, self._link)
        except FileExistsError as exc:
            raise ObjectExists(
                f"The object {self._key!r} already exists in {self._root}.",
                "Nothing was overwritten.",
                store=self._root, key=self._key, operation="put",
            ) from exc  # fmt: skip
        _sync_directory(parent)

    def _in_parent(self, parent: str, name_it: Callable[[], None]) -> None:
        """Another process may prune the empty directory between its making and its use."""
        for _attempt in range(10):
            _make_directories(parent, self._root)
            with contextlib.suppress(FileNotFoundError):
                return name_it()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), parent)

    def _link(self) -> None:
        try:
            os.link(self._temp, self._path)
        except FileExistsError:
            # NFS repeats a request whose answer was lost and then meets its own link.
            if not os.path.samefile(self._temp, self._path):
                raise
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            self._rename()

    def _rename(self) -> None:
        lock = os.open(os.path.join(self._root, _TEMP, "rename.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.lexists(self._path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._path)
            os.rename(self._temp, self._path)
        finally:
            os.close(lock)


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, timezone.utc))


def _make_directories(path: str, root: str) -> None:
    """Make a directory with its parents, and sync each parent that got a new entry."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_directories(parent, root)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o750)
        _give_to_owner(path, root)
    _sync_directory(parent)


def _give_to_owner(made: Union[int, str], root: str) -> None:
    """What the superuser makes (a file set) belongs to the repository's owner, who must go on writing beside it."""
    if os.geteuid() == 0:
        owner = os.stat(root)
        # NFS may let nobody give files away (root_squash): then they belong to whom it says.
        with contextlib.suppress(PermissionError):
            os.chown(made, owner.st_uid, owner.st_gid)


def _sync_directory(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # FAT and some network file systems cannot sync a directory; they answer EINVAL.
        if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)
