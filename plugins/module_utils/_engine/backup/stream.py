# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stream a base backup from the server into every required repository, and estimate its size when restored."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Tuple

from ..base.errors import ServerNotReady
from ..base.progress import Progress
from ..codec import archive
from ..codec.age import Seal, Sealer
from ..config.load import Config
from ..config.sections import BackupConfig
from ..postgres import basebackup
from ..postgres.facts import ServerFacts
from ..records.model import ArchiveFile
from ..records.tablespace import Tablespace
from ..repository.layout import archive_name, sealed_name
from ..repository.repository import Repository
from ..store.protocol import ObjectWriter, Written

_FILE_SIZE = re.compile(rb'"(?:Encoded-)?Path": "([^"]*)", "Size": (\d+)')


def extracted_sizes(manifest: bytes) -> Dict[str, int]:
    """Bytes by tablespace OID ("" for the data directory), summed over a ``backup_manifest``."""
    sizes: Dict[str, int] = {}
    for match in _FILE_SIZE.finditer(manifest):
        parts = match.group(1).split(b"/", 2)
        oid = parts[1].decode() if parts[0] == b"pg_tblspc" and len(parts) == 3 else ""
        sizes[oid] = sizes.get(oid, 0) + int(match.group(2))
    return sizes


def restored_sizes(manifest: bytes, before: Mapping[str, int], after: Mapping[str, int]) -> Dict[str, int]:
    """Bytes that an incremental backup takes at most once restored, by tablespace OID ("" for the data directory).

    Its ``backup_manifest`` only has the size of the changes. ``before`` and ``after`` the backup are the sizes of the
    tablespaces on the server; files outside of them are always sent whole.
    """
    sizes = {oid: max(before.get(oid, 0), after.get(oid, 0)) for oid in {"", *before, *after}}
    for match in _FILE_SIZE.finditer(manifest):
        if not match.group(1).startswith((b"base/", b"global/", b"pg_tblspc/")):
            sizes[""] += int(match.group(2))
    return sizes


def tablespaces_of(
    known: Tuple[Tablespace, ...], files: List[ArchiveFile], sizes: Mapping[str, int], restored: Mapping[str, int]
) -> Tuple[Tablespace, ...]:
    """The tablespaces that have an archive: others may have been created or dropped since the plan."""
    by_oid = {t.oid: t for t in known}
    return tuple(
        replace(by_oid[oid], size=sizes.get(oid, 0), restored_size=restored.get(oid, 0))
        for oid in dict.fromkeys(f.tablespace for f in files)
        if oid
    )


def stream(
    config: Config,
    label: str,
    facts: ServerFacts,
    required: Tuple[Repository, ...],
    progress: Progress,
    seal: Seal,
    parent: Optional[bytes] = None,
) -> Tuple[List[ArchiveFile], bytes]:
    """Stream into every required repository; compress here if the server cannot.

    ``parent`` is the ``backup_manifest`` of an incremental backup's parent. Returns the files and the new manifest.
    """
    backup = config.backup
    workers = min(os.cpu_count() or 1, 4)
    places = [backup.compress_at] if backup.compress_at != "auto" else ["server", "client"]
    if backup.compression == "none":
        places = ["client"]
    for place in places:
        at_server = backup.compression if place == "server" else None
        options = basebackup.StreamOptions(
            label, backup.checkpoint, at_server, backup.compression_level, workers, backup.max_rate_kb
        )
        sink = RepositorySink(label, required, backup, place == "client", workers, seal)
        with sink:
            try:
                raw = basebackup.stream(
                    config.connection, options, sink, lambda done: progress.advance(done, facts.size), parent
                )
                return sink.files, raw
            except ServerNotReady as exc:
                if place == places[-1] or not exc.details.get("unsupported_compression"):
                    raise
                progress.note(f"the server was built without {backup.compression}: compressing here")
    raise AssertionError("unreachable")


class RepositorySink:
    """Writes each archive to every repository at once: compressed here unless the server did, then sealed."""

    def __init__(
        self,
        label: str,
        repositories: Tuple[Repository, ...],
        backup: BackupConfig,
        compress: bool,
        threads: int,
        seal: Seal,
    ) -> None:
        self._label, self._repositories = label, repositories
        self._backup, self._compress, self._threads, self._seal = backup, compress, threads, seal
        self._sealer: Optional[Sealer] = None
        self._writers: List[ObjectWriter] = []
        self._compressor: Optional[archive.PushCompressor] = None
        self._tablespace: Optional[str] = None
        self._volume = 0
        self.files: List[ArchiveFile] = []

    def __enter__(self) -> RepositorySink:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.abort)
            if self._sealer:
                stack.callback(self._sealer.kill)

    def begin(self, tablespace: Optional[str], volume: int = 0) -> None:
        """Begin an archive, or one of its volumes (numbered from 1 on)."""
        self._tablespace, self._volume = tablespace, volume
        # One by one: if a later one cannot be opened, __exit__ aborts the earlier ones.
        for r in self._repositories:
            self._writers.append(r.store.writer(r.layout.backup(self._label, self._name)))
        if self._compress:
            self._compressor = archive.compressor(
                self._backup.compression, self._backup.compression_level, self._threads
            )
        self._sealer = self._seal.stream(self._write) if self._seal.seals else None

    @property
    def _name(self) -> str:
        return sealed_name(archive_name(self._tablespace, self._backup.compression, self._volume), self._seal.seals)

    def data(self, chunk: bytes) -> None:
        out = self._compressor.feed(chunk) if self._compressor else chunk
        if out:
            self._pass_on(out)

    def _pass_on(self, out: bytes) -> None:
        if self._sealer:
            self._sealer.write(out)
        else:
            self._write(out)

    def _write(self, out: bytes) -> None:
        for writer in self._writers:
            writer.write(out)

    def end(self) -> None:
        if self._compressor:
            self._pass_on(self._compressor.finish())
        if self._sealer:
            self._sealer.finish()
            self._sealer = None
        written: List[Written] = [writer.commit() for writer in self._writers]
        self._writers = []
        self.files.append(ArchiveFile(self._name, written[0].size, written[0].sha256, self._tablespace))
