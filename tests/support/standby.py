# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standbys for tests: fed only from a site's repository, and old primaries that become standbys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .ledger import Entry, Ledger, expected, rows
from .postgres import Cluster, Ran, Site, restore_arguments
from .processes import until


class Standby:
    """A standby of a site: its server, and the configuration that connects to it.

    ``own``: it is the configuration of a separate host, with which the server archives once promoted.
    """

    def __init__(self, site: Site, name: str = "standby", own: bool = False) -> None:
        self.site, self.cluster, self._own = site, site.clone(name), own
        self.config_file = site.root / f"{name}.yml"
        self.write()

    def write(self, **options: Any) -> None:
        """Write the configuration, with further keys."""
        own = {"data_dir": str(self.cluster.data_dir), "spool_dir": None, "wal": None} if self._own else {}
        connection = {"host": str(self.cluster.socket_dir), "port": self.cluster.port, "user": "postgres"}
        self.site.write(self.config_file, connection=connection, **own, **options)

    @property
    def archive_command(self) -> str:
        return f'"{self.site.quick}" --config "{self.config_file}" wal-push "%p"'

    def restore(self, *more: str, status: int = 0) -> Any:
        if self._own:
            more = ("--set", f"archive_command={self.archive_command}", *more)
        words = restore_arguments(self.cluster, "--action", "standby", *more)
        return self.lifeboat(*words, status=status)

    def lifeboat(self, *words: str, status: Optional[int] = 0) -> Ran:
        return self.site.lifeboat(*words, status=status, config_file=self.config_file)

    def promote(self) -> None:
        self.cluster.pg_ctl("promote", "-w")

    def status(self) -> Dict[str, Any]:
        return dict(self.site.lifeboat("standby", "status", config_file=self.config_file).data)

    def settled(self, lsn: Optional[str] = None) -> Dict[str, Any]:
        """The status once everything in the repository is replayed; with ``lsn``, exactly up to there."""

        def status() -> Dict[str, Any]:
            told = self.status()
            return told if told["lag_bytes"] == 0 and lsn in (None, told["replayed_lsn"]) else {}

        what = f"the standby at {lsn}" if lsn else "the standby to replay everything"
        return dict(until(status, what, lambda: f"{self.status()}\n{self.log()}"))

    def log(self) -> str:
        found = (self.cluster.data_dir / "lifeboat_restore.log", self.cluster.log)
        return "\n".join(p.read_text(errors="replace")[-4000:] for p in found if p.exists())

    def has(self, entries: List[Entry]) -> None:
        """Wait until it shows these rows."""
        until(lambda: rows(self.cluster) == expected(entries), f"{len(entries)} rows on the standby", self.log)

    @property
    def recovering(self) -> bool:
        return bool(self.cluster.value("SELECT pg_is_in_recovery()"))


def fed_by_segments(site: Site, rows_written: int = 2) -> Tuple[Ledger, Standby]:
    """After a backup: a standby with its own configuration, which has these rows from a complete segment."""
    site.backup()
    ledger = Ledger(site.cluster)
    ledger.write(rows_written)
    site.cluster.switch_wal()
    standby = Standby(site, own=True)
    standby.restore()
    standby.has(ledger.entries)
    return ledger, standby


def follow(site: Site, cluster: Cluster, config_file: Path) -> None:
    """Make a stopped server a standby fed by the repository."""
    done = site.lifeboat("standby", "follow", config_file=config_file).data
    assert done["changed"] and done["data_dir"] == str(cluster.data_dir)
    assert not site.lifeboat("standby", "follow", "--plan", config_file=config_file).data["changed"]
    cluster.start()


def fork_of(data_dir: Path, timeline: int) -> str:
    """Where this timeline began, by its history in ``pg_wal``."""
    text = (data_dir / "pg_wal" / f"{timeline:08X}.history").read_text()
    return re.findall(r"^\d+\t(\S+)\t", text, re.MULTILINE)[-1]
