# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporter's HTTP server, over real sockets: which clients it serves, and that none can block it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator, List, Optional

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.exporter import Fleet, Options, serve
from support.processes import free_port, until
from support.sinks import Certificate


class Served:
    """An exporter without clusters, in a thread."""

    def __init__(self, directory: Path, **options: Optional[str]) -> None:
        self.port = free_port()
        self.told: List[int] = []
        self.notes: List[str] = []
        self._ready = threading.Event()
        fleet, chosen = Fleet(str(directory)), Options(port=self.port, **options)  # type: ignore[arg-type]
        self._thread = threading.Thread(
            target=serve, args=(fleet, chosen, self.told, self.notes.append, self._ready.set)
        )

    def __enter__(self) -> Served:
        self._thread.start()
        until(self._ready.is_set, "the exporter to be ready")
        return self

    def __exit__(self, *_exc: object) -> None:
        self.told.append(15)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def ask(self, path: str, context: Optional[ssl.SSLContext] = None, method: str = "GET") -> str:
        url = f"{'https' if context else 'http'}://localhost:{self.port}{path}"
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            self.headers = answer.headers
            return str(answer.read().decode())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as exporter:
        yield exporter


def test_what_is_served(served: Served) -> None:
    assert "lifeboat_exporter_unusable_configurations 0.0" in served.ask("/metrics")
    assert served.ask("/", method="HEAD") == ""
    assert "No cluster is configured." in served.ask("/")
    assert served.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for path, method, status in (("/etc/passwd", "GET", "404"), ("/metrics", "POST", "405"), ("/", "DELETE", "405")):
        with pytest.raises(urllib.error.HTTPError, match=status):
            served.ask(path, method=method)


def test_a_client_that_sends_nothing_holds_up_nobody(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _client in range(20)]
    began = time.monotonic()
    assert served.ask("/healthz") == "ok\n"
    assert time.monotonic() - began < 9
    for client in silent:
        client.close()


def test_by_tls_only_whoever_shows_a_certificate_is_served(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    certificate = Certificate.make(tmp_path, "localhost")
    options = {"tls_cert": str(certificate.pem), "tls_key": str(certificate.key)}
    trusting = ssl.create_default_context(cafile=str(certificate.pem))
    with Served(tmp_path / "fleet", **options) as exporter:
        assert exporter.ask("/healthz", trusting) == "ok\n"
        silent = socket.create_connection(("127.0.0.1", exporter.port))
        assert exporter.ask("/healthz", trusting) == "ok\n"
        silent.close()
    with Served(tmp_path / "fleet", **options, tls_client_ca=str(certificate.pem)) as exporter:
        with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
            exporter.ask("/metrics", trusting)
        trusting.load_cert_chain(certificate.pem, certificate.key)
        assert "lifeboat_build_info" in exporter.ask("/metrics", trusting)


def test_an_address_that_is_taken_is_named(served: Served, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{served.port}"):
        serve(Fleet(str(tmp_path)), Options(port=served.port), [], print, lambda: None)
