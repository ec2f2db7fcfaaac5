# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that several modules of tests look at and none of them changes."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List

import pytest
from support.controller import install
from support.lost import Copy, Lost, lose_a_cluster
from support.postgres import Installation, Site, Templates, open_sites
from support.walstream import StreamProcess, Streams


@pytest.fixture(scope="session")
def lost(
    newest_postgres: Installation, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    """A lost cluster with two backups; its repository stays as it is."""
    with open_sites(templates, tmp_path_factory.mktemp("lost")) as sites:
        yield lose_a_cluster(sites, newest_postgres)


@pytest.fixture
def copy(lost: Lost, tmp_path: Path) -> Copy:
    """A copy of the lost cluster's repository, to be damaged."""
    return lost.copy(tmp_path)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose only collection is the one that was built from this checkout."""
    home = tmp_path_factory.mktemp("controller")
    install(home)
    return home


@pytest.fixture
def streams() -> Iterator[Streams]:
    """Starts streams, and ends those that still live."""
    made: List[StreamProcess] = []

    def start(site: Site) -> StreamProcess:
        made.append(StreamProcess(site))
        return made[-1]

    yield start
    for stream in made:
        stream.close()
