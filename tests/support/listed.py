# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of the host command, and files of its repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from lifeboat.config.load import DirectoryOptions

from .installations import Installation
from .postgres import Site, Sites, entry


def two_backups(sites: Sites, installation: Installation) -> Site:
    """Two backups with a WAL segment between them and three after the second; the server is running."""
    made = sites(installation, name="cli")
    made.backup()
    made.cluster.switch_wal()
    made.backup()
    for _ in range(3):
        made.cluster.switch_wal()
    return made


def copy_of(site: Site, place: Path) -> Tuple[Path, Path]:
    """A copy of the repository to damage: its directory, and a configuration for it."""
    root = place / "copy"
    shutil.copytree(site.repository_dir.parent, root)
    return root / "main", site.write(place / "copy.yml", repositories=[entry(0, DirectoryOptions(str(root)))])


def labels(site: Site) -> List[str]:
    return [b["label"] for b in site.lifeboat("list").data["backups"]]


def words(site: Site, *arguments: str, status: int = 0, config_file: Optional[Path] = None) -> Tuple[str, str]:
    """What a person sees on standard output and standard error, neither of them a terminal."""
    done = subprocess.run(
        [site.command, "--config", config_file or site.config_file, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done
    return done.stdout, done.stderr


def segments(repository: Path) -> List[Path]:
    """The stored segments, oldest first."""
    return sorted(p for p in (repository / "wal").rglob("*.zst") if len(p.stem) == 24)


def tree(root: Path) -> Dict[str, Tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*") if p.is_file()}


# --- check ------------------------------------------------------------------------------------------------------


def statuses(data: Dict[str, Any]) -> Dict[str, str]:
    return {c["name"]: c["status"] for c in data["checks"]}
