# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object for several repositories, one of which cannot be opened: nothing remains in the others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Iterator, Tuple

import pytest
from lifeboat.backup.stream import RepositorySink
from lifeboat.base.errors import StoreError
from lifeboat.codec.age import Seal
from lifeboat.config import load as config
from lifeboat.repository.repository import Repositories, Repository
from lifeboat.repository.stored_stream import store_stream
from support.file_sets import mark

pytestmark = pytest.mark.integration


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Tuple[config.Config, Tuple[Repository, ...]]]:
    """A good repository, and one in which no writer can be opened."""
    for name in ("near", "far"):
        mark(tmp_path / name)
    (tmp_path / "far" / ".tmp").write_text("a file\n")
    stores = [{"name": name, "type": "directory", "path": str(tmp_path / name)} for name in ("near", "far")]
    settings = config.parse({"cluster": "main", "repositories": stores})
    repositories = Repositories.open(settings)
    yield settings, repositories.required
    repositories.close()


def left(root: Path) -> list[Path]:
    return [p for p in (root / "near").rglob("*") if p.is_file() and p.suffix != ".json"]


def test_of_a_stream(pair: Tuple[config.Config, Tuple[Repository, ...]], tmp_path: Path) -> None:
    settings, repositories = pair
    before = threading.active_count()
    with pytest.raises(StoreError):
        store_stream(repositories, Seal(settings.seal), lambda r, n: r.layout.dump("shop", "x", n), "data", [b"x"])
    assert left(tmp_path) == [] and threading.active_count() == before


def test_of_a_base_backup(pair: Tuple[config.Config, Tuple[Repository, ...]], tmp_path: Path) -> None:
    settings, repositories = pair
    sink = RepositorySink("x", repositories, settings.backup, False, 1, Seal(settings.seal))
    with pytest.raises(StoreError), sink:
        sink.begin(None)
    assert left(tmp_path) == []
