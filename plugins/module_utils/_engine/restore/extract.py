# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack a base backup: stream, decompress and extract without staging, then verify it with ``pg_verifybackup``."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import Callable, Collection, Dict, Generator, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import BackupCorrupt, DiskFull, ObjectCorrupt, ProcessFailed
from ..base.pipeline import ahead
from ..base.process import Feed, run
from ..codec import archive
from ..postgres.controldata import program
from ..records.model import ArchiveFile, BackupManifest
from ..repository.layout import SERVER_MANIFEST, clear_name, compression_of, server_manifest
from ..repository.repository import Repository
from .marker import MARKER

_MAP = "tablespace_map"
LOG = "lifeboat_restore.log"
# Files that a restore leaves in the data directory. Later backups include them, but they are of no use.
OURS = (MARKER, LOG)


def extract(
    repository: Repository,
    backup: BackupManifest,
    data_dir: str,
    tablespaces: Mapping[str, str],
    progress: Callable[[int], None],
    kept: Optional[Mapping[Optional[str], Collection[str]]] = None,
    parallel: int = 0,
) -> int:
    """Fill the directories; ``tablespaces`` maps OIDs to directories, others are left out. Returns the bytes.

    A tablespace in the data directory itself is always extracted there. ``kept`` are existing files to skip, by
    tablespace, named as in its archive. ``parallel`` archives or volumes are unpacked at once (0: as many as cores).

    Every stored file is checked against the size and SHA-256 of the manifest while it streams. Memory: for each of them
    at once, the store's bound and about 10 MiB. Raises BackupCorrupt or DiskFull; the first error ends the others.
    """
    manifest = server_manifest(backup.files)
    in_place = {t.oid: os.path.join(data_dir, "pg_tblspc", t.oid) for t in backup.tablespaces if t.in_place}
    places: Dict[Optional[str], str] = {None: data_dir}
    places.update({**tablespaces, **in_place})
    for path in in_place.values():
        os.makedirs(path, mode=0o700, exist_ok=True)
    wanted = [f for f in backup.files if f != manifest and f.tablespace in places]
    unpacking = _Unpacking(progress)

    def unpack(file: ArchiveFile) -> None:
        chunks = ahead(_checked(repository, backup, file))
        unpacking.count(_unpack(chunks, places[file.tablespace], (kept or {}).get(file.tablespace, ())))

    unpacking.all(unpack, wanted, parallel or os.cpu_count() or 1)
    _link(data_dir, tablespaces)
    with open(os.path.join(data_dir, SERVER_MANIFEST), "wb") as stream:
        stream.write(read_manifest(repository, backup))
    _let_in(data_dir, [*places.values()])
    return unpacking.done


class _Stopped(Exception):
    """Another archive could not be unpacked."""


class _Unpacking:
    """Counts what several threads unpack, and ends all of them with the first error."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self._progress, self._lock, self._stop = progress, threading.Lock(), threading.Event()
        self.done = 0

    def count(self, sizes: Generator[int, None, None]) -> None:
        """Consume the sizes, and report their sum; raises _Stopped once another thread has failed."""
        with closing(sizes):
            for size in sizes:
                if self._stop.is_set():
                    raise _Stopped
                with self._lock:
                    self.done += size
                    self._progress(self.done)

    def all(self, unpack: Callable[[ArchiveFile], None], files: Sequence[ArchiveFile], parallel: int) -> None:
        """Unpack all files. With one thread, or file, in this one."""
        if min(parallel, len(files)) <= 1:
            for file in files:
                unpack(file)
            return
        with ThreadPoolExecutor(min(parallel, len(files)), "lifeboat-unpack") as pool:
            jobs = [pool.submit(unpack, file) for file in files]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def open_to_group(data_dir: str) -> bool:
    """Whether the server's group may read the data directory, judging by its files."""
    return bool(os.stat(os.path.join(data_dir, "PG_VERSION")).st_mode & stat.S_IRGRP)


def _let_in(data_dir: str, places: Sequence[str]) -> None:
    """Open the directories to the group if the source's were (``initdb --allow-group-access``)."""
    if open_to_group(data_dir):
        for path in places:
            os.chmod(path, 0o750)  # noqa: S103


def read_manifest(repository: Repository, backup: BackupManifest) -> bytes:
    """The ``backup_manifest``; BackupCorrupt if it is damaged."""
    return b"".join(_checked(repository, backup, server_manifest(backup.files)))


