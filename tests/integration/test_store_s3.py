# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 store when keys are wrong, endpoints are dead, answers are lost and connections break."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import botocore.auth
import pytest
from botocore.exceptions import ClientError
from lifeboat.base import clock
from lifeboat.base.errors import (
    BucketMissing,
    ConfigError,
    DependencyMissing,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from lifeboat.store.s3 import client as s3_client
from lifeboat.store.s3 import store as s3
from lifeboat.store.s3 import upload as s3_upload
from support import faultproxy
from support.choice import represented
from support.faultproxy import Fault, FaultProxy
from support.slowline import SlowLine
from support.stores import PART, ROOT, SeaweedFS, client_of

pytestmark = pytest.mark.integration
MIB = 1024 * 1024


@pytest.fixture
def store(s3_options: S3Options) -> Iterator[Store]:
    opened = open_store(s3_options)
    yield opened
    opened.close()


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
def raw(s3_options: S3Options) -> Any:
    """A plain client, to see what the store holds."""
    return client_of(s3_options, "s3")


def uploads(raw: Any, options: S3Options) -> List[str]:
    """The unfinished multipart uploads below the test's prefix."""
    found = raw.list_multipart_uploads(Bucket=options.bucket, Prefix=options.prefix).get("Uploads", [])
    return [upload["Key"] for upload in found]


def long_put(store: Store, key: str, data: bytes) -> None:
    with store.writer(key) as writer:
        writer.write(data)


OPERATIONS: Dict[str, Tuple[str, Callable[[Store], object]]] = {
    "put": ("PutObject", lambda s: s.put("k/x", b"1")),
    "writer": ("CreateMultipartUpload", lambda s: long_put(s, "k/x", bytes(PART + 1))),
    "get": ("GetObject", lambda s: s.get("k/x")),
    "read": ("GetObject", lambda s: list(s.read("k/x"))),
    "head": ("HeadObject|GetObject", lambda s: s.head("k/x")),
    "list": ("ListObjectsV2", lambda s: list(s.list("k/"))),
    "list_names": ("ListObjectsV2", lambda s: list(s.list_names("k/"))),
    "delete": ("DeleteObjects", lambda s: s.delete(["k/x"])),
}
each_operation = pytest.mark.parametrize("name", list(OPERATIONS))


def refused(options: S3Options, name: str, kind: type[StoreError]) -> StoreError:
    """Run the operation, expect that error, and check that it says what a reader needs and no secret."""
    operation, use = OPERATIONS[name]
    with pytest.raises(kind) as caught:
        use(open_store(options))
    error = caught.value
    assert type(error) is kind
    assert error.details["operation"] in operation.split("|")
    text = f"{error}\n{error!r}\n{error.as_dict()}\n{error.__cause__!r}"
    for part in (error.details["operation"], options.bucket, options.endpoint_url):
        assert str(part) in error.message
    if name in ("put", "writer", "get", "read", "head"):
        assert "k/x" in error.message and error.details["key"].endswith("k/x")
    assert error.hint
    assert options.secret_access_key not in text
    return error


# --- who and where ----------------------------------------------------------------------------------------------


@each_operation
def test_a_wrong_secret(s3_options: S3Options, name: str) -> None:
    refused(replace(s3_options, secret_access_key="not-the-secret-of-this-key"), name, StoreAccessDenied)


@each_operation
def test_a_missing_bucket(s3_options: S3Options, name: str) -> None:
    """Also for head: its 404 alone would look like a missing object, and end a recovery early."""
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
    ],
)
def test_options_that_cannot_work(s3_options: S3Options, changes: Dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(replace(s3_options, **changes))
    assert named in str(caught.value)


def test_a_bucket_name_that_cannot_be(s3_options: S3Options) -> None:
    with pytest.raises(ConfigError, match="not/a bucket"):
        open_store(replace(s3_options, bucket="not/a bucket")).get("x")


def test_without_boto3(s3_options: S3Options, tmp_path: Path) -> None:
    script = """
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
open_store(S3Options('b'))
"""
    (tmp_path / "boto3.py").write_text("raise ImportError('none here', name='boto3')")
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
    """A bare 404 is no proof that the object is missing."""
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
    """Answers every request with ``NoSuchKey``, over TLS with the given certificate."""

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


@each_operation
def test_503_for_a_while(proxied: Store, fault_proxy: FaultProxy, name: str) -> None:
    if name not in ("put", "writer"):
        proxied.put("k/x", b"1")
    fault_proxy.inject(Fault(faultproxy.STATUS))
    OPERATIONS[name][1](proxied)
    assert fault_proxy.unused == 0


def test_503_for_ever(proxied_options: S3Options, fault_proxy: FaultProxy) -> None:
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


# --- transfers that break ---------------------------------------------------------------------------------------


def test_resets_while_sending(
    proxied: Store, store: Store, fault_proxy: FaultProxy, raw: Any, s3_options: S3Options
) -> None:
    fault_proxy.inject(Fault(faultproxy.CUT_REQUEST, method="PUT", after=3))
    proxied.put("small", b"0123456789")
    data = os.urandom(3 * PART + 5)
    fault_proxy.inject(Fault(faultproxy.CUT_REQUEST, times=2, method="PUT", target="partNumber=2", after=MIB))
    fault_proxy.inject(Fault(faultproxy.STATUS, times=2, method="PUT", target="partNumber=4"))
    long_put(proxied, "long", data)
    assert fault_proxy.unused == 0
    assert store.get("small") == b"0123456789"
    assert store.get("long") == data
    assert uploads(raw, s3_options) == []


@pytest.mark.parametrize("reset", [True, False])
def test_answers_that_break_off(proxied: Store, store: Store, fault_proxy: FaultProxy, reset: bool) -> None:
    data = os.urandom(3 * PART + 5)
    long_put(store, "x", data)
    fault_proxy.inject(Fault(faultproxy.CUT_ANSWER, method="GET", after=MIB, reset=reset))
    fault_proxy.inject(Fault(faultproxy.CUT_ANSWER, method="GET", after=0, reset=reset))
    assert b"".join(proxied.read("x", hashlib.sha256(data).hexdigest(), len(data))) == data
    assert fault_proxy.unused == 0
    fault_proxy.inject(Fault(faultproxy.CUT_ANSWER, method="GET", after=PART, reset=reset))
    assert proxied.get("x") == data
    assert fault_proxy.unused == 0


def test_answers_that_always_break_off(proxied_options: S3Options, store: Store, fault_proxy: FaultProxy) -> None:
    long_put(store, "k/x", bytes(2 * PART))
    fault_proxy.inject(Fault(faultproxy.CUT_ANSWER, times=99, method="GET", after=1000))
    options = replace(proxied_options, max_attempts=2)
    refused(options, "get", StoreUnavailable)
    assert fault_proxy.count("GET") == 2
    refused(options, "read", StoreUnavailable)


def test_lost_answer_of_a_put(proxied: Store, store: Store, fault_proxy: FaultProxy) -> None:
    """The store has it, the answer is lost, the repeated request meets our own object: that is a success."""
    fault_proxy.inject(Fault(faultproxy.SWALLOW, method="PUT"))
    assert proxied.put("x", b"mine").size == 4
    assert fault_proxy.count("PUT") == 2
    assert store.get("x") == b"mine"


def test_lost_answer_of_a_refusal(proxied: Store, store: Store, fault_proxy: FaultProxy) -> None:
    """A rival's object is no success, not even when its content is the same."""
    store.put("x", b"same")
    fault_proxy.inject(Fault(faultproxy.SWALLOW, method="PUT"))
    with pytest.raises(ObjectExists):
        proxied.put("x", b"same")
    assert fault_proxy.unused == 0


def test_lost_answer_of_a_long_put(
    proxied: Store, store: Store, fault_proxy: FaultProxy, raw: Any, s3_options: S3Options
) -> None:
    data = os.urandom(PART + 5)
    fault_proxy.inject(Fault(faultproxy.SWALLOW, method="POST", target="uploadId="))
    long_put(proxied, "x", data)
    assert fault_proxy.count("POST", "uploadId=") == 2
    assert store.get("x") == data
    assert uploads(raw, s3_options) == []


def test_lost_answer_of_a_long_refusal(
    proxied: Store, store: Store, fault_proxy: FaultProxy, raw: Any, s3_options: S3Options
) -> None:
    store.put("x", b"theirs")
    fault_proxy.inject(Fault(faultproxy.SWALLOW, method="POST", target="uploadId="))
    with pytest.raises(ObjectExists):
        long_put(proxied, "x", bytes(PART + 5))
    assert fault_proxy.unused == 0
    assert store.get("x") == b"theirs"
    assert uploads(raw, s3_options) == []


def test_a_part_that_fails_for_good_leaves_no_upload(
    proxied: Store, store: Store, fault_proxy: FaultProxy, raw: Any, s3_options: S3Options
) -> None:
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1, method="PUT", target="partNumber=2", status=403))
    with pytest.raises(StoreAccessDenied, match="UploadPart"):
        long_put(proxied, "x", bytes(4 * PART))
    assert store.head("x") is None
    assert uploads(raw, s3_options) == []


