# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 store with broken transfers and lost responses; its parts and its memory."""

from __future__ import annotations

import hashlib
import os
import time
import tracemalloc
from dataclasses import replace
from typing import Any, Callable

import pytest
from lifeboat.base.errors import (
    ConfigError,
    ObjectCorrupt,
    ObjectExists,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from lifeboat.store.s3 import upload as s3_upload
from support import faultproxy
from support.choice import represented
from support.faultproxy import Fault, FaultProxy
from support.s3_store import MIB, long_put, refused, uploads
from support.stores import PART

pytestmark = pytest.mark.integration


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
    """The store has it, the response is lost, the repeated request finds our own object: that is a success."""
    fault_proxy.inject(Fault(faultproxy.SWALLOW, method="PUT"))
    assert proxied.put("x", b"mine").size == 4
    assert fault_proxy.count("PUT") == 2
    assert store.get("x") == b"mine"


def test_lost_answer_of_a_refusal(proxied: Store, store: Store, fault_proxy: FaultProxy) -> None:
    """A rival's object is not a success, even with the same content."""
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
    """Ten parts of the first size hold 50 MiB; the total is unknown beforehand."""
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
