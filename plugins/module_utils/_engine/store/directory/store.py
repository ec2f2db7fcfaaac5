# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as an object store, such as an NFS mount or a mounted cold disk.

An object is written to ``.tmp/`` at the root, synced, and given its name by ``link(2)``, which fails if the name is
taken; then the directories are synced. No object is ever visible half-written, not even after a crash. On a file system
without hard links (FAT, some CIFS mounts) the name is checked, then given by ``rename(2)``, under an ``flock(2)`` on
``.tmp/rename.lock``: create-only among all writers that see the same lock.

Everything below the root is reached by directory descriptors, and no link is followed: root writes file sets into a
directory that belongs to somebody else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from datetime import datetime, timezone
from typing import Iterable, Iterator, List, Optional, Tuple

from ...base.errors import ObjectExists, ObjectMissing, StoreError, StoreUnavailable, UntrustedPath
from ...base.files import irregular, open_directory, sync_directory
from ...base.tree import Tree
from ...config.load import DirectoryOptions
from ..checks import check_key, check_size, key_order, verified
from ..protocol import DeleteFailure, ObjectInfo, Unfinished, Written
from .errors import bucket_missing, translated
from .leftovers import claim, left_behind, names_in

_TEMP = ".tmp"
_LOCK = "rename.lock"
_CHUNK = 1024 * 1024
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class DirectoryStore:
    """Objects are files of mode 0640 below ``options.path``; directories are created and removed with them."""

    def __init__(self, options: DirectoryOptions) -> None:
        self._root = os.path.abspath(options.path)
        self._identity = self._root_identity()

    @property
    def location(self) -> str:
        """The directory's path."""
        return self._root

    def put(self, key: str, data: bytes) -> Written:
        """Write, sync and link the file."""
        with self.writer(key) as writer:
            writer.write(data)
            return writer.commit()

    def writer(self, key: str) -> DirectoryWriter:
        """A streaming put; holds nothing in memory."""
        self._check(key)
        self._confirm_root()
        return DirectoryWriter(self._root, key)

    def get(self, key: str) -> bytes:
        """The whole file."""
        with self._reading("get", key), os.fdopen(self._open(key), "rb") as stream:
            return stream.read()

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Chunks of 1 MiB. A wrong ``size`` is raised before the first one, a wrong ``sha256`` after the last one."""
        what = f"{self._root}/{key}"
        return verified(self._chunks(key, what, size), what, sha256, size)

    def _chunks(self, key: str, what: str, size: Optional[int]) -> Iterator[bytes]:
        with self._reading("read", key), os.fdopen(self._open(key), "rb") as stream:
            check_size(what, os.fstat(stream.fileno()).st_size, size)
            while chunk := stream.read(_CHUNK):
                yield chunk

    def head(self, key: str) -> Optional[ObjectInfo]:
        """The file's facts; None only if the root is still the directory that was opened."""
        try:
            with self._reading("head", key), _parent_of(self._root, key) as (_tree, parent, name):
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), key)
                if not stat.S_ISREG(found.st_mode):
                    raise irregular(f"{self._root}/{key}")
                return _info(key, found)
        except ObjectMissing:
            return None

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """Visits only directories that can contain keys below ``prefix`` after ``start_after``."""
        base = prefix.rpartition("/")[0]
        after = key_order(start_after)
        with translated(self._root, "list", prefix):
            for key, entry in self._walk(f"{base}/" if base else "", after):
                if key.startswith(prefix) and key_order(key) > after:
                    with contextlib.suppress(FileNotFoundError):
                        yield _info(key, entry.stat(follow_symlinks=False))
        self._confirm_root()

    def list_names(self, prefix: str) -> Iterator[str]:
        """One level; for an object store, a directory without objects below it does not exist."""
        with translated(self._root, "list", prefix):
            with self._entries(prefix) as entries:
                names = [name for name, _entry in entries]
            for name in names:
                if not name.endswith("/") or next(self._walk(prefix + name, b""), None):
                    yield name
        self._confirm_root()

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """Unlink the files, and the directories that become empty."""
        failures: List[DeleteFailure] = []
        self._confirm_root()
        for key in keys:
            self._check(key)
            try:
                with _parent_of(self._root, key) as (_tree, parent, name):
                    os.unlink(name, dir_fd=parent)
                    sync_directory(parent)
                self._prune(key.split("/")[:-1])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except UntrustedPath as exc:
                failures.append(DeleteFailure(key, exc.message))
            except OSError as exc:
                failures.append(DeleteFailure(key, exc.strerror or str(exc)))
        return failures

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Files in ``.tmp/`` whose writer is gone, whatever ``prefix`` is: they do not tell to which one they belong.

        A writer holds a lock on its file. Writers of earlier releases do not, so callers should allow some time.
        """
        with contextlib.suppress(FileNotFoundError), _temp_at(self._root) as (tree, temp):
            found = [(name, left_behind(tree, temp, name)) for name in sorted(names_in(temp))]
            told = [(name, _info("", seen).modified) for name, seen in found if seen is not None]
            yield from (Unfinished(f"{_TEMP}/{name}", name, written, written) for name, written in told)

    def drop(self, upload: Unfinished) -> None:
        """Unlink it, if it has not changed since it was listed."""
        with contextlib.suppress(FileNotFoundError), _temp_at(self._root) as (tree, temp):
            found = left_behind(tree, temp, upload.upload, remove_of=upload.touched)
            if found is not None:
                sync_directory(temp)

    def clock(self) -> datetime:
        """The time of a new file: with NFS, the server's. The file is created without a name."""
        writer = self.writer("clock")
        try:
            return writer.created
        finally:
            writer.abort()

    def close(self) -> None:
        """There is nothing to release."""

    def _check(self, key: str) -> None:
        if check_key(key).split("/")[0] == _TEMP:
            raise StoreError(
                f"{key!r} is not a valid object key.", f"Use another key: {_TEMP}/ is for unfinished writes.", key=key
            )

    def _open(self, key: str) -> int:
        with _parent_of(self._root, key) as (tree, parent, name):
            return tree.open(parent, name, f"{self._root}/{key}")

    def _root_identity(self) -> Tuple[int, int]:
        try:
            with translated(self._root, "open", ""), _tree_at(self._root) as (_tree, top):
                found = os.fstat(top)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise bucket_missing(self._root) from exc
        return found.st_dev, found.st_ino

    def _confirm_root(self) -> None:
        """StoreUnavailable if the root is gone: then a missing file proves nothing."""
        if self._root_identity() != self._identity:
            raise StoreUnavailable(
                f"The directory {self._root} was replaced or unmounted.",
                "Check that it is mounted.",
                store=self._root,
            )

    @contextlib.contextmanager
    def _reading(self, operation: str, key: str) -> Iterator[None]:
        self._check(key)
        try:
            with translated(self._root, operation, key):
                yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            self._confirm_root()
            raise ObjectMissing(
                f"The object {key!r} does not exist in {self._root}.",
                "Check the cluster's name and the path.",
                store=self._root, key=key, operation=operation,
            ) from exc  # fmt: skip

    @contextlib.contextmanager
    def _entries(self, directory: str) -> Iterator[List[Tuple[str, os.DirEntry[str]]]]:
        """Names below a relative directory (empty or ending in ``/``), directories with ``/``, in key order.

        The entries can be queried until the iteration ends.
        """
        with contextlib.ExitStack() as opened:
            try:
                tree, _top = opened.enter_context(_tree_at(self._root))
                parent = opened.enter_context(tree.directory([part for part in directory.split("/") if part]))
                listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
                opened.callback(os.close, listed)
                with os.scandir(listed) as scan:
                    entries = list(scan)
            except (FileNotFoundError, NotADirectoryError):
                entries = []
            found = [(f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in entries]
            usable = [
                (name, e)
                for name, e in found
                if (name.endswith("/") or e.is_file(follow_symlinks=False)) and (directory or name != f"{_TEMP}/")
            ]
            yield sorted(usable, key=lambda item: key_order(item[0]))

    def _walk(self, directory: str, after: bytes) -> Iterator[Tuple[str, os.DirEntry[str]]]:
        with self._entries(directory) as entries:
            for name, entry in entries:
                key = directory + name
                if not key.endswith("/"):
                    yield key, entry
                elif key_order(key) > after or after.startswith(key_order(key)):
                    yield from self._walk(key, after)

    def _prune(self, parts: List[str]) -> None:
        with _tree_at(self._root) as (tree, _top):
            while parts:
                with tree.directory(parts[:-1]) as parent:
                    try:
                        os.rmdir(parts[-1], dir_fd=parent)
                    except OSError:
                        return
                    sync_directory(parent)
                parts = parts[:-1]


class DirectoryWriter:
    """A file in ``.tmp/`` that gets its name at :meth:`commit`."""

    def __init__(self, root: str, key: str) -> None:
        self._root, self._key = root, key
        self._digest, self._size = hashlib.sha256(), 0
        self._written: Optional[Written] = None
        self._temp = secrets.token_hex(16)
        with translated(root, "put", key), _temp_at(root, make=True) as (tree, temp):
            self._stream = os.fdopen(tree.create(temp, self._temp), "wb", buffering=0)
            claim(self._stream.fileno())

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
        """When it was started, by the file system's clock."""
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
        with contextlib.suppress(OSError, StoreError):
            with _temp_at(self._root) as (_tree, temp):
                os.unlink(self._temp, dir_fd=temp)

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
        try:
            self._in_parent()
        except FileExistsError as exc:
            raise ObjectExists(
                f"The object {self._key!r} already exists in {self._root}.",
                "Nothing was overwritten.",
                store=self._root, key=self._key, operation="put",
            ) from exc  # fmt: skip

    def _in_parent(self) -> None:
        """Retry if another process prunes the new, empty directory before it is used."""
        *above, name = self._key.split("/")
        with _temp_at(self._root) as (tree, temp):
            for _attempt in range(10):
                with contextlib.suppress(FileNotFoundError), tree.directory(above, make=True) as parent:
                    self._link(temp, parent, name)
                    sync_directory(parent)
                    return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._key)

    def _link(self, temp: int, parent: int, name: str) -> None:
        try:
            os.link(self._temp, name, src_dir_fd=temp, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            # NFS retries a request whose response was lost, and then finds its own link.
            ours = os.stat(self._temp, dir_fd=temp, follow_symlinks=False)
            if not os.path.samestat(ours, os.stat(name, dir_fd=parent, follow_symlinks=False)):
                raise
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            self._rename(temp, parent, name)

    def _rename(self, temp: int, parent: int, name: str) -> None:
        lock = self._rename_lock(temp)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                os.stat(name, dir_fd=parent, follow_symlinks=False)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._key)
            os.rename(self._temp, name, src_dir_fd=temp, dst_dir_fd=parent)
        finally:
            os.close(lock)

    def _rename_lock(self, temp: int) -> int:
        """A descriptor of the lock file; the file is never written."""
        with _tree_at(self._root) as (tree, _top):
            for _attempt in range(10):
                try:
                    return tree.create(temp, _LOCK)
                except FileExistsError:
                    with contextlib.suppress(FileNotFoundError):
                        return tree.open(temp, _LOCK, f"{self._root}/{_TEMP}/{_LOCK}")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), _LOCK)


@contextlib.contextmanager
def _tree_at(root: str) -> Iterator[Tuple[Tree, int]]:
    """The repository's directory, and its descriptor."""
    top = open_directory(root)
    try:
        yield Tree(top), top
    finally:
        os.close(top)


@contextlib.contextmanager
def _temp_at(root: str, make: bool = False) -> Iterator[Tuple[Tree, int]]:
    """The tree, and its directory of unfinished files."""
    with _tree_at(root) as (tree, _top):
        with tree.directory([_TEMP], make=make) as temp:
            yield tree, temp


@contextlib.contextmanager
def _parent_of(root: str, key: str) -> Iterator[Tuple[Tree, int, str]]:
    """The tree, the directory of an object, and the object's name there."""
    *above, name = key.split("/")
    with _tree_at(root) as (tree, _top):
        with tree.directory(above) as parent:
            yield tree, parent, name


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, timezone.utc))