def test_abort_leaves_no_upload(store: Store, raw: Any, s3_options: S3Options) -> None:
    writer = store.writer("x")
    writer.write(bytes(3 * PART))
    assert uploads(raw, s3_options) == [f"{s3_options.prefix}/x"]
    writer.abort()
    assert uploads(raw, s3_options) == []


def test_an_object_replaced_while_it_is_read(store: Store, raw: Any, s3_options: S3Options) -> None:
    long_put(store, "x", bytes(9 * PART))
    chunks = store.read("x")
    next(chunks)
    raw.put_object(Bucket=s3_options.bucket, Key=f"{s3_options.prefix}/x", Body=b"\1" * (9 * PART))
    with pytest.raises(ObjectCorrupt, match="replaced"):
        list(chunks)


def test_an_object_cut_behind_our_back(store: Store, raw: Any, s3_options: S3Options) -> None:
    written = store.put("x", b"0123456789")
    raw.put_object(Bucket=s3_options.bucket, Key=f"{s3_options.prefix}/x", Body=b"01234")
    with pytest.raises(ObjectCorrupt, match="5 bytes instead of 10"):
        list(store.read("x", written.sha256, written.size))
    with pytest.raises(ObjectCorrupt, match="SHA-256"):
        list(store.read("x", written.sha256))


