# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key pairs, and repositories whose records are signed with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lifeboat.config import load as config
from lifeboat.repository.repository import Repository
from support.signing import KeyPair, Opened, key_pair


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return key_pair(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """The repository opened with such a section ``signing``."""
    (tmp_path / "repository").mkdir()

    def open_it(cluster: str = "main", **signing: Any) -> Repository:
        entry = {"type": "directory", "path": str(tmp_path / "repository")}
        parsed = config.parse({"cluster": cluster, "repositories": [entry], "signing": signing})
        return Repository.open(parsed.repositories[0], cluster)

    return open_it
