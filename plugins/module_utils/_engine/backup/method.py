# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose who reads the files of a full backup: the server (``stream``), or threads beside it (``parallel``)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Optional

from ..base.errors import DataDirectoryRefused, ServerNotReady, UntrustedPath
from ..base.files import open_to_read, require_own
from ..config.load import Config
from ..postgres import pages
from ..postgres.connection import Session
from ..postgres.facts import ServerFacts

#: Bytes of a cluster from which on ``auto`` reads in parallel: below, one WAL sender needs a few minutes at most.
AUTO_SIZE = 100 * 10**9
#: With few cores the server is as fast: it compresses in several processes, and needs no SHA-256 of the files.
AUTO_CORES = 8
_HINT = "Run the backup on the server's host as the owner of the data directory, or set backup.method to stream."


@dataclass(frozen=True)
class Place:
    """A data directory of this host that can be read beside its server; ``block_size`` and checksums of its pages.

    ``segment_blocks``: the pages of a whole file of a relation.
    """

    data_dir: str
    block_size: int
    segment_blocks: int
    checksums: bool


def worthwhile(size: int, cores: int, checksums: bool, fast_checksums: bool) -> bool:
    """Whether ``auto`` may read in parallel: a large cluster, cores to do so, and its pages cheap to check. Pure."""
    return size >= AUTO_SIZE and cores >= AUTO_CORES and (fast_checksums or not checksums)


def choose(config: Config, sql: Session, facts: ServerFacts, kind: str) -> Optional[Place]:
    """Where to read a backup of this type beside the server; None: the server sends it.

    A differential or incremental backup always comes from the server. If ``parallel`` is configured but impossible:
    DataDirectoryRefused, UntrustedPath (for root) or ServerNotReady.
    """
    asked = config.backup.method
    if kind != "full" or asked == "stream":
        return None
    checksums = bool(sql.value("SELECT setting = 'on' FROM pg_settings WHERE name = 'data_checksums'"))
    if asked == "auto" and not worthwhile(facts.size, os.cpu_count() or 1, checksums, pages.fast()):
        return None
    try:
        return find_place(config, sql, checksums)
    except (DataDirectoryRefused, UntrustedPath, ServerNotReady):
        if asked == "parallel":
            raise
        return None


def find_place(config: Config, sql: Session, checksums: bool) -> Place:
    """The data directory of the session's server; refused as :func:`choose` says."""
    # Only members of pg_monitor see the server's own setting.
    data_dir = str(sql.value("SELECT current_setting('data_directory', true)") or config.data_dir or "")
    if not data_dir:
        raise _not_here("The server does not tell this role where its data directory is, and data_dir is not set.")
    require_own(data_dir)
    require_server_of(sql, data_dir)
    if not sql.value(
        "SELECT has_function_privilege('pg_backup_start(text, boolean)', 'EXECUTE')"
        " AND has_function_privilege('pg_backup_stop(boolean)', 'EXECUTE')"
    ):
        user = sql.value("SELECT quote_ident(current_user)")
        raise ServerNotReady(
            f"The role {user} may not call pg_backup_start and pg_backup_stop, which backup.method parallel needs.",
            f"GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean) TO {user};"
            " in the database of connection.dbname.",
        )
    block_size, segment = sql.row(
        "SELECT max(setting) FILTER (WHERE name = 'block_size'), max(setting) FILTER (WHERE name = 'segment_size')"
        " FROM pg_settings WHERE name IN ('block_size', 'segment_size')"
    )
    return Place(data_dir, int(block_size), int(segment), checksums)


def require_server_of(sql: Session, data_dir: str) -> None:
    """DataDirectoryRefused unless the session's process is a child of the server that runs here in ``data_dir``.

    A path is no proof: a standby on this host may have the primary's path and system identifier. Processes of a server
    work in its data directory (``proc(5)``: ``cwd``), and its ``postmaster.pid`` has its process id and its start.
    """
    try:
        owner = os.stat(data_dir).st_uid
        lines = _lines(os.path.join(data_dir, "postmaster.pid"))
    except (OSError, ValueError) as exc:
        raise _not_here(f"The data directory {data_dir} of the server cannot be read on this host: {exc}.") from exc
    if owner != os.geteuid():
        raise _not_here(f"The data directory {data_dir} belongs to another user (uid {owner}).")
    pid, started = sql.row("SELECT pg_backend_pid(), floor(extract(epoch FROM pg_postmaster_start_time()))::bigint")
    if not is_child(int(pid), int(started), lines, data_dir):
        raise _not_here(f"The server of this connection does not run on this host in {data_dir}.")


def is_child(pid: int, started: int, lines: List[str], data_dir: str) -> bool:
    """Whether process ``pid`` of a server that started then (seconds since 1970) belongs to this data directory.

    ``lines`` are those of its ``postmaster.pid`` (source ``miscadmin.h``).
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            parent = next(line.split()[1] for line in stream if line.startswith("PPid:"))
        here = os.path.samefile(f"/proc/{pid}/cwd", data_dir)
        return here and parent == lines[0].strip() and abs(int(lines[2]) - started) <= 1
    except (OSError, StopIteration, IndexError, ValueError):
        return False


def _lines(path: str) -> List[str]:
    with open_to_read(path) as stream:
        return stream.read(4096).decode(errors="replace").splitlines()


def _not_here(message: str) -> DataDirectoryRefused:
    return DataDirectoryRefused(message, _HINT)
