# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply an extracted incremental backup to the extracted backup before it, in place: only changed blocks are written.

``pg_combinebackup`` writes every file again where the file system cannot clone it. The result is the same, except for
blocks that were cut off in the middle of a chain and then extended without WAL: they are zeros here, as on the server,
while ``pg_combinebackup`` takes them from an older backup.
The directories belong to this restore alone. Their content may be forged: no link is followed, no file becomes larger
than a relation's file, and whatever a server would not have written is an error.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Dict, Iterator, Mapping, Set

from ..base.errors import BackupCorrupt, DataDirectoryRefused, DiskFull
from ..postgres.incremental_file import PREFIX, Changes, Geometry, as_full, read_changes
from ..repository.layout import SERVER_MANIFEST

_SPACES = "pg_tblspc"
# Only here a name that begins with PREFIX is not a user's own file.
_INCREMENTAL = ("base/", "global/", f"{_SPACES}/")
_COPY = 1024 * 1024
# Of the disk, the file system or this user, not of the backup.
_HOST = (errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True)
class Overlay:
    """Applies one backup; ``label`` is for errors. Memory: 1 MiB, and 4 bytes for each block of a file."""

    label: str
    geometry: Geometry

    def data_dir(self, base: str, link: str) -> None:
        """Make the data directory ``base`` that of the backup extracted in ``link``, which is used up.

        The links of tablespaces are removed. Raises BackupCorrupt or DiskFull.
        """
        self._apply(base, link, "")

    def tablespace(self, base: str, link: str) -> None:
        """As :meth:`data_dir`, for the directory of a tablespace."""
        self._apply(base, link, _SPACES)

    def finish(self, data_dir: str) -> None:
        """Make ``backup_label`` that of a full backup, and remove the manifest, which is of the last backup alone."""
        name = os.path.join(data_dir, "backup_label")
        with self._translated(data_dir):
            os.unlink(os.path.join(data_dir, SERVER_MANIFEST))
            with open(name, encoding="utf-8", errors="surrogateescape") as stream:
                text = stream.read()
            with open(name, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(as_full(text))

    def _apply(self, base: str, link: str, path: str) -> None:
        with self._translated(base):
            self._directory(base, link, path)

    @contextmanager
    def _translated(self, base: str) -> Iterator[None]:
        """What this host cannot do is no damage of the backup."""
        try:
            yield
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"The disk of {base} became full while the chain was combined.",
                    "Free some space and run the restore again: it starts over.",
                    path=base,
                ) from exc
            where = exc.filename or base
            if exc.errno in _HOST:
                raise DataDirectoryRefused(
                    f"{where} cannot be written while the chain is combined: {exc.strerror}.",
                    "Check the disk and the kernel's log, then run the restore again: it starts over.",
                    data_dir=base,
                ) from exc
            raise self._corrupt(f"{where}: {exc.strerror}") from exc

    def _directory(self, base: str, link: str, path: str) -> None:
        before = _entries(base)
        wanted: Set[str] = set()
        for name, entry in _entries(link).items():
            if path != _SPACES or not entry.is_symlink():
                made = self._entry(base, before, entry, os.path.join(path, name))
                if made in wanted:
                    raise self._corrupt(f"{os.path.join(path, made)} is there as a whole, and as changes")
                wanted.add(made)
        for name in before.keys() - wanted:
            if before[name].is_dir(follow_symlinks=False):
                shutil.rmtree(before[name].path)
            else:
                os.unlink(before[name].path)

    def _entry(self, base: str, before: Mapping[str, os.DirEntry[str]], entry: os.DirEntry[str], path: str) -> str:
        """Apply one name of a directory; returns the name that it has afterwards."""
        name, mode = entry.name, entry.stat(follow_symlinks=False).st_mode
        target = os.path.join(base, name)
        if stat.S_ISDIR(mode):
            if name not in before:
                os.mkdir(target, 0o700)
                # Not by mkdir, which takes away what the umask says.
                os.chmod(target, stat.S_IMODE(mode))
            elif not before[name].is_dir(follow_symlinks=False):
                raise self._corrupt(f"{path} is a directory, but was none before")
            self._directory(target, entry.path, path)
            return name
        if not stat.S_ISREG(mode):
            raise self._corrupt(f"{path} is neither a file nor a directory")
        if not (name.startswith(PREFIX) and path.startswith(_INCREMENTAL)):
            os.rename(entry.path, target)
            return name
        name = name[len(PREFIX) :]
        if name not in before:
            raise self._corrupt(f"{path} has no file before it")
        self._file(os.path.join(base, name), entry.path, path)
        return name

    def _file(self, base: str, changed: str, path: str) -> None:
        """Apply the changes to the file ``base``."""
        with open(os.open(changed, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source:
            try:
                changes = read_changes(source, os.fstat(source.fileno()).st_size, self.geometry)
            except ValueError as exc:
                raise self._corrupt(f"{path}: {exc}") from exc
            target = os.open(base, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if not stat.S_ISREG(os.fstat(target).st_mode):
                    raise self._corrupt(f"{path} is of something that was no file before")
                self._write(source.fileno(), target, changes)
            finally:
                os.close(target)

    def _write(self, source: int, target: int, changes: Changes) -> None:
        block = self.geometry.block_size
        # What follows is new, so that a block that is not in the list is zeros.
        if os.fstat(target).st_size != changes.keep * block:
            os.ftruncate(target, changes.keep * block)
        if changes.blocks > changes.keep:
            os.ftruncate(target, changes.blocks * block)
        for first, index, count in changes.runs(_COPY // block):
            data = os.pread(source, count * block, changes.offset + index * block)
            if len(data) != count * block:
                raise OSError(errno.EIO, "it became shorter while it was read")
            done = 0
            while done < len(data):
                done += os.pwrite(target, data[done:], first * block + done)

    def _corrupt(self, why: str) -> BackupCorrupt:
        return BackupCorrupt(
            f"Backup {self.label} cannot be applied to the one before it: {why}.",
            "Restore the full backup of its chain (label), and run lifeboat verify: one of the others is damaged.",
            label=self.label,
        )


def _entries(directory: str) -> Dict[str, os.DirEntry[str]]:
    with os.scandir(directory) as found:
        return {entry.name: entry for entry in found}
