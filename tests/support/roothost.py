# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which root runs the host command in directories of ``postgres``."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any, Dict, Tuple

import yaml
from lifeboat.cli import main as cli
from lifeboat.codec import zstd
from lifeboat.config.load import parse
from lifeboat.repository.repository import Repositories

from .principal import Principal


class Host:
    """A host whose spool and repository belong to ``postgres``."""

    def __init__(self, place: Path, postgres: Principal) -> None:
        self.place, self.postgres = place, postgres
        self.spool, self.store = self._theirs("spool"), self._theirs("store")
        self.web = place / "web"
        self.web.mkdir()
        (self.web / "site.conf").write_text("server { listen 80; }\n")
        self.data: Dict[str, Any] = {
            "cluster": "main",
            "spool_dir": str(self.spool),
            "repositories": [{"name": "disk", "type": "directory", "path": str(self.store)}],
            "file_sets": [{"name": "web", "paths": [str(self.web)], "allow_unsealed_secrets": True}],
            "logs": {"state_dir": str(place / "logs")},
            "audit": {"syslog": ""},
        }

    def _theirs(self, name: str) -> Path:
        path = self.place / name
        path.mkdir(mode=0o755)
        os.chown(path, self.postgres.uid, self.postgres.uid)
        return path

    def begin(self) -> None:
        """Do what the first archived segment does: before it, the repository accepts no events and has no contents."""
        Repositories.open(parse(self.data)).items[0].adopt("7000000000000000001", accept_new=True)

    def configured(self) -> str:
        config = self.place / "main.yml"
        if os.geteuid() == 0:
            config.write_text(yaml.safe_dump(self.data))
        return str(config)

    def lifeboat(self, *words: str) -> Tuple[int, Any, str]:
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            status = cli.main(["--config", self.configured(), "--json", *words])
        return status, json.loads(out.getvalue() or "null"), said.getvalue()

    def ship(self, pattern: str) -> str:
        """Ship these logs once; the resulting contents of the repository."""
        self.data["logs"]["sources"] = [{"stream": "app", "files": [pattern]}]
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            assert cli.main(["--config", self.configured(), "log-ship", "--once"]) == 0, said.getvalue()
        found = [path for path in self.store.rglob("*.jsonl.zst") if path.is_file()]
        return (
            "".join(zstd.decompress(path.read_bytes(), path.name, 1 << 20).decode() for path in found) + said.getvalue()
        )


def touched(directory: Path) -> Tuple[int, int]:
    """Changes with every entry added or removed."""
    found = directory.stat()
    return found.st_mtime_ns, found.st_ctime_ns


def owners(top: Path) -> Dict[str, int]:
    return {str(path.relative_to(top)): path.lstat().st_uid for path in top.rglob("*")}
