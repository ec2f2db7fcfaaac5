# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 store with wrong credentials and options, and with dead, hung and broken endpoints."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import (
    BucketMissing,
    ConfigError,
    DependencyMissing,
    ObjectFrozen,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.s3_store import OPERATIONS, each_operation, refused
from support.slowline import SlowLine
from support.stores import ROOT, SeaweedFS

pytestmark = pytest.mark.integration


# --- who and where ----------------------------------------------------------------------------------------------


@each_operation
def test_a_wrong_secret(s3_options: S3Options, name: str) -> None:
    refused(replace(s3_options, secret_access_key="not-the-secret-of-this-key"), name, StoreAccessDenied)


@each_operation
def test_a_missing_bucket(s3_options: S3Options, name: str) -> None:
    """For head too: its 404 alone would look like a missing object, and end a recovery early."""
    assert "no-such-bucket" in refused(replace(s3_options, bucket="no-such-bucket"), name, BucketMissing).message


def test_hints_tell_the_two_wrong_credentials_apart(s3_options: S3Options) -> None:
    wrong = refused(replace(s3_options, secret_access_key="wrong-secret"), "get", StoreAccessDenied)
    assert "secret_access_key" in wrong.hint
    unknown = refused(replace(s3_options, access_key_id="UNKNOWN"), "get", StoreAccessDenied)
    assert "access_key_id" in unknown.hint


def test_no_credentials_at_all(s3_options: S3Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = open_store(replace(s3_options, access_key_id=None, secret_access_key=None))
    with pytest.raises(StoreAccessDenied, match="credentials") as caught:
        store.get("x")
    assert "access_key_id" in caught.value.hint


def test_credentials_of_the_environment_and_of_a_profile(
    s3_options: S3Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key_id, secret = str(s3_options.access_key_id), str(s3_options.secret_access_key)
    bare = replace(s3_options, access_key_id=None, secret_access_key=None)
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[backup]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    open_store(replace(bare, profile="backup")).put("by profile", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    assert open_store(bare).get("by profile") == b"1"
    with pytest.raises(ConfigError, match="nobody"):
        open_store(replace(bare, profile="nobody"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"access_key_id": None}, "access_key_id"),
        ({"endpoint_url": "not a url"}, "not a url"),
        ({"ca_bundle": "/none/ca.pem"}, "/none/ca.pem"),
        ({"sse_kms_key_id": "k"}, "sse_kms_key_id"),
        ({"part_size": 0}, "part_size"),
        ({"storage_class": "DEEP_ARCHIVE"}, "GLACIER_IR"),
    ],
)
def test_options_that_cannot_work(s3_options: S3Options, changes: Dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(replace(s3_options, **changes))
    assert named in f"{caught.value} {caught.value.hint}"


def test_a_bucket_name_that_cannot_be(s3_options: S3Options) -> None:
    with pytest.raises(ConfigError, match="not/a bucket"):
        open_store(replace(s3_options, bucket="not/a bucket")).get("x")


def test_without_botocore(s3_options: S3Options, tmp_path: Path) -> None:
    script = """
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
open_store(S3Options('b'))
"""
    (tmp_path / "botocore.py").write_text("raise ImportError('none here', name='botocore')")
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}/.build/lib"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert DependencyMissing.__name__ in found.stderr and "python3-boto3" in found.stderr


# --- dead, hung and broken endpoints ----------------------------------------------------------------------------


@each_operation
def test_a_dead_endpoint(s3_options: S3Options, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    refused(replace(s3_options, endpoint_url=url, max_attempts=1), name, StoreUnavailable)


@each_operation
def test_a_hung_endpoint(s3_options: S3Options, fault_proxy: FaultProxy, name: str) -> None:
    fault_proxy.inject(Fault(faultproxy.HANG, times=99))
    options = replace(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=0.3, max_attempts=1)
    refused(options, name, StoreUnavailable)
    assert fault_proxy.requests


def test_an_endpoint_that_speaks_no_s3(s3_options: S3Options, fault_proxy: FaultProxy) -> None:
    """A bare 404 does not prove that the object is missing."""
    options = replace(s3_options, endpoint_url=fault_proxy.endpoint_url)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=99, status=404))
    store = open_store(options)
    for use in (store.head, store.get):
        with pytest.raises(StoreError) as caught:
            use("x")
        assert type(caught.value) is StoreError
        assert "endpoint_url" in caught.value.hint


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_that_is_not_trusted(s3_options: S3Options, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*request, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with TlsServer(key, certificate) as server:
        options = replace(s3_options, endpoint_url=server.url)
        error = refused(options, "get", StoreUnavailable)
        assert "ca_bundle" in error.hint
        assert server.connections == 1
        trusted = open_store(replace(options, ca_bundle=str(certificate)))
        with pytest.raises(ObjectMissing):
            trusted.get("x")
        with pytest.raises(ObjectMissing):
            open_store(replace(options, validate_certs=False)).get("x")


class TlsServer:
    """Returns ``NoSuchKey`` for every request, over TLS with the given certificate."""

    def __init__(self, key: Path, certificate: Path) -> None:
        import http.server
        import ssl
        import threading

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
                self.send_response(404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        outer = self

        class Server(http.server.ThreadingHTTPServer):
            def get_request(self) -> Any:
                outer.connections += 1
                return super().get_request()

        self.connections = 0
        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> TlsServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_an_object_in_an_archive_class_is_no_refusal_and_no_damage(proxied: Store, fault_proxy: FaultProxy) -> None:
    proxied.put("old/backup", b"1")
    # As AWS answers GetObject of such an object ("Error responses").
    fault_proxy.inject(Fault(faultproxy.STATUS, times=2, method="GET", status=403, code="InvalidObjectState"))
    for read in (proxied.get, lambda key: b"".join(proxied.read(key))):
        with pytest.raises(ObjectFrozen, match="is in an archive class") as caught:
            read("old/backup")
        assert "lifeboat thaw --plan" in caught.value.hint and caught.value.details["key"].endswith("old/backup")
    assert proxied.get("old/backup") == b"1"


@each_operation
def test_503_for_a_while(proxied: Store, fault_proxy: FaultProxy, name: str) -> None:
    if name not in ("put", "writer"):
        proxied.put("k/x", b"1")
    fault_proxy.inject(Fault(faultproxy.STATUS))
    OPERATIONS[name][1](proxied)
    assert fault_proxy.unused == 0


def test_503_forever(proxied_options: S3Options, fault_proxy: FaultProxy) -> None:
    fault_proxy.inject(Fault(faultproxy.STATUS, times=99))
    error = refused(replace(proxied_options, max_attempts=2), "put", StoreUnavailable)
    assert error.details["http_status"] == 503
    assert fault_proxy.count("PUT") == 2


def test_an_upload_over_a_slow_line(s3_options: S3Options, seaweedfs: SeaweedFS, store: Store) -> None:
    line = SlowLine(seaweedfs.port, 20_000)
    slow = open_store(replace(s3_options, endpoint_url=line.endpoint_url, connect_timeout=2.0, max_attempts=1))
    content = os.urandom(300_000)
    slow.put("slow", content)
    slow.close()
    line.close()
    assert store.get("slow") == content


@pytest.mark.parametrize("status", [403, 404])
def test_no_retry_of_a_refusal(proxied: Store, fault_proxy: FaultProxy, status: int) -> None:
    fault_proxy.inject(Fault(faultproxy.STATUS, times=99, status=status))
    with pytest.raises(StoreError):
        proxied.get("x")
    assert fault_proxy.count("GET") == 1
