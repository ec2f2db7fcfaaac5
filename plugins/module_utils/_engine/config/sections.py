# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of a configuration that need no checks beyond types and choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .option import option


@dataclass(frozen=True)
class ConnectionConfig:
    """How to connect to the server, with libpq's option names. ``host`` may be a socket directory."""

    host: Optional[str] = option("Socket directory or host name.", None)
    port: int = option("Port.", 5432)
    user: Optional[str] = option("Role with C(REPLICATION) and C(pg_monitor), or a superuser.", None)
    dbname: str = option("Database to connect to.", "postgres")
    password: Optional[str] = option("Password. Prefer C(passfile).", None, secret=True)
    passfile: Optional[str] = option("Password file of libpq.", None, path=True)
    sslmode: Optional[str] = option("libpq's C(sslmode).", None)
    sslrootcert: Optional[str] = option("libpq's C(sslrootcert).", None, path=True)
    connect_timeout: int = option("Seconds to wait for the connection.", 10)


@dataclass(frozen=True)
class BackupConfig:
    """How base backups are made."""

    method: str = option(
        "Who reads a full backup: V(stream) the server, in one process, V(parallel) several threads on the server's "
        "host, as the owner of the data directory. V(auto) means V(parallel) if that is possible, the host has at "
        "least eight cores and the cluster at least 100 GB, and the Python library C(numpy) is installed or the "
        "cluster has no checksums. Other backups are always made by the server.",
        "auto",
        choices=("auto", "stream", "parallel"),
    )
    parallel: int = option("Threads of a backup with C(method) V(parallel). 0: as many as there are cores.", 0)
    volume_size: int = option(
        "Bytes of files in each volume of such a backup. Volumes are restored at the same time. 0: one archive for "
        "the data directory, and one for each tablespace.",
        1073741824,
    )
    compression: str = option(
        "Compression of base backups. WAL and file sets always use zstd. V(lz4) takes less CPU and more space, and "
        "needs the Python library C(lz4).",
        "zstd",
        choices=("zstd", "lz4", "none"),
    )
    compression_level: int = option("Level: -7 to 22 for V(zstd), 0 to 12 for V(lz4).", 1)
    compress_at: str = option(
        "Where to compress; V(auto) means on the server if possible.", "auto", choices=("auto", "server", "client")
    )
    checkpoint: str = option("Kind of checkpoint to start a backup with.", "fast", choices=("fast", "spread"))
    max_rate_kb: Optional[int] = option(
        "Limit of the rate at which data is read, in kB per second. Default: none.", None
    )
    wal_timeout: float = option("Seconds a backup waits for the next segment to be archived.", 300.0)
    summary_timeout: float = option(
        "Seconds an incremental backup waits while the WAL summarizer makes no progress.", 120.0
    )
    fallback: str = option(
        "What to do if a differential or incremental backup is impossible: V(none) fails, V(full) makes a full one.",
        "none",
        choices=("none", "full"),
    )

    @property
    def zstd_level(self) -> int:
        """The level for WAL and its pieces, which are always compressed by zstd."""
        return self.compression_level if self.compression == "zstd" else 1


@dataclass(frozen=True)
class WalConfig:
    """How WAL is archived."""

    parallel: int = option(
        "Files that the WAL agent reads, compresses and stores in parallel; fewer if they take more than 192 MiB.",
        4,
    )
    stream: bool = option(
        "Let C(lifeboat wal-stream) store the unfinished segment in pieces. Needs a WAL sender and a replication slot.",
        False,
    )
    stream_interval: float = option("Seconds between two pieces of the unfinished segment.", 2.0)
    backlog_files: int = option(
        "Waiting WAL files beyond which C(lifeboat check) warns; twice as many are critical. 0: no limit.",
        64,
    )
    backlog_seconds: float = option(
        "Seconds the oldest waiting file may wait before C(lifeboat check) warns; twice that is critical. 0: no limit.",
        600.0,
    )
    backlog_share: float = option(
        "Share of the space available to C(pg_wal), 0 to 1, that waiting files may take before C(lifeboat check) "
        "warns; twice that is critical. 0: no limit.",
        0.25,
    )


@dataclass(frozen=True)
class RestoreConfig:
    """How a restore fetches WAL, and combines a chain of backups."""

    prefetch: int = option("Number of WAL segments to fetch ahead of replay, up to 1 GiB in total; 0 for none.", 16)
    prefetch_dir: Optional[str] = option(
        "Directory for fetched segments. Default: beside the data directory, or the directory for temporary files.",
        None,
        path=True,
    )
    parallel: int = option(
        "Archives and volumes of a backup that are unpacked at the same time. 0: as many as there are cores.", 0
    )
    combine: str = option(
        "What combines a full backup and its increments. V(in_place) writes the changed blocks into the extracted full "
        "backup. V(auto) means V(pg_combinebackup) where that links or clones files, and otherwise V(in_place).",
        "auto",
        choices=("auto", "in_place", "pg_combinebackup"),
    )


@dataclass(frozen=True)
class SealConfig:
    """Who can open stored objects: ``recipients`` of ``age`` (public keys; none: nothing is sealed).

    The identity that opens them is read from a file or a command's output; a host that only backs up has none.
    """

    recipients: Tuple[str, ...] = option(
        "Public keys of C(age) or C(ssh) to encrypt to. The private key of any of them decrypts stored objects.", ()
    )
    identity_file: Optional[str] = option(
        "File on the host with the private key, readable by the cluster's owner. Not needed for backups.",
        None,
        path=True,
    )
    identity_command: Tuple[str, ...] = option(
        "Command and arguments that print the private key, instead of a file.", (), secret=True
    )

    @property
    def has_identity(self) -> bool:
        """Whether an identity is configured."""
        return bool(self.identity_file or self.identity_command)


@dataclass(frozen=True)
class ObjectivesConfig:
    """Recovery objectives."""

    rpo: Optional[float] = option("Recovery point objective: how many seconds of commits may be lost.", None)
    rto: Optional[float] = option(
        "Recovery time objective: seconds until the restored server accepts connections.", None
    )
    window: Optional[float] = option("Days of point-in-time recovery.", None)
    max_backup_age: Optional[float] = option("Seconds after which the newest backup is too old.", None)
    max_verify_age: Optional[float] = option("Days after which the newest verification is too old.", None)
    max_drill_age: Optional[float] = option("Days after which the newest drill that passed is too old.", None)


@dataclass(frozen=True)
class AuditConfig:
    """Where audit events are written besides the repositories."""

    file: Optional[str] = option(
        "File of JSON lines. Default: C(audit.jsonl) in C(spool_dir); for root, one below C(/var/log/lifeboat). "
        "Empty for none.",
        None,
    )
    syslog: str = option("Socket of the system log. Empty for none.", "/dev/log")
