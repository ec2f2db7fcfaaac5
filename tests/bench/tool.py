# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of every measured tool. An instance serves one cluster, below one prefix of the store."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Protocol, Sequence

from support.postgres import Cluster
from tls_store import TlsStore


@dataclass(frozen=True)
class Place:
    """A tool's environment: the cluster that it protects, the store and its prefix, and its own directory."""

    cluster: Cluster
    store: TlsStore
    prefix: str
    work: Path


class Tool(Protocol):
    """A backup tool; ``wal_segments`` limits the measured segments if each one starts Python.

    ``programs`` are the beginnings of the names by which its processes are known, those that the server starts too.
    With ``newest_server`` it is also measured with the newest server.
    """

    name: str
    options: str
    programs: Sequence[str]
    wal_segments: Optional[int]
    newest_server: bool

    def prepare(self) -> None:
        """Write its configuration and create its repository."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of its programs; secrets go here."""

    @property
    def archive_command(self) -> str:
        """For the server: how WAL gets into the store."""

    @property
    def backup(self) -> List[str]:
        """The command that makes a full backup."""

    @property
    def incremental(self) -> List[str]:
        """The command that makes an incremental backup, based on the last one."""

    @staticmethod
    def no_incremental(server: int) -> Optional[str]:
        """Why it makes no incremental backup of a server of this major version."""

    def rest(self) -> None:
        """Stop its processes beside the server, so that nothing is archived."""

    def wake(self) -> None:
        """Start its processes beside the server."""

    def restore(self, clone: Cluster) -> List[str]:
        """The command that restores the files of the last backup, ready to recover to the end of the WAL."""

    def recovery(self, clone: Cluster) -> Optional[Mapping[str, str]]:
        """Settings for the recovery that the command leaves to the caller; None if it wrote them itself."""


def output(*argv: str) -> str:
    """The first line of a program's output."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=dict(os.environ))
    except OSError as exc:
        return f"({exc})"
    return (done.stdout or done.stderr).strip().split("\n")[0]
