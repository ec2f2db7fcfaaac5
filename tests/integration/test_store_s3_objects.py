# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 store: names, storage and checks of objects; changed credentials and wrong clocks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import pytest
from botocore.exceptions import ClientError
from lifeboat.base import clock
from lifeboat.base.errors import (
    ObjectExists,
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
from support.faultproxy import Fault, FaultProxy
from support.s3_store import long_put
from support.stores import PART, client_of

pytestmark = pytest.mark.integration


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
    """A wrong checksum must be refused; otherwise the checksum is not really sent."""
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
    """One refused key is neither hidden by the others, nor does it block them."""
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


def test_an_open_store_continues_with_new_credentials(
    s3_options: S3Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a profile, a shared credentials file or a process: reread after a refusal, in any thread."""
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
    """The response to a HEAD has no body: its time must suffice."""
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


def test_a_silent_store_is_reported_within_its_time_limit(
    s3_options: S3Options, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many attempts there are; an upload in progress uses all of them."""
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
