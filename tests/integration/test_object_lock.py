# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locked objects cannot be removed with any keys; retention renews locks, and may remove what it does not keep."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from botocore.exceptions import ClientError
from lifeboat.config.load import S3Options
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.terms import term
from lifeboat.store import open_store
from support.choice import represented
from support.identities import identities
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.locked import keys_of, locked_bucket
from support.postgres import Sites, restore_arguments
from support.stores import PART, SeaweedFS, client_of

pytestmark = pytest.mark.integration

AUDITED = {"audit": {"file": "", "syslog": ""}}


@pytest.fixture(params=["governance", "compliance"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def locks(options: S3Options) -> Dict[str, Tuple[str, datetime, datetime]]:
    """Mode, time of the put and end of the lock of every object that has a lock, by key without the prefix."""
    client, found = client_of(options, "s3"), {}
    for item in client.list_objects_v2(Bucket=options.bucket, Prefix="team/")["Contents"]:
        head = client.head_object(Bucket=options.bucket, Key=item["Key"])
        if "ObjectLockRetainUntilDate" in head:
            entry = (head["ObjectLockMode"], item["LastModified"], head["ObjectLockRetainUntilDate"])
            found[item["Key"][len("team/") :]] = entry
    return found


def versions(options: S3Options) -> List[Tuple[str, str]]:
    found = client_of(options, "s3").list_object_versions(Bucket=options.bucket, Prefix="team/main/")
    return [(v["Key"], v["VersionId"]) for v in found["Versions"]]


def test_a_second_run_changes_nothing_and_leaves_nothing(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    admin = locked_bucket(seaweedfs, "compliance", tmp_path)["admin"]
    path = str(tmp_path / "keys.json")
    again = bucket.apply(BucketRequest(admin, identities=identities(admin), credentials_file=path))
    assert again.changes == ()
    found = client_of(admin, "s3").list_object_versions(Bucket=admin.bucket)
    assert not found.get("Versions") and not found.get("DeleteMarkers")


@represented(mode="governance")
def test_no_keys_destroy_what_is_locked(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, tmp_path: Path, mode: str
) -> None:
    by = locked_bucket(seaweedfs, mode, tmp_path)
    site = sites(
        newest_postgres, by["writer"], segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={**AUDITED, "retention": {"full_days": 1, "incremental_days": 5, "wal_days": 3}},
    )  # fmt: skip
    ledger = Ledger(site.cluster)
    full = site.backup()["label"]
    ledger.write(3)
    site.backup("--type", "incremental")
    site.lifeboat("dump", "create", "postgres")
    ledger.write(3)
    site.cluster.switch_wal()
    checks = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}
    assert checks["repository repo0: lock"]["status"] == "ok" and mode in checks["repository repo0: lock"]["message"]
    site.cluster.stop()

    # Each object as long as retention keeps it; what the incremental is based on, as long as that.
    policy, found = site.config.retention, locks(by["admin"])
    kinds = {kind_of("main", key).name for key in found}
    assert kinds >= {"backup", "wal", "dump", "audit", "core"}
    for key, (told, put, until) in found.items():
        wanted = term(kind_of("main", key), policy)
        days = timedelta(days=5) if f"/{full}/" in key else wanted
        assert told == mode.upper() and days is not None
        assert abs(until - put - days) < timedelta(minutes=5), key
    everything = client_of(by["admin"], "s3").list_objects_v2(Bucket=by["admin"].bucket, Prefix="team/main/")
    names = {item["Key"][len("team/") :] for item in everything["Contents"]}
    assert all(term(kind_of("main", key), policy) is None for key in names - set(found))

    time.sleep(2)
    moment = datetime.now(timezone.utc).isoformat()
    time.sleep(2)
    locked = [(key, version) for key, version in versions(by["admin"]) if key[len("team/") :] in found]
    soon = {"Mode": mode.upper(), "RetainUntilDate": datetime.now(timezone.utc) + timedelta(seconds=30)}
    for who in ("writer", "janitor", "rescuer", "repairer", "admin"):
        intruder = client_of(by[who], "s3")
        for key, version in locked:
            attempts: Dict[str, Dict[str, Any]] = {
                "put_object_retention": {"VersionId": version, "Retention": soon},
                "delete_object": {"VersionId": version},
            }
            for method, words in attempts.items():
                with pytest.raises(ClientError):
                    getattr(intruder, method)(Bucket=by[who].bucket, Key=key, **words)
    # Whoever may delete can hide them; what was there is seen by its time.
    hiding = client_of(by["janitor"], "s3")
    for key in {key for key, _version in locked}:
        hiding.delete_object(Bucket=by["janitor"].bucket, Key=key)
    assert set(versions(by["admin"])) >= set(locked)
    # Whoever rebuilds from the past may store what a host stores.
    rescuer, place = client_of(by["rescuer"], "s3"), {"Bucket": by["rescuer"].bucket}
    rescuer.put_object(**place, Key="team/main/backups/new/base.tar.zst", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError):
        rescuer.put_object(**place, Key="team/main/backups/new/base.tar.zst", Body=b"2", IfNoneMatch="*")
    site.repositories = [{**site.repositories[0], **keys_of(by["rescuer"])}]
    site.write()
    assert full in {b["label"] for b in site.lifeboat("--as-of", moment, "list").data["backups"]}
    site.repositories = [{**site.repositories[0], **keys_of(by["reader"])}]
    site.write()
    clone = site.clone("clone")
    site.lifeboat("--as-of", moment, *restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)


def test_kept_objects_are_locked_again_and_removed_ones_are_no_failure(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    by = locked_bucket(seaweedfs, "compliance", tmp_path)
    site = sites(
        newest_postgres, by["writer"], segment_mb=1,
        options={**AUDITED, "retention": {"full_days": 1, "wal_days": 1, "keep_last": 1, "max_share": 100}},
    )  # fmt: skip
    held, gone, newest = (site.backup()["label"] for _ in range(3))
    site.lifeboat("hold", held, "--reason", "a migration")
    site.cluster.stop()
    before = locks(by["admin"])
    # As days later: the policy keeps nothing but what is held and the newest.
    site.repositories = [{**site.repositories[0], **keys_of(by["janitor"])}]
    site.options["retention"].update(full_days=0, wal_days=0, grace_hours=1, settle_hours=0)
    site.write()
    plan = site.lifeboat("prune", "--plan", status=None).data["repositories"][0]
    assert plan["locks_due"] > 0 and plan["locks_renewed"] == 0
    assert locks(by["admin"]) == before
    (done,) = site.lifeboat("prune").data["repositories"]
    after, now = locks(by["admin"]), datetime.now(timezone.utc)
    removed = {r["key"] for r in done["removals"]}
    assert any(gone in key for key in removed) and not removed & set(after)
    for label in (held, newest):
        ends = [until for key, (_mode, _put, until) in after.items() if f"backups/{label}/" in key]
        assert ends and all(until > now + timedelta(days=6) for until in ends)
    # The WAL that they need, too.
    assert all(until > now + timedelta(days=6) for key, (_m, _p, until) in after.items() if key.endswith(".zst"))
    assert done["locks_renewed"] > 0
    # What is removed is hidden: its bytes stay until the lock ends.
    stored = {key[len("team/") :] for key, _version in versions(by["admin"])}
    assert removed <= stored
    (again,) = site.lifeboat("prune").data["repositories"]
    assert again["locks_renewed"] == 0 and again["removals"] == []
    assert locks(by["admin"]).items() >= after.items()


def test_an_object_of_many_parts_is_locked_too(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    by = locked_bucket(seaweedfs, "governance", tmp_path)
    store = open_store(by["writer"], term=lambda key: None if key == "main/wal/free" else timedelta(days=2))
    for key in ("main/wal/large", "main/wal/free"):
        with store.writer(key) as writer:
            writer.write(bytes(2 * PART + 1))
    store.close()
    found = locks(by["admin"])
    assert set(found) == {"main/wal/large"}
    _mode, put, until = found["main/wal/large"]
    assert abs(until - put - timedelta(days=2)) < timedelta(minutes=5)


def test_renewals_need_the_right_to_renew(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    by = locked_bucket(seaweedfs, "compliance", tmp_path)
    site = sites(newest_postgres, by["writer"], segment_mb=1, options={**AUDITED, "retention": {"full_days": 1}})
    site.backup()
    site.cluster.stop()
    site.repositories = [{**site.repositories[0], **keys_of(by["reader"])}]
    site.write()
    error = site.lifeboat("prune", status=1).error
    assert error["error_code"] == "locks_not_renewed" and "s3:PutObjectRetention" in error["hint"]


def test_a_bucket_without_locks_is_reported(newest_postgres: Installation, sites: Sites, s3_options: S3Options) -> None:
    site = sites(newest_postgres, replace(s3_options, object_lock="governance"), segment_mb=1)
    done = site.lifeboat("backup", status=None)
    assert done.status == 1 and "Object Lock" in done.error["hint"], done.error
