# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifeboat's lifecycle rules, applied by a store whose days last some seconds (tools/test-ceph)."""

from __future__ import annotations

import os
import secrets
from datetime import datetime, timezone
from typing import Any, Dict, List, Set

import pytest
from lifeboat.config.load import S3Options
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.layout import Layout
from lifeboat.store import open_store
from support.processes import until
from support.stores import PART, SeaweedFS, client_of, s3_options_for

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
LAYOUT = Layout("main")
SYSTEM, SEGMENT = "7412345678901234567", "00000001000000020000000A"
PATIENCE = 240.0


def keys(token: str) -> List[str]:
    """One object of each kind."""
    label = {"stays": "20261101T020000Z-full", "goes": "20261102T020000Z-full"}[token]
    segment = SEGMENT if token == "stays" else f"{SEGMENT[:-1]}B"
    number = {"stays": 2, "goes": 1}[token]
    at = NOW.replace(day=number)
    return [
        LAYOUT.repository if token == "stays" else LAYOUT.system(SYSTEM),
        LAYOUT.backup(label, "base.tar.zst"),
        LAYOUT.manifest(label),
        LAYOUT.file_set("config", f"2026110{number}T020000Z-files", "manifest.json"),
        LAYOUT.dump("shop", f"2026110{number}T020000Z-dump", "manifest.json"),
        LAYOUT.wal(SYSTEM, segment),
        LAYOUT.wal(SYSTEM, f"0000000{number}.history"),
        LAYOUT.audit_event("db.postgres", NOW, number),
        LAYOUT.erasure(at, "0a1b2c3d"),
        LAYOUT.hold(label, at, "0a1b2c3d"),
        LAYOUT.release(label, at, "0a1b2c3d"),
        LAYOUT.restore_test(at, "0a1b2c3d"),
        LAYOUT.damaged(at, "0a1b2c3d", "object"),
        LAYOUT.lease("restores", f"{number:012x}", "begun"),
    ]


@pytest.fixture
def options(seaweedfs: SeaweedFS) -> S3Options:
    assert int(os.environ["LIFEBOAT_CEPH_DAY"]) < 60, "a day of the store must be short"
    return s3_options_for(seaweedfs, f"rules-{secrets.token_hex(5)}", "pg")


def found(raw: Any, bucket: str) -> Dict[str, Set[str]]:
    """The contents of the bucket, by key without the prefix."""
    answer = raw.list_object_versions(Bucket=bucket)
    versions = answer.get("Versions", [])
    uploads = raw.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return {
        "current": {v["Key"] for v in versions if v["IsLatest"]},
        "older": {v["Key"] for v in versions if not v["IsLatest"]},
        "markers": {m["Key"] for m in answer.get("DeleteMarkers", [])},
        "uploads": {u["Key"] for u in uploads},
    }


def test_lifecycle_rules_remove_only_deleted_and_old_versions(options: S3Options) -> None:
    raw, store = client_of(options, "s3"), open_store(options)
    prepared = bucket.apply(BucketRequest(options, abort_days=1, version_days=2))
    assert {"stale_uploads set", "old_versions set"} <= set(prepared.changes)
    stays, goes = keys("stays"), keys("goes")
    kinds = {kind_of("main", key).name for key in stays}
    assert "foreign" not in kinds and len(kinds) == len(stays) - 1
    for key in [*stays, *goes]:
        store.put(key, b"first")
    # Of somebody else in the same bucket, whom the rule for older versions does not reach.
    for body in (b"first", b"second"):
        raw.put_object(Bucket=options.bucket, Key="other/x", Body=body)
    upload = {"Bucket": options.bucket, "Key": "pg/main/backups/lost/base.tar.zst"}
    begun = raw.create_multipart_upload(**upload)["UploadId"]
    raw.upload_part(**upload, UploadId=begun, PartNumber=1, Body=bytes(PART))
    # As retention removes, and as an intruder replaces.
    assert store.delete(goes) == []
    raw.put_object(Bucket=options.bucket, Key=f"pg/{stays[1]}", Body=b"second")
    before = found(raw, options.bucket)
    assert before["older"] == {"other/x", f"pg/{stays[1]}", *(f"pg/{key}" for key in goes)}
    assert before["markers"] == {f"pg/{key}" for key in goes} and before["uploads"] == {upload["Key"]}

    expected = {
        "current": {"other/x", *(f"pg/{key}" for key in stays)},
        "older": {"other/x"},
        "markers": set(),
        "uploads": set(),
    }
    until(
        lambda: {k: v for k, v in found(raw, options.bucket).items() if k != "current"}
        == {k: v for k, v in expected.items() if k != "current"},
        "the store's rules", lambda: str(found(raw, options.bucket)), PATIENCE,
    )  # fmt: skip
    # What is current is older than all that went, and is there.
    assert found(raw, options.bucket) == expected
    assert store.get(stays[0]) == b"first"
    store.close()
