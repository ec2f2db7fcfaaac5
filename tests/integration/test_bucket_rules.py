# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle rules and abandoned uploads, with a real server and a real bucket."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from lifeboat.config.load import S3Options
from lifeboat.config.retention import RetentionConfig
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.retention import prune
from lifeboat.retention.guards import GUARDS
from lifeboat.retention.prune import is_stale
from lifeboat.store import open_store
from lifeboat.store.protocol import Unfinished
from lifeboat.store.s3.store import S3Store
from support.installations import Installation
from support.postgres import Site, Sites
from support.stores import PART, client_of

pytestmark = pytest.mark.integration

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)


@pytest.fixture
def options(s3_options: S3Options, seaweedfs: Any) -> S3Options:
    """A bucket for this test only."""
    name = f"rules-{secrets.token_hex(6)}"
    seaweedfs.create_bucket(name)
    return replace(s3_options, bucket=name, prefix="pg")


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, options: S3Options) -> Site:
    return sites(newest_postgres, options, segment_mb=1)


def put_rules(options: S3Options, *rules: Any) -> None:
    client_of(options, "s3").put_bucket_lifecycle_configuration(
        Bucket=options.bucket, LifecycleConfiguration={"Rules": list(rules)}
    )


THEIRS = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "pg/"}, "Expiration": {"Days": 30}}
LOGS = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}


def test_check_warns_of_a_rule_that_deletes_backups(site: Site, options: S3Options) -> None:
    site.backup()
    put_rules(options, LOGS)
    assert "lifecycle" not in site.lifeboat("check", status=None).stdout
    put_rules(options, LOGS, THEIRS)
    (told,) = [c for c in site.lifeboat("check", status=None).data["checks"] if "lifecycle" in c["name"]]
    assert told["status"] == "warning" and "tidy deletes objects 30 days old" in told["message"]


def test_the_rules_that_are_shown_can_be_put(site: Site, options: S3Options) -> None:
    put_rules(options, LOGS)
    shown = site.lifeboat("prune", "--lifecycle", "--version-days", "14").data["lifecycle"]["repo0"]
    put_rules(options, *json.loads(json.dumps(shown))["Rules"])
    found = client_of(options, "s3").get_bucket_lifecycle_configuration(Bucket=options.bucket)["Rules"]
    assert {r["ID"] for r in found} == {"logs", "lifeboat-abort-stale-uploads", "lifeboat-expire-old-versions"}
    (versions,) = [r for r in found if r["ID"] == "lifeboat-expire-old-versions"]
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": 14}
    assert (versions.get("Filter") or versions)["Prefix"] == "pg/"


def test_prepare_puts_the_rule_for_older_versions_where_asked(options: S3Options) -> None:
    assert "old_versions" not in bucket.apply(BucketRequest(options)).after
    asked = BucketRequest(options, version_days=14)
    assert bucket.apply(asked).changes == ("old_versions set",)
    assert bucket.apply(asked).changes == ()


def test_prune_ends_uploads_that_were_left_behind(
    site: Site, options: S3Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.backup()
    raw = client_of(options, "s3")

    def begin(key: str) -> None:
        begun = raw.create_multipart_upload(Bucket=options.bucket, Key=key)
        raw.upload_part(Bucket=options.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=bytes(PART))

    def left() -> list[str]:
        found = raw.list_multipart_uploads(Bucket=options.bucket)
        return sorted(u["Key"] for u in found.get("Uploads", []))

    begin("pg/main/backups/lost/base.tar.zst")
    begin("pg/other/x")
    # Young as it is, somebody may still be writing it.
    assert site.lifeboat("prune").data["repositories"][0]["uploads"] == []
    assert left() == ["pg/main/backups/lost/base.tar.zst", "pg/other/x"]
    monkeypatch.setattr(S3Store, "clock", lambda _: datetime.now(timezone.utc) + timedelta(days=2))
    planned, done = (act(site.config, GUARDS)[0] for act in (prune.plan, prune.apply))
    assert [u.key for u in planned.uploads] == [u.key for u in done.uploads] == ["main/backups/lost/base.tar.zst"]
    assert left() == ["pg/other/x"]
    # One that has ended meanwhile is no failure.
    open_store(options).drop(done.uploads[0])


@pytest.mark.parametrize(
    ("begun", "touched", "stale"),
    [(10, 0.5, False), (10, 1.5, True), (0.5, None, False), (6, None, False), (8, None, True)],
)
def test_when_an_upload_is_left_behind(begun: float, touched: float | None, stale: bool) -> None:
    """Uploaded days ago, with a grace of one day."""
    upload = Unfinished(
        "x", "1", NOW - timedelta(days=begun), NOW - timedelta(days=touched) if touched is not None else None
    )
    assert is_stale(upload, NOW, RetentionConfig()) is stale
