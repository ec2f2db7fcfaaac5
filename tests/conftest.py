# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that several test modules share; what they are made of lies in ``tests/support/``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Iterator

import pytest
from lifeboat.config import S3Options
from support.faultproxy import FaultProxy
from support.stores import SeaweedFS, s3_options_for

# --- object stores ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 store for the whole session."""
    with SeaweedFS(Path(tmp_path_factory.mktemp("seaweedfs"))) as server:
        yield server


@pytest.fixture(scope="session")
def bucket(seaweedfs: SeaweedFS) -> str:
    """The one bucket of the session; tests keep apart by prefix."""
    seaweedfs.create_bucket("lifeboat-tests")
    return "lifeboat-tests"


@pytest.fixture
def s3_options(seaweedfs: SeaweedFS, bucket: str) -> S3Options:
    """Options for an empty prefix of the test bucket."""
    return s3_options_for(seaweedfs, bucket, f"test-{secrets.token_hex(6)}")


@pytest.fixture
def fault_proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    """A proxy in front of the S3 store that passes everything until a fault is injected."""
    proxy = FaultProxy(seaweedfs.port)
    yield proxy
    proxy.close()
