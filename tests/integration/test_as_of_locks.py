# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renewing a lock changes no version's time: the past shows what existed then, and nothing newer."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.s3.client import checksum_params
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.locked import keys_of, locked_bucket
from support.postgres import Site, Sites, restore_arguments
from support.stores import SeaweedFS, client_of

pytestmark = pytest.mark.integration


@pytest.fixture
def by(seaweedfs: SeaweedFS, tmp_path: Path) -> Dict[str, S3Options]:
    """A bucket with Object Lock, by identity."""
    return locked_bucket(seaweedfs, "governance", tmp_path)


def read_by(site: Site, options: S3Options) -> None:
    site.repositories = [{**site.repositories[0], **keys_of(options)}]
    site.write()


def moment_between() -> str:
    """A time with idle seconds before and after it: the store may report times only to the second."""
    time.sleep(2)
    moment = datetime.now(timezone.utc).isoformat()
    time.sleep(2)
    return moment


def lengthen(by: Dict[str, S3Options], days: int) -> None:
    """Extend every existing lock by this much, as somebody who may renew them can."""
    admin, janitor = client_of(by["admin"], "s3"), client_of(by["janitor"], "s3")
    for item in admin.list_objects_v2(Bucket=by["admin"].bucket, Prefix="team/main/")["Contents"]:
        named = {"Bucket": by["admin"].bucket, "Key": item["Key"]}
        ends = admin.head_object(**named).get("ObjectLockRetainUntilDate")
        if ends:
            later = {"Mode": "GOVERNANCE", "RetainUntilDate": ends + timedelta(days=days)}
            janitor.put_object_retention(**named, Retention=later)


def plant(options: S3Options, label: str) -> str:
    """By the writer: a complete copy of a backup under an earlier label, locked, with metadata of an early time."""
    client, early = client_of(options, "s3"), f"20200101T000000Z-{label.rsplit('-', 1)[-1]}"
    for item in client.list_objects_v2(Bucket=options.bucket, Prefix=f"team/main/backups/{label}/")["Contents"]:
        body = client.get_object(Bucket=options.bucket, Key=item["Key"])["Body"].read()
        client.put_object(
            Bucket=options.bucket, Key=item["Key"].replace(label, early), Body=body, **checksum_params(body),
            Metadata={"mtime": "1577836800", "last-modified": "Wed, 01 Jan 2020 00:00:00 GMT"},
            ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=datetime.now(timezone.utc) + timedelta(days=9),
        )  # fmt: skip
    return early


def test_a_longer_lock_keeps_the_past_and_what_came_later_stays_hidden(
    newest_postgres: Installation, sites: Sites, by: Dict[str, S3Options]
) -> None:
    site = sites(
        newest_postgres, by["writer"], segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={"audit": {"file": "", "syslog": ""}},
    )  # fmt: skip
    ledger = Ledger(site.cluster)
    labels = [site.backup()["label"]]
    ledger.write(3)
    labels.append(site.backup("--type", "incremental")["label"])
    ledger.write(3)
    site.cluster.switch_wal()
    then = list(ledger.entries)
    moment = moment_between()
    ledger.write(3)
    labels.append(site.backup()["label"])
    site.cluster.switch_wal()
    site.cluster.stop()
    early = plant(by["writer"], labels[0])
    for _ in range(2):
        lengthen(by, 9)
        time.sleep(1.1)
    read_by(site, by["reader"])
    listed = site.lifeboat("--as-of", moment, "list").data["backups"]
    assert [b["label"] for b in listed] == labels[:2] and all(b["restorable"] for b in listed)
    # The store has it all now; the past has none of what came after it.
    now = open_store(by["admin"])
    past = open_store(by["admin"], datetime.fromisoformat(moment))
    there = {name.rstrip("/") for name in now.list_names("main/backups/")}
    seen = {name.rstrip("/") for name in past.list_names("main/backups/")}
    now.close()
    past.close()
    assert there == {*labels, early} and seen == set(labels[:2])
    clone = site.clone("clone")
    site.lifeboat("--as-of", moment, *restore_arguments(clone))
    assert rows(clone) == expected(then)


def test_a_renewal_by_retention_keeps_the_past(
    newest_postgres: Installation, sites: Sites, by: Dict[str, S3Options]
) -> None:
    # Locks that end within three days are due at once.
    site = sites(
        newest_postgres, by["writer"], segment_mb=1, track_commit_timestamp="on",
        options={"audit": {"file": "", "syslog": ""}, "retention": {"full_days": 1, "wal_days": 1}},
    )  # fmt: skip
    ledger = Ledger(site.cluster)
    label = site.backup()["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    site.cluster.stop()
    moment = moment_between()
    read_by(site, by["janitor"])
    (done,) = site.lifeboat("prune").data["repositories"]
    assert done["locks_renewed"] > 0
    read_by(site, by["reader"])
    listed = site.lifeboat("--as-of", moment, "list").data["backups"]
    assert [(b["label"], b["restorable"]) for b in listed] == [(label, True)]
    clone = site.clone("clone")
    site.lifeboat("--as-of", moment, *restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


def test_no_client_chooses_the_time_of_a_version(by: Dict[str, S3Options]) -> None:
    """Nothing sent with a put, or put where a store may keep its versions, backdates an object."""
    writer, admin = client_of(by["writer"], "s3"), by["admin"]
    live = open_store(by["writer"])
    live.put("main/backups/genuine", b"first")
    moment = datetime.fromisoformat(moment_between())
    (known,) = client_of(admin, "s3").list_object_versions(Bucket=admin.bucket, Prefix="team/main/")["Versions"]
    inverted = f"{2**63 - 1 - int((moment.timestamp() - 3600) * 1e9):016x}"
    forged = f"{inverted}0123456789abcdef"
    names = ("Seaweed-X-Amz-Version-Id", "X-Amz-Version-Id", "X-Minio-Source-Version-Id", "X-Amz-Source-Version-Id")
    sent: Dict[str, str] = {}

    def add(request: Any, **_: Any) -> None:
        for name, value in sent.items():
            request.headers[name] = value

    writer.meta.events.register("before-sign.s3.PutObject", add)
    tried: List[str] = []
    for name in names:
        sent = {name: forged}
        tried.append(f"main/backups/by-{name.lower()}")
        put_quietly(writer, admin.bucket, f"team/{tried[-1]}")
    sent = {}
    real = known["VersionId"]
    for place in (f"genuine.versions/v_{forged}", f"genuine.versions/v_{real}", f"new.versions/v_{forged}"):
        tried.append(f"main/backups/{place}")
        put_quietly(writer, admin.bucket, f"team/{tried[-1]}")
    past = open_store(admin, moment)
    assert [info.key for info in past.list("main/")] == ["main/backups/genuine"]
    assert past.get("main/backups/genuine") == b"first"
    assert [past.head(key) for key in (*tried, "main/backups/new")] == [None] * (len(tried) + 1)
    past.close()
    live.close()


def put_quietly(client: Any, bucket: str, key: str) -> None:
    """A store may refuse such a request."""
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"planted", **checksum_params(b"planted"))
    except client.exceptions.ClientError:
        pass
