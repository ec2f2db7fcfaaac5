# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures shared by several test modules; their implementation is in ``tests/support/``."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import Iterator, List, Optional

import pytest
from lifeboat.config.cloud_options import AzureOptions, GcsOptions
from lifeboat.config.load import S3Options
from lifeboat.store.azure.client import connect
from support.choice import ALL, choose
from support.clouds import Azurite, FakeGcs, Rclone
from support.faultproxy import FaultProxy
from support.installations import Installation, installations
from support.postgres import Sites, Templates, open_sites, require_ordinary_user
from support.stores import Running, SeaweedFS, s3_options_for
from support.warm import Warm

# A shell that starts the tests in the background lets them, and every program they start, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)



@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Skip what belongs to ``make test-all`` (support/choice.py)."""
    if ALL:
        return
    whole = not any("::" in argument for argument in config.args)
    items[:], left = choose(items, len(_INSTALLATIONS), whole)
    config.hook.pytest_deselected(items=left)


# --- object stores ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 store for the whole session: SeaweedFS, or the one with the state file LIFEBOAT_TEST_S3."""
    if given := os.environ.get("LIFEBOAT_TEST_S3"):
        yield Running(Path(given))
        return
    with SeaweedFS(Path(tmp_path_factory.mktemp("seaweedfs"))) as server:
        yield server


@pytest.fixture(scope="session")
def bucket(seaweedfs: SeaweedFS) -> str:
    """The only bucket of the session; tests use separate prefixes."""
    seaweedfs.create_bucket("lifeboat-tests")
    return "lifeboat-tests"


@pytest.fixture
def s3_options(seaweedfs: SeaweedFS, bucket: str) -> S3Options:
    """Options for an empty prefix of the test bucket."""
    return s3_options_for(seaweedfs, bucket, f"test-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A real Azure Blob store for the whole session, with one container."""
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        connect(server.options("tests", "")).client.create_container()
        yield server


@pytest.fixture
def azure_options(azurite: Azurite) -> AzureOptions:
    """Options for an empty prefix of the test container."""
    return azurite.options("tests", f"test-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    """A server of Google's JSON API for the whole session, with one bucket."""
    with FakeGcs(tmp_path_factory.mktemp("gcs")) as server:
        server.create_bucket("tests")
        yield server


@pytest.fixture
def gcs_options(fake_gcs: FakeGcs) -> GcsOptions:
    """Options for an empty prefix of the test bucket."""
    return fake_gcs.options("tests", f"test-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """A store that speaks S3 but lacks most features behind the promises, for the whole session, with one bucket."""
    with Rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def lesser_options(rclone: Rclone) -> S3Options:
    """Options for an empty prefix of the test bucket."""
    return rclone.options("tests", f"test-{secrets.token_hex(6)}")


@pytest.fixture
def fault_proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    """A proxy in front of the S3 store that passes everything until a fault is injected."""
    proxy = FaultProxy(seaweedfs.port)
    yield proxy
    proxy.close()


# --- PostgreSQL -------------------------------------------------------------------------------------------------


def _installation(found: Optional[Installation]) -> Installation:
    require_ordinary_user()
    if found is None:
        pytest.fail("No PostgreSQL of version 15 or newer was found: run make setup, or install postgresql.")
    return found


_INSTALLATIONS: List[Optional[Installation]] = [*installations()] or [None]


@pytest.fixture(scope="session", params=_INSTALLATIONS, ids=lambda i: f"pg{i.major if i else '-none'}")
def postgres(request: pytest.FixtureRequest) -> Installation:
    """Every PostgreSQL found here, one after the other."""
    return _installation(request.param)


@pytest.fixture(scope="module")
def a_postgres(request: pytest.FixtureRequest) -> Installation:
    """One PostgreSQL, for modules whose subject hardly depends on the version: they are distributed over versions."""
    return _installation(_INSTALLATIONS[len(request.path.name) % len(_INSTALLATIONS)])


@pytest.fixture(scope="session")
def newest_postgres() -> Installation:
    """The newest PostgreSQL found here, for tests whose subject does not depend on the version."""
    return _installation(_INSTALLATIONS[-1])


@pytest.fixture(scope="session")
def oldest_postgres() -> Installation:
    """The oldest PostgreSQL found here, or the newest if there is only one."""
    return _installation(_INSTALLATIONS[0])


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """Clusters to copy, so that initdb runs once for each kind."""
    with Warm() as warm:
        yield Templates(tmp_path_factory.mktemp("templates"), warm)


@pytest.fixture(scope="module")
def module_sites(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """Makes protected clusters that exist as long as the test module."""
    with open_sites(templates, tmp_path_factory.mktemp("sites")) as sites:
        yield sites


@pytest.fixture
def sites(templates: Templates, tmp_path: Path) -> Iterator[Sites]:
    """Makes protected clusters that exist as long as the test."""
    with open_sites(templates, tmp_path / "sites") as made:
        yield made
