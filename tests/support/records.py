# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records for tests: backups and their WAL, with consistent values, and functions that put them into a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Iterable, List

from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE, Segment
from lifeboat.records.model import ArchiveFile, BackupManifest, seal_record
from lifeboat.repository.dumps import Dump, Properties
from lifeboat.repository.file_sets import FileSetBackup
from lifeboat.repository.labels import make_label
from lifeboat.repository.repository import Repository
from lifeboat.store.protocol import ObjectInfo
from lifeboat.wal.inventory import Archived

EPOCH = datetime(2026, 11, 22, 2, tzinfo=timezone.utc)
SYSTEM = "7412345678901234567"


def moment(seconds: float) -> datetime:
    """So many seconds after the epoch of these tests."""
    return EPOCH + timedelta(seconds=seconds)


def a_backup(
    started: float = 0, finished: float = 10, start: int = 0x2000028, stop: int = 0x2000100, **more: Any
) -> BackupManifest:
    """A full backup; times are seconds after :data:`EPOCH`."""
    manifest = BackupManifest(
        label=make_label(moment(started), "full"),
        type="full",
        cluster="main",
        system_identifier=SYSTEM,
        timeline=1,
        start_lsn=start,
        stop_lsn=stop,
        segment_size=DEFAULT_SEGMENT_SIZE,
        started_at=moment(started),
        finished_at=moment(finished),
        server_version="17.2",
        server_version_num=170002,
        files=(ArchiveFile("base.tar.zst", 1000, "a" * 64), ArchiveFile("backup_manifest", 100, "b" * 64)),
        data_size=5000,
        lifeboat_version="0.1.0",
    )
    return replace(manifest, **more)


def stored(segments: Iterable[Segment], size: int = 100) -> Archived:
    """These segments as a repository lists them, each stored one second after the previous."""
    return Archived((s, ObjectInfo(s.name, size, moment(s.number))) for s in segments)


def a_line_of_backups(types: Iterable[str], parents: Iterable[int], gap: int = 100) -> List[BackupManifest]:
    """Backups one after the other; ``parents`` gives the place of the parent of each, and nothing for a full one."""
    made: List[BackupManifest] = []
    for number, (kind, parent) in enumerate(zip(types, parents)):
        begin = gap * number
        made.append(
            a_backup(
                begin, begin + 10, 0x2000028 + number * 0x1000000, 0x2000100 + number * 0x1000000,
                label=make_label(moment(begin), kind), type=kind,
                parent=None if kind == "full" else made[parent].label,
            )
        )  # fmt: skip
    return made


#: A copy of a file set, and a dump, with everything that a record of one may have.
COPY = FileSetBackup(
    "20261122T020000Z-changes", "web", "main", "db1", moment(0), ("/srv/web",), ("*.tmp",), 100,
    ArchiveFile("data.tar.zst", 10, "c" * 64),
    index=ArchiveFile("index.jsonl.zst.age", 5, "d" * 64, None, "e" * 64), content_sha256="f" * 64, members=3,
    unsettled=("tar: a: file changed",), parents=("20261121T020000Z-files",),
)  # fmt: skip
DUMP = Dump(
    "20261122T020000Z-dump", "shop", "main", "7412345678901234567", "db1", moment(0), "17.2", 170002, 1000,
    ArchiveFile("data.pgdump.zst", 10, "c" * 64), ArchiveFile("globals.sql.zst", 5, "d" * 64),
    Properties("me", "UTF8", "C", "C", settings=("work_mem=1MB",), grants=(("", "CONNECT", False),)),
    {"pgcrypto": "1.3"}, ("me", "you"), {"public.t": 7},
)  # fmt: skip


def put(repository: Repository, key: str, data: Any) -> str:
    """Store bytes unchanged, or a record with its checksum; the key."""
    repository.store.put(key, data if isinstance(data, bytes) else seal_record(data))
    return key


def put_backup(repository: Repository, backup: BackupManifest, label: str = "", **files: bytes) -> str:
    """Store the files of :func:`a_backup` and its record; the record's key."""
    for name, content in {"base.tar.zst": b"x" * 1000, "backup_manifest": b"y" * 100, **files}.items():
        put(repository, repository.layout.backup(label or backup.label, name), content)
    return put(repository, repository.layout.manifest(label or backup.label), backup.as_dict())
