# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures shared by several modules: unchanged clusters, agents, streams, and stores behind a proxy."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List

import pytest
import zstandard
from lifeboat.config.load import S3Options
from lifeboat.repository.layout import Layout
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from lifeboat.store.s3.client import connect
from support.controller import install
from support.faultproxy import FaultProxy
from support.installations import Installation
from support.lost import Copy, Lost, lose_a_cluster
from support.postgres import Site, Sites, Templates, open_sites
from support.stores import client_of
from support.walagent import AgentProcess, Agents
from support.walstream import StreamProcess, Streams
from support.yard import Yard


@pytest.fixture(scope="session")
def lost(
    newest_postgres: Installation, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    """A lost cluster with two backups; its repository is not changed."""
    with open_sites(templates, tmp_path_factory.mktemp("lost")) as sites:
        yield lose_a_cluster(sites, newest_postgres)


@pytest.fixture
def copy(lost: Lost, tmp_path: Path) -> Copy:
    """A copy of the lost cluster's repository, to be damaged."""
    return lost.copy(tmp_path)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose only collection is built from this checkout."""
    home = tmp_path_factory.mktemp("controller")
    install(home)
    return home


@pytest.fixture
def streams() -> Iterator[Streams]:
    """Starts streams, and stops those still running."""
    made: List[StreamProcess] = []

    def start(site: Site) -> StreamProcess:
        made.append(StreamProcess(site))
        return made[-1]

    yield start
    for stream in made:
        stream.close()


@pytest.fixture(scope="module")
def whole_yard(module_sites: Sites, newest_postgres: Installation, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    site = module_sites(newest_postgres, segment_mb=1, name="wal")
    stash = tmp_path_factory.mktemp("stash")
    names = [site.cluster.switch_wal() for _ in range(3)]
    system = site.cluster.system_identifier
    for name in names:
        stored = Path(site.repositories[0]["path"]) / Layout("main").wal(system, name)
        (stash / name).write_bytes(zstandard.ZstdDecompressor().decompress(stored.read_bytes()))
    site.cluster.stop()
    return Yard(site, stash, names)


@pytest.fixture
def yard(whole_yard: Yard, tmp_path: Path) -> Yard:
    return replace(whole_yard, work=tmp_path)


@pytest.fixture
def agents() -> Iterator[Agents]:
    """Starts agents, and stops those still running."""
    made: List[AgentProcess] = []

    def start(site: Site) -> AgentProcess:
        made.append(AgentProcess(site))
        return made[-1]

    yield start
    for agent in made:
        agent.close()


@pytest.fixture
def proxied_options(s3_options: S3Options, fault_proxy: FaultProxy) -> S3Options:
    return replace(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=2)


@pytest.fixture
def proxied(proxied_options: S3Options) -> Iterator[Store]:
    """The store behind the fault proxy."""
    opened = open_store(proxied_options)
    yield opened
    opened.close()


@pytest.fixture
def versioned(s3_options: S3Options) -> S3Options:
    """A bucket with versioning."""
    options = replace(s3_options, bucket=f"past-{secrets.token_hex(4)}")
    admin = connect(options)
    admin.call("create_bucket")
    admin.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    admin.close()
    return options


@pytest.fixture
def store(s3_options: S3Options) -> Iterator[Store]:
    opened = open_store(s3_options)
    yield opened
    opened.close()


@pytest.fixture
def raw(s3_options: S3Options) -> Any:
    """A plain client, to inspect the contents of the store."""
    return client_of(s3_options, "s3")
