# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``BASE_BACKUP``: the server's own copy of its cluster (PostgreSQL manual, "Streaming Replication Protocol").

The answer is one COPY stream of messages: ``n`` begins an archive (its name and a tablespace path), ``d`` contains
bytes, ``p`` the progress in bytes, and ``m`` begins the ``backup_manifest``.
"""

from __future__ import annotations

import io
import struct
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Protocol

from ..base.errors import IncrementalImpossible, LifeboatError, PostgresError, ServerNotReady
from ..config.sections import ConnectionConfig
from .connection import connect, driver


@dataclass(frozen=True)
class StreamOptions:
    """``compression_level`` and ``workers`` only apply if the server compresses (``compression``: zstd, lz4)."""

    label: str
    checkpoint: str
    compression: Optional[str]
    compression_level: int
    workers: int
    max_rate_kb: Optional[int] = None
    incremental: bool = False

    def command(self) -> str:
        """The replication command."""
        options = [
            f"LABEL '{self.label}'",
            "PROGRESS",
            f"CHECKPOINT '{self.checkpoint}'",
            "WAIT false",
            "TABLESPACE_MAP",
            "MANIFEST 'yes'",
            "MANIFEST_CHECKSUMS 'CRC32C'",
        ]
        if self.incremental:
            options.append("INCREMENTAL")
        if self.max_rate_kb:
            options.append(f"MAX_RATE {self.max_rate_kb}")
        if self.compression:
            # The server compresses with lz4 in a single thread.
            workers = f",workers={self.workers}" if self.compression == "zstd" else ""
            options += [
                f"COMPRESSION '{self.compression}'",
                f"COMPRESSION_DETAIL 'level={self.compression_level}{workers}'",
            ]
        return f"BASE_BACKUP ({', '.join(options)})"


class ArchiveSink(Protocol):
    """Receives the archives of a backup, one after the other."""

    def begin(self, tablespace: Optional[str]) -> None:
        """Begin the archive of a tablespace (by its OID), or of the data directory (None)."""

    def data(self, chunk: bytes) -> None:
        """Take the next bytes of the archive."""

    def end(self) -> None:
        """End the archive, which is complete."""


class _Receiver:
    """The file object that psycopg2 writes each message to."""

    def __init__(self, sink: ArchiveSink, progress: Callable[[int], None]) -> None:
        self._sink = sink
        self._progress = progress
        self._open = False
        self._in_manifest = False
        self.began = False
        self.manifest = bytearray()

    def write(self, message: bytes) -> int:
        kind = message[:1]
        if kind == b"d":
            if self._in_manifest:
                self.manifest += message[1:]
            else:
                self._sink.data(message[1:])
        elif kind == b"n":
            self.finish_archive()
            name = message[1:].split(b"\0", 1)[0].decode()
            oid = name.split(".", 1)[0]
            self._sink.begin(None if oid == "base" else oid)
            self._open = self.began = True
        elif kind == b"m":
            self.finish_archive()
            self._in_manifest = True
        elif kind == b"p":
            self._progress(struct.unpack(">q", message[1:9])[0])
        return len(message)

    def finish_archive(self) -> None:
        if self._open:
            self._sink.end()
            self._open = False


def stream(
    connection: ConnectionConfig,
    options: StreamOptions,
    sink: ArchiveSink,
    progress: Callable[[int], None],
    parent: Optional[bytes] = None,
) -> bytes:
    """Run one base backup into ``sink``; returns its ``backup_manifest``. ``parent`` is that of the parent, if any.

    Memory: one message (about 32 KiB), that of the sink, and the manifests (about 150 bytes for each file).
    Raises ServerNotReady with ``details["unsupported_compression"]`` before any data if the server lacks the
    compression, and IncrementalImpossible before any data if it cannot build on the parent.
    """
    pg = driver()
    options = replace(options, incremental=parent is not None)
    with closing(connect(connection, replication=True)) as link, closing(link.cursor()) as cursor:
        receiver = _Receiver(sink, progress)
        try:
            if parent is not None:
                cursor.copy_expert("UPLOAD_MANIFEST", io.BytesIO(parent))
            cursor.copy_expert(options.command(), receiver)
        except pg.Error as exc:
            raise _translate(exc, link, parent is not None and not receiver.began) from exc
        return bytes(receiver.manifest)


def _translate(exc: Any, link: Any, may_refuse_parent: bool) -> LifeboatError:
    text = str(exc).strip()
    if "compression is not supported by this build" in text or "unrecognized compression" in text:
        return ServerNotReady(
            f"The server cannot compress: {text}", "Set backup.compress_at to client.", unsupported_compression=True
        )
    if "permission denied" in text:
        return ServerNotReady(f"The server refused the base backup: {text}", "Grant it: ALTER ROLE ... REPLICATION.")
    # Without a code, or with one of the classes 53, 57 and 58, the server or the connection has failed.
    if may_refuse_parent and exc.pgcode and exc.pgcode[:2] not in ("08", "53", "57", "58"):
        return IncrementalImpossible(
            f"The server refused the incremental backup: {text}",
            "Make a full backup; the next incremental one can be based on that.",
            reason="refused",
        )
    if "checksum verification failure" in text:
        said = "; ".join(n.strip() for n in link.notices[-5:])
        return PostgresError(
            f"The server found damaged pages during the backup: {text}. {said}",
            "Run pg_amcheck, and restore from an older backup: the database itself is corrupt.",
            sqlstate=exc.pgcode,
        )
    return PostgresError(
        f"The base backup ended early: {text}",
        "Start the backup again; nothing was recorded.",
        sqlstate=exc.pgcode,
    )
