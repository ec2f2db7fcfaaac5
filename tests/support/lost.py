# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lost cluster with two backups and the WAL after them in a directory: tests damage copies of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Optional

from lifeboat import restore
from lifeboat.config.load import load
from lifeboat.records.model import Target

from .ledger import Entry, Ledger
from .postgres import Cluster, Ran, Site, Sites, restore_arguments
from .processes import until

POINT = "a known point"


@dataclass
class Lost:
    """``before`` is a time before all backups; one entry is before ``first``, five up to ``second``, four after."""

    site: Site
    space: Path
    before: datetime
    first: Dict[str, Any]
    second: Dict[str, Any]
    entries: List[Entry]

    def copy(self, root: Path) -> Copy:
        """A copy of the repository, to be damaged."""
        shutil.copytree(self.site.repositories[0]["path"], root / "repository")
        config_file = self.site.write(
            root / "lifeboat.yml",
            repositories=[{"name": "copy", "type": "directory", "path": str(root / "repository")}],
        )
        return Copy(self, root / "repository" / "main", config_file)


@dataclass
class Copy:
    """A copy of the lost cluster's repository and a configuration for it."""

    lost: Lost
    root: Path
    config_file: Path

    def configure(self, config_file: Path, **changes: Any) -> Path:
        """Write a configuration for the copy."""
        repository = {"name": "copy", "type": "directory", "path": str(self.root.parent)}
        return self.lost.site.write(config_file, **{"repositories": [repository], **changes})

    def file(self, label: str, name: str) -> Path:
        """A file of a backup."""
        return self.root / "backups" / label / name

    @property
    def segments(self) -> List[Path]:
        """Every stored segment, oldest first."""
        return sorted(p for p in self.root.glob("wal/*/*/*/*.zst") if len(p.name) == len("0" * 24 + ".zst"))

    def behind(self, backup: Dict[str, Any]) -> List[Path]:
        """The segments that a restore of this backup reads beyond those that make it consistent."""
        size = backup["segment_size"]
        high, low = (int(part, 16) for part in backup["stop_lsn"].split("/"))
        last = ((high << 32) + low - 1) // size
        per_log = (1 << 32) // size
        return [p for p in self.segments if int(p.name[8:16], 16) * per_log + int(p.name[16:24], 16) > last]

    def plan(self, data_dir: Path, target: Optional[Target] = None, **request: Any) -> restore.RestorePlan:
        """Plan a restore in this process. Every one of these needs the tablespace elsewhere."""
        spaces = {str(self.lost.space): f"{data_dir} space"}
        asked = restore.RestoreRequest(
            target or Target(), data_dir=str(data_dir), **{"tablespaces": spaces, **request}
        )  # fmt: skip
        return restore.plan(load(str(self.config_file)), asked)

    def restore(
        self, clone: Cluster, *words: str, status: Optional[int] = 0, config_file: Optional[Path] = None
    ) -> Ran:
        """Run ``lifeboat restore`` into a clone."""
        return self.lost.site.lifeboat(
            *self.arguments(clone, *words), status=status, config_file=config_file or self.config_file
        )

    def arguments(self, clone: Cluster, *words: str) -> List[str]:
        return restore_arguments(clone, *words, tablespaces=[(str(self.lost.space), f"{clone.data_dir} space")])


def lose_a_cluster(sites: Sites, installation: Any) -> Lost:
    """Make, fill, back up twice and stop a cluster with a tablespace; segments of 1 MiB make many of them cheap."""
    site = sites(installation, name="lost", segment_mb=1, fresh=True, track_commit_timestamp="on")
    cluster = site.cluster
    space = site.root / "space"
    space.mkdir()
    cluster.execute(f"CREATE TABLESPACE spacious LOCATION '{space}'", "CREATE TABLE far (i int) TABLESPACE spacious")
    ledger = Ledger(cluster)
    before = cluster.value("SELECT clock_timestamp()")
    ledger.write(1)
    first = site.backup()
    for count in (2, 2, 1):
        ledger.write(count)
        cluster.switch_wal()
    until(lambda: datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ") > first["label"], "the next second")
    second = site.backup()
    for count in (1, 1, 1):
        ledger.write(count)
        cluster.switch_wal()
    cluster.execute(f"SELECT pg_create_restore_point('{POINT}')")
    ledger.write(1)
    cluster.switch_wal()
    cluster.stop()
    return Lost(site, space, before, first, second, ledger.entries)


def flip(path: Path, position: float = 0.5) -> None:
    """Change one byte in a file, at this fraction of its length, as a bad disk would: the file's times stay."""
    content, known = bytearray(path.read_bytes()), path.stat()
    content[int(len(content) * position)] ^= 0x20
    path.chmod(0o600)
    path.write_bytes(bytes(content))
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