# --- parts and memory -------------------------------------------------------------------------------------------


def test_parts_grow_so_that_an_object_of_any_size_fits(
    store: Store, raw: Any, s3_options: S3Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten parts of the first size hold 50 MiB; nobody says before how much comes."""
    monkeypatch.setattr(s3_upload, "MAX_PARTS", 10)
    monkeypatch.setattr(s3_upload, "REACH", 90 * MIB)
    data = os.urandom(MIB) * 83
    long_put(store, "x", data)
    assert b"".join(store.read("x", hashlib.sha256(data).hexdigest(), len(data))) == data
    sizes = [
        raw.head_object(Bucket=s3_options.bucket, Key=f"{s3_options.prefix}/x", PartNumber=number)["ContentLength"]
        for number in (1, 2, 9)
    ]
    assert sizes[:2] == [PART, PART] and sizes[2] > 2 * PART


def test_too_many_parts(store: Store, raw: Any, s3_options: S3Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_upload, "MAX_PARTS", 2)
    monkeypatch.setattr(s3_upload, "REACH", 2 * PART)
    with pytest.raises(ConfigError, match="part_size") as caught:
        long_put(store, "x", bytes(2 * PART + 1))
    assert "part_size" in caught.value.hint
    assert uploads(raw, s3_options) == []
    long_put(store, "x", bytes(2 * PART))


def test_parts_smaller_than_s3_allows(s3_options: S3Options) -> None:
    with pytest.raises(StoreError) as caught:
        long_put(open_store(replace(s3_options, part_size=MIB)), "x", bytes(3 * MIB))
    assert "part_size" in caught.value.hint


@pytest.mark.parametrize("parallel", [1, 3])
@represented(parallel=3)
def test_memory_stays_within_the_bound(s3_options: S3Options, parallel: int) -> None:
    store = open_store(replace(s3_options, parallel=parallel))
    piece = os.urandom(MIB)
    store.put("warm up", b"")
    slack = 2 * MIB

    def peak(transfer: Callable[[], None]) -> int:
        tracemalloc.start()
        try:
            transfer()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def upload() -> None:
        with store.writer("x") as writer:
            for _ in range(12 * PART // MIB):
                writer.write(piece)

    def download() -> None:
        for chunk in store.read("x", size=12 * PART):
            assert len(chunk) == PART
            time.sleep(0.05)  # a slow consumer, so that everything that may be fetched ahead is

    assert peak(upload) <= PART * (parallel + 2) + slack
    assert peak(download) <= PART * (parallel + 1) + slack


# --- how objects are named and stored ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "{}/", "/{}", "/{}/"])
def test_prefix_forms(s3_options: S3Options, store: Store, form: str) -> None:
    other = open_store(replace(s3_options, prefix=form.format(s3_options.prefix)))
    other.put("a/x", b"1")
    assert other.location == store.location
    assert [info.key for info in store.list()] == [info.key for info in other.list()] == ["a/x"]


def test_without_prefix(s3_options: S3Options, store: Store) -> None:
    whole = open_store(replace(s3_options, prefix=""))
    assert whole.location == f"s3://{s3_options.bucket}"
    store.put("x", b"1")
    assert whole.get(f"{s3_options.prefix}/x") == b"1"
    assert list(whole.list_names(f"{s3_options.prefix}/")) == ["x"]


def test_a_prefix_is_no_name_prefix(s3_options: S3Options, store: Store) -> None:
    open_store(replace(s3_options, prefix=s3_options.prefix + "-neighbour")).put("x", b"1")
    assert list(store.list()) == []


@pytest.mark.parametrize("size", [10, PART + 10])
def test_encryption_and_storage_class(s3_options: S3Options, raw: Any, size: int) -> None:
    options = replace(s3_options, sse="AES256", storage_class="STANDARD_IA")
    where = {"Bucket": options.bucket, "Key": f"{options.prefix}/x"}
    try:
        raw.put_object(**{**where, "Key": "trial"}, ServerSideEncryption="AES256", StorageClass="STANDARD_IA")
    except ClientError as exc:
        # A store that has neither keeps nothing in clear instead.
        with pytest.raises(StoreError, match=exc.response["Error"]["Code"]):
            long_put(open_store(options), "x", bytes(size))
        with pytest.raises(ClientError, match="404"):
            raw.head_object(**where)
        return
    long_put(open_store(options), "x", bytes(size))
    found = raw.head_object(**where)
    assert (found["ServerSideEncryption"], found["StorageClass"]) == ("AES256", "STANDARD_IA")


@pytest.mark.parametrize(("style", "host"), [("virtual", "backup.s3.example.com"), ("path", "s3.example.com")])
def test_addressing_style_and_region(style: str, host: str) -> None:
    options = S3Options(
        "backup",
        endpoint_url="https://s3.example.com",
        addressing_style=style,
        access_key_id="a",
        secret_access_key="b",
    )
    client = open_store(options)._connection.client  # type: ignore[attr-defined]
    assert client.meta.region_name == "us-east-1"
    url = client.generate_presigned_url("get_object", Params={"Bucket": "backup", "Key": "x"})
    assert url.startswith(f"https://{host}/")


def test_the_store_checks_what_it_receives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong checksum must be refused, or the checksum is not really sent."""
    wrong = {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": "AAAAAA=="}
    monkeypatch.setattr(s3_upload, "checksum_params", lambda data: wrong)
    with pytest.raises(StoreError, match="BadDigest"):
        store.put("x", b"1")
    with pytest.raises(StoreError, match="BadDigest"):
        long_put(store, "x", b"1" * (PART + 1))
    assert store.head("x") is None


def test_requests_that_change_something_carry_what_stores_ask_for(proxied: Store, fault_proxy: FaultProxy) -> None:
    proxied.put("x", b"1")
    assert fault_proxy.last_headers["if-none-match"] == "*"
    assert fault_proxy.last_headers["x-amz-checksum-crc32"] == "g9zvtw=="
    assert fault_proxy.last_headers["content-length"] == "1"
    proxied.delete(["x"])
    assert fault_proxy.last_headers["content-md5"]


def test_delete_tells_what_it_could_not(s3_options: S3Options, store: Store) -> None:
    """One refused key does not hide behind the others, nor hinder them."""
    store.put("free", b"")
    store.put("held", b"")
    free = f"arn:aws:s3:::{s3_options.bucket}/{s3_options.prefix}/free"
    allowed = {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": free}
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    iam = client_of(s3_options, "iam")
    user = s3_options.prefix
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="only-free", PolicyDocument=json.dumps(policy))
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    limited = replace(s3_options, access_key_id=keys["AccessKeyId"], secret_access_key=keys["SecretAccessKey"])
    failures = open_store(limited).delete(["held", "free"])
    assert [failure.key for failure in failures] == ["held"]
    assert "AccessDenied" in failures[0].reason
    assert [info.key for info in store.list()] == ["held"]


def test_an_open_store_goes_on_with_new_credentials(
    s3_options: S3Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a profile, a shared credentials file or a process: read anew after a refusal, in whichever thread."""
    keys = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def write(access_key_id: str, secret_access_key: str) -> None:
        keys.write_text(f"[rotating]\naws_access_key_id={access_key_id}\naws_secret_access_key={secret_access_key}\n")

    write("retired", "x" * 40)
    opened = open_store(replace(s3_options, access_key_id=None, secret_access_key=None, profile="rotating"))
    with pytest.raises(StoreAccessDenied):
        opened.put("x", b"1")
    keys.unlink()
    with pytest.raises(StoreAccessDenied):
        opened.put("x", b"1")
    write(str(s3_options.access_key_id), str(s3_options.secret_access_key))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: opened.put(f"x{n}", b"1"), range(8)))
    with opened.writer("long") as writer:
        writer.write(bytes(PART + 1))
    assert opened.get("long") == bytes(PART + 1)
    with pytest.raises(ObjectExists):
        opened.put("x1", b"2")
    opened.close()


def test_a_clock_that_is_off_is_named_whatever_was_asked(
    s3_options: S3Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a HEAD has no words: what it tells of the time must do."""
    late = open_store(s3_options)
    real = botocore.auth.get_current_datetime if hasattr(botocore.auth, "get_current_datetime") else None
    if real is None:
        pytest.skip("this botocore takes the time elsewhere")
    off = timedelta(hours=-2)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + off)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + off)
    for use in (lambda: late.head("x"), lambda: late.put("x", b"1"), lambda: list(late.list())):
        with pytest.raises(StoreAccessDenied) as caught:
            use()
        assert "clock of this host" in caught.value.hint, caught.value
    late.close()


def test_a_store_that_says_nothing_is_told_within_its_time(
    s3_options: S3Options, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many attempts there are; what is being uploaded has all of them."""
    monkeypatch.setattr(s3_client, "SILENCE", 0.6)
    silent = open_store(
        replace(s3_options, endpoint_url=fault_proxy.endpoint_url, connect_timeout=2, read_timeout=0.3, max_attempts=4)
    )
    fault_proxy.inject(Fault(faultproxy.HANG, times=100))
    for use in (lambda: list(silent.list()), lambda: silent.head("x")):
        before = len(fault_proxy.requests)
        with pytest.raises(StoreUnavailable):
            use()
        assert len(fault_proxy.requests) - before == 2
    before = len(fault_proxy.requests)
    with pytest.raises(StoreUnavailable):
        silent.put("x", b"1")
    assert len(fault_proxy.requests) - before == 4
    silent.close()


def test_a_head_without_a_time_is_named() -> None:
    with pytest.raises(StoreError, match="Last-Modified"):
        s3._info("x", {"ContentLength": 1})
