# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root does below directories of other users, with these users active: run by ``tools/test-root``, as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from lifeboat.audit import localfile
from support.principal import SECRET, Principal
from support.roothost import Host


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    assert os.geteuid() == 0, "these tests run as root: tools/test-root"


@pytest.fixture
def postgres() -> Principal:
    """The owner of the spool, PostgreSQL's logs and a repository in a directory; an unused user ID."""
    return Principal(12001)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of root's that everybody may enter."""
    top = Path(tempfile.mkdtemp(prefix="lifeboat-root-", dir="/var/tmp"))
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture
def theirs(place: Path, postgres: Principal) -> Path:
    """A directory that belongs to ``postgres``."""
    path = place / "theirs"
    path.mkdir(mode=0o755)
    os.chown(path, postgres.uid, postgres.uid)
    return path


@pytest.fixture
def shadow(place: Path) -> Path:
    """A file that only root may read, in a directory that everybody may enter."""
    path = place / "shadow"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def inner(place: Path) -> Path:
    """A directory that only root can write to."""
    path = place / "cron.d"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def host(place: Path, postgres: Principal, monkeypatch: pytest.MonkeyPatch) -> Host:
    (place / "log").mkdir()
    monkeypatch.setattr(localfile, "_LOG_DIR", str(place / "log"))
    return Host(place, postgres)
