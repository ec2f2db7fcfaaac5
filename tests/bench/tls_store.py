# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of a measurement: SeaweedFS behind TLS, and its own counters."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import List

from lifeboat.config.load import S3Options
from support.stores import SeaweedFS

BUCKET = "bench"
REGION = "us-east-1"
_REQUESTS = re.compile(r'^SeaweedFS_s3_request_total\{(.*?)\} (\S+)$', re.MULTILINE)
_TRAFFIC = re.compile(r"^SeaweedFS_s3_bucket_traffic_(received|sent)_bytes_total\{.*?\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Traffic:
    """The store's counters: S3 requests, and bytes of objects in and out."""

    requests: int
    received: int
    sent: int

    def since(self, before: Traffic) -> Traffic:
        return Traffic(self.requests - before.requests, self.received - before.received, self.sent - before.sent)

    def plus(self, other: Traffic) -> Traffic:
        return Traffic(self.requests + other.requests, self.received + other.received, self.sent + other.sent)


class TlsStore(SeaweedFS):
    """HTTPS on its own port with a certificate for ``localhost``; plain HTTP is only for its own setup."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.certificate = self.data_dir / "certificate.pem"
        key = self.data_dir / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.https_port, self._metrics_port = _free_port(), _free_port()
        self.extra_arguments: List[str] = [
            f"-s3.port.https={self.https_port}", f"-s3.cert.file={self.certificate}", f"-s3.key.file={key}",
            f"-metricsPort={self._metrics_port}",
        ]  # fmt: skip

    @property
    def https_url(self) -> str:
        return f"https://localhost:{self.https_port}"

    def options(self, prefix: str) -> S3Options:
        """The store's options for Lifeboat's configuration."""
        return S3Options(
            bucket=BUCKET, prefix=prefix, endpoint_url=self.https_url, region=REGION, addressing_style="path",
            access_key_id=self.access_key_id, secret_access_key=self.secret_access_key, ca_bundle=str(self.certificate),
        )  # fmt: skip

    def traffic(self) -> Traffic:
        """The current counters (Prometheus)."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        moved = {"received": 0.0, "sent": 0.0}
        for direction, value in _TRAFFIC.findall(text):
            moved[direction] += float(value)
        requests = sum(float(value) for _labels, value in _REQUESTS.findall(text))
        return Traffic(int(requests), int(moved["received"]), int(moved["sent"]))

    def cpu_seconds(self) -> float:
        """CPU seconds of the store's process."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
