# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a cluster have each repository once."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Optional

import pytest
from lifeboat.base.errors import StoreUnavailable
from lifeboat.config.load import DirectoryOptions, RepositoryConfig, parse
from lifeboat.plan import gather
from lifeboat.repository.repository import Repository
from support.records import SYSTEM


def test_a_repository_that_fails_halfway_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = []
    for name in ("near", "far"):
        path = tmp_path / name
        path.mkdir()
        entries.append({"name": name, "type": "directory", "path": str(path)})
        Repository.open(RepositoryConfig(name, DirectoryOptions(str(path))), "shop").adopt(SYSTEM)

    def leader(repository: Repository) -> Optional[str]:
        if repository.name == "far":
            raise StoreUnavailable("There is no route.", "Wait.")
        return None

    # The package has a function of the same name.
    monkeypatch.setattr(import_module("lifeboat.plan.gather"), "_leader", leader)
    found = gather(parse({"cluster": "shop", "repositories": entries}))["repositories"]
    assert [(r["name"], r["error"]) for r in found] == [("near", None), ("far", "There is no route.")]
