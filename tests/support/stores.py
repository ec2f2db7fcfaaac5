# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the tests that need an object store."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import boto3
from lifeboat.config.load import STORE_TYPES, Config, S3Options, StoreOptions
from lifeboat.repository.repository import Repositories

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from seaweedfs import SeaweedFS  # noqa: E402


class Running(SeaweedFS):
    """A store started and stopped by another process, from its state file (tools/ceph.py)."""

    def __init__(self, state_file: Path) -> None:
        super().__init__(state_file.parent)
        state = json.loads(state_file.read_text(encoding="utf-8"))
        self.port = state["port"]
        self.access_key_id, self.secret_access_key = state["access_key_id"], state["secret_access_key"]

    def start(self, timeout: float = 60.0) -> Running:
        return self


#: The smallest part that S3 stores accept.
PART = 5 * 1024 * 1024
NOBODY = 65534


def kind_of(options: StoreOptions) -> str:
    """The ``type`` of a repository with these options."""
    return next(kind for kind, cls in STORE_TYPES.items() if type(options) is cls)


def keys(config: Config) -> Dict[str, List[str]]:
    """All keys of the cluster, by repository, except the audit trail and leases, which grow with every operation."""
    repositories = Repositories.open(config)
    try:
        return {
            r.name: [
                o.key for o in r.store.list(f"{config.cluster}/") if "/audit/" not in o.key and "/writes/" not in o.key
            ]
            for r in repositories.items
        }
    finally:
        repositories.close()


def s3_options_for(server: SeaweedFS, bucket: str, prefix: str) -> S3Options:
    """Options for an embedded store, with small parts and short timeouts."""
    return S3Options(
        bucket=bucket,
        prefix=prefix,
        endpoint_url=server.endpoint_url,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        connect_timeout=2,
        read_timeout=10,
        max_attempts=4,
        part_size=PART,
        parallel=3,
    )


def client_of(options: S3Options, service: str) -> Any:
    """A plain client with these options' keys, to inspect or change the contents of the store."""
    return boto3.client(
        service,
        endpoint_url=options.endpoint_url,
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key,
        region_name="us-east-1",
    )


_CHILD = """
import json, sys
from lifeboat.config.load import STORE_TYPES
from lifeboat.store import open_store
given = json.loads(sys.stdin.readline())
store = open_store(STORE_TYPES[given["type"]](**given["options"]))
"""


def python_with_store(options: StoreOptions, script: str, prefix: List[str] | None = None) -> subprocess.Popen[str]:
    """A Python process that runs ``script`` with ``store`` opened. Options travel by stdin: they hold secrets."""
    process = subprocess.Popen(
        [*(prefix or []), sys.executable, "-c", _CHILD + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".build" / "lib")},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"type": kind_of(options), "options": dataclasses.asdict(options)}) + "\n")
    process.stdin.flush()
    return process


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Run as nobody if the tests run as root, because file modes do not stop root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
