# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A protected cluster whose segments are pushed and fetched by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, List, Optional

from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from lifeboat.repository.layout import Layout

from .postgres import Ran, Site, entry

MIB = 2**20
CANARY = "hunter2-canary"


@dataclass
class Yard:
    """A protected cluster, three of its segments, and commands with any set of repositories."""

    site: Site
    stash: Path
    names: List[str]
    work: Path = Path()

    @property
    def system(self) -> str:
        return self.site.cluster.system_identifier

    def content(self, number: int = 0) -> bytes:
        return (self.stash / self.names[number]).read_bytes()

    def config(self, *stores: StoreOptions, optional: int = 99, **changes: Any) -> Path:
        """A configuration with these repositories; number ``optional`` is not required."""
        entries = [{**entry(i, s), "required": i != optional} for i, s in enumerate(stores)]
        return self.site.write(self.work / "lifeboat.yml", repositories=entries, **changes)

    def directory(self, name: str = "repository") -> DirectoryOptions:
        (self.work / name).mkdir(exist_ok=True)
        return DirectoryOptions(str(self.work / name))

    def file(self, name: str, content: bytes) -> Path:
        path = self.work / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def push(self, config: Path, path: Optional[Path] = None, status: int = 0, cwd: Optional[Path] = None) -> Ran:
        return self.site.lifeboat(
            "wal-push", str(path or self.stash / self.names[0]), status=status, config_file=config,
            cwd=cwd or self.site.cluster.data_dir,
        )  # fmt: skip

    def fetch(
        self, config: Path, name: str = "", status: int = 0, to: str = "fetched", cwd: Optional[Path] = None
    ) -> Ran:
        return self.site.lifeboat(
            "wal-fetch", name or self.names[0], str(self.work / to), status=status, config_file=config,
            cwd=cwd or self.site.cluster.data_dir,
        )  # fmt: skip

    @property
    def fetched(self) -> bytes:
        return (self.work / "fetched").read_bytes()

    def key(self, name: str = "") -> str:
        return Layout("main").wal(self.system, name or self.names[0])

    def stored(self, store: DirectoryOptions, name: str = "") -> Path:
        """The file of a segment in a directory."""
        return Path(store.path) / self.key(name)


def quick(options: S3Options, **changes: Any) -> S3Options:
    """Gives up quickly."""
    return replace(options, **{"connect_timeout": 1, "read_timeout": 1, "max_attempts": 1, **changes})
