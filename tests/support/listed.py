# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of the host command, and files of its repository."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .postgres import Site


def labels(site: Site) -> List[str]:
    return [b["label"] for b in site.lifeboat("list").data["backups"]]


def words(site: Site, *arguments: str, status: int = 0, config_file: Optional[Path] = None) -> Tuple[str, str]:
    """What a person reads on standard output and on standard error, where neither is a terminal."""
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