def _checked(repository: Repository, backup: BackupManifest, file: ArchiveFile) -> Iterator[bytes]:
    key = repository.layout.backup(backup.label, file.name)
    try:
        raw = repository.read(key, file)
        is_manifest = clear_name(file.name) == SERVER_MANIFEST
        yield from raw if is_manifest else archive.decompress(compression_of(file.name), raw, key)
    except ObjectCorrupt as exc:
        raise BackupCorrupt(
            f"Backup {backup.label} in repository {repository.location} is damaged: {exc.message}",
            "Heal it from another repository (lifeboat verify --repair), or restore another backup (label): lifeboat"
            " verify shows which are intact.",
            label=backup.label,
            key=key,
        ) from exc


def _unpack(chunks: Iterator[bytes], target: str, kept: Collection[str]) -> Generator[int, None, None]:
    with tempfile.TemporaryFile() as words, tempfile.NamedTemporaryFile() as names:
        names.write(b"".join(name.encode() + b"\n" for name in kept))
        names.flush()
        # GNU tar is three times as fast as Python's tarfile, and takes two thirds of the CPU time if it reads 1 MiB
        # at a time instead of 10 KiB. _link() makes the links below pg_tblspc.
        tar = Feed(
            [
                "tar",
                "--extract",
                "--file=-",
                "--blocking-factor=2048",
                "--read-full-records",
                f"--directory={target}",
                "--no-same-owner",
                "--preserve-permissions",
                "--anchored",
                "--exclude=pg_tblspc/*",
                *(f"--exclude={name}" for name in OURS),
                "--no-wildcards",
                f"--exclude-from={names.name}",
            ],
            words,
        )
        try:
            yield from tar.pour(chunks)
        except ProcessFailed as exc:
            if "No space left" in exc.message:
                raise DiskFull(
                    f"The disk of {target} became full during the restore.",
                    "Free some space and run the restore again: it starts over.",
                    path=target,
                ) from exc
            raise
        finally:
            tar.kill()


def _link(data_dir: str, tablespaces: Mapping[str, str]) -> None:
    for oid, path in tablespaces.items():
        os.symlink(path, os.path.join(data_dir, "pg_tblspc", oid))


def verify(bin_dir: Optional[str], data_dir: str, label: str, ignored: Sequence[str] = ()) -> None:
    """BackupCorrupt unless ``pg_verifybackup`` finds the size and checksum of every file correct.

    WAL is not parsed, because it is in the repository.
    """
    try:
        run(
            [
                program(bin_dir, "pg_verifybackup"),
                "--no-parse-wal",
                "--quiet",
                f"--ignore={_MAP}",
                *(f"--ignore={name}" for name in (*OURS, *ignored)),
                data_dir,
            ]
        )
    except ProcessFailed as exc:
        raise BackupCorrupt(
            f"Backup {label} fails pg_verifybackup: {exc.details['output']}",
            "Restore another backup (label), and run lifeboat verify: this one is damaged.",
            label=label,
        ) from exc


def remap(data_dir: str, tablespaces: Mapping[str, str]) -> None:
    """Write the new directories into ``tablespace_map``, from which the server creates its links on its first start."""
    path = os.path.join(data_dir, _MAP)
    if tablespaces:
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{oid} {_escape(target)}\n" for oid, target in tablespaces.items())


def move_wal(data_dir: str, wal_dir: str) -> None:
    """Move ``pg_wal``, which has no WAL yet, to ``wal_dir``, and put a link in its place."""
    here = os.path.join(data_dir, "pg_wal")
    for name in os.listdir(here):
        shutil.move(os.path.join(here, name), os.path.join(wal_dir, name))
    os.chmod(wal_dir, stat.S_IMODE(os.stat(here).st_mode))
    os.rmdir(here)
    os.symlink(wal_dir, here)


def _escape(path: str) -> str:
    """Escape a path as ``do_pg_backup_start`` does: a backslash before newline, carriage return and backslash."""
    return "".join("\\" + c if c in "\n\r\\" else c for c in path)


def read_tail(data_dir: str, timeline: int) -> Optional[Tuple[int, str, str]]:
    """The last line of a timeline's history in ``pg_wal``: parent, LSN and reason. None without a history."""
    path = os.path.join(data_dir, "pg_wal", f"{timeline:08X}.history")
    try:
        # The reason may name a restore point, in any encoding and with any other line separator.
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            lines: List[str] = [line for line in stream.read().split("\n") if line.strip()]
    except FileNotFoundError:
        return None
    parent, lsn, reason = ([*lines[-1].split("\t"), "", ""])[:3]
    return int(parent), lsn, reason
