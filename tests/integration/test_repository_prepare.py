# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a repository: what a real store supports, enforces and lacks, and what its identities cannot do."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from botocore.exceptions import ClientError
from lifeboat.base.errors import BucketMissing, ConfigError, ObjectExists, StoreAccessDenied, StoreUnavailable
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.provision import bucket, directory
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.directory import DirectoryRequest
from lifeboat.provision.features import HOLDS, PLANNED, PROMISES, UNKNOWN, WEAKER, Prepared
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.provision.settings import settings_for
from lifeboat.store import open_store
from support.faultproxy import FaultProxy
from support.identities import identities
from support.stores import SeaweedFS, client_of, s3_options_for, unprivileged

pytestmark = pytest.mark.integration


@pytest.fixture
def options(seaweedfs: SeaweedFS) -> S3Options:
    """A bucket that does not exist yet."""
    return s3_options_for(seaweedfs, f"ready-{secrets.token_hex(5)}", "team")


@pytest.fixture
def raw(options: S3Options) -> Any:
    return client_of(options, "s3")


def states(prepared: Prepared) -> Dict[str, str]:
    return {f.name: f.state for f in prepared.features}


def refusal_of(client: Any, method: str, **params: Any) -> str:
    """The store's error code for this request, sent without Lifeboat; empty if it succeeds."""
    try:
        getattr(client, method)(**params)
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    return ""


def objects_of(client: Any, bucket: str) -> List[str]:
    answer = client.list_object_versions(Bucket=bucket)
    return [v["Key"] for v in answer.get("Versions", []) + answer.get("DeleteMarkers", [])]


def test_a_new_bucket_gets_every_setting_that_the_store_has(options: S3Options, raw: Any) -> None:
    prepared = bucket.apply(BucketRequest(options))
    assert raw.get_bucket_versioning(Bucket=options.bucket)["Status"] == "Enabled"
    (rule,) = raw.get_bucket_lifecycle_configuration(Bucket=options.bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    found = states(prepared)
    there = ("versioning", "stale_uploads", "create_only", "checksums")
    assert [found[name] for name in there] == [HOLDS] * len(there)
    assert prepared.changes[0] == f"bucket {options.bucket} made"
    # What a store that cannot encrypt has taken as a rule would refuse every put.
    put = {"Bucket": options.bucket, "Key": "x", "Body": b"x", "ServerSideEncryption": "AES256"}
    if refusal := refusal_of(raw, "put_object", **put):
        assert found["encryption"] == WEAKER and refusal in prepared.warnings[0]
        assert refusal_of(raw, "get_bucket_encryption", Bucket=options.bucket).endswith("NotFoundError")
    else:
        assert found["encryption"] == HOLDS
        rule = raw.get_bucket_encryption(Bucket=options.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert refusal_of(raw, "put_object", Bucket=options.bucket, Key="x", Body=b"x") == ""


def test_a_missing_feature_is_a_warning_that_names_the_promise(options: S3Options, raw: Any) -> None:
    prepared = bucket.apply(BucketRequest(options))
    said = {w.split(":")[0]: w for w in prepared.warnings}
    assert "plain HTTP" in said["tls_only"] and PROMISES["tls_only"] in said["tls_only"]
    lacks = refusal_of(raw, "get_public_access_block", Bucket=options.bucket)
    assert ("public_access_block" in said) == bool(lacks)
    if lacks:
        assert f"501 {lacks}" in said["public_access_block"]
        assert PROMISES["public_access_block"] in said["public_access_block"]
    else:
        blocks = raw.get_public_access_block(Bucket=options.bucket)["PublicAccessBlockConfiguration"]
        assert set(blocks.values()) == {True}


def test_a_second_run_changes_nothing_and_leaves_no_object(options: S3Options, raw: Any) -> None:
    first = bucket.apply(BucketRequest(options))
    second = bucket.apply(BucketRequest(options))
    assert first.changes and second.changes == ()
    assert second.before == second.after
    assert objects_of(raw, options.bucket) == []


def test_check_mode_tells_what_would_be_done_and_does_nothing(options: S3Options, raw: Any, tmp_path: Path) -> None:
    request = BucketRequest(options, identities=identities(options), credentials_file=str(tmp_path / "keys.json"))
    planned = bucket.plan(request)
    assert states(planned)["versioning"] == PLANNED and states(planned)["create_only"] == UNKNOWN
    assert f"user {options.bucket}-writer made" in planned.changes
    with pytest.raises(ClientError):
        raw.head_bucket(Bucket=options.bucket)
    assert not (tmp_path / "keys.json").exists()
    bucket.apply(request)
    assert bucket.plan(request).changes == ()


def test_rules_of_others_are_kept(options: S3Options, raw: Any) -> None:
    raw.create_bucket(Bucket=options.bucket)
    theirs = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    raw.put_bucket_lifecycle_configuration(Bucket=options.bucket, LifecycleConfiguration={"Rules": [theirs]})
    bucket.apply(BucketRequest(options))
    rules = raw.get_bucket_lifecycle_configuration(Bucket=options.bucket)["Rules"]
    assert sorted(rule["ID"] for rule in rules) == ["lifeboat-abort-stale-uploads", "logs"]
    bucket.apply(BucketRequest(options, abort_days=3))
    rules = raw.get_bucket_lifecycle_configuration(Bucket=options.bucket)["Rules"]
    assert {r["ID"]: r.get("AbortIncompleteMultipartUpload") for r in rules} == {
        "logs": None, "lifeboat-abort-stale-uploads": {"DaysAfterInitiation": 3},
    }  # fmt: skip


def test_features_to_leave_are_not_touched(options: S3Options, raw: Any) -> None:
    prepared = bucket.apply(BucketRequest(options, leave=("versioning", "encryption")))
    assert "Status" not in raw.get_bucket_versioning(Bucket=options.bucket)
    assert not {"versioning", "encryption"} & set(states(prepared))


def test_a_tls_policy_that_locks_everybody_out_is_reverted(
    options: S3Options, raw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a proxy that terminates TLS: the endpoint looks like HTTPS, but the store sees plain HTTP."""
    raw.create_bucket(Bucket=options.bucket)
    theirs = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Theirs",
                # A statement that lets the public in is refused where public access is blocked.
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{options.bucket}/public/*",
            }
        ],
    }
    raw.put_bucket_policy(Bucket=options.bucket, Policy=json.dumps(theirs))
    monkeypatch.setattr("lifeboat.provision.bucket.is_clear_text", lambda _: False)
    prepared = bucket.apply(BucketRequest(options))
    (feature,) = (f for f in prepared.features if f.name == "tls_only")
    kept = json.loads(raw.get_bucket_policy(Bucket=options.bucket)["Policy"])["Statement"]
    # The same policy in another bucket tells whether this store locks its administrator out.
    other = f"{options.bucket}-other"
    raw.create_bucket(Bucket=other)
    (tls,) = (s for s in settings_for(replace(options, bucket=other), 7) if s.name == "tls_only")
    raw.put_bucket_policy(Bucket=other, Policy=json.dumps(tls.wanted(None)))
    if refusal_of(raw, "put_object", Bucket=other, Key="team/x", Body=b"x"):
        assert feature.state == WEAKER and "reverted" in feature.detail
        assert [statement["Sid"] for statement in kept] == ["Theirs"]
    else:
        assert feature.state == HOLDS
        assert [statement["Sid"] for statement in kept] == ["Theirs", "LifeboatTlsOnly"]
    raw.put_object(Bucket=options.bucket, Key="team/x", Body=b"x")


def test_a_tls_policy_keeps_the_statements_of_others() -> None:
    (tls,) = (s for s in settings_for(S3Options(bucket="b"), 7) if s.name == "tls_only")
    theirs = {"Version": "2012-10-17", "Statement": {"Sid": "Theirs", "Effect": "Allow"}}
    wanted = tls.wanted(theirs)
    assert [s["Sid"] for s in wanted["Statement"]] == ["Theirs", "LifeboatTlsOnly"]
    assert tls.wanted(wanted) == wanted
    allowed = {"Statement": [{"Effect": "Allow", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}
    assert tls.wanted(allowed) != allowed


# --- identities -------------------------------------------------------------------------------------------------


@pytest.fixture
def made(options: S3Options, tmp_path: Path) -> Iterator[tuple[Prepared, Dict[str, S3Options]]]:
    """The identities, and the store's options with the keys of each."""
    path = str(tmp_path / "keys" / "keys.json")
    prepared = bucket.apply(BucketRequest(options, identities=identities(options), credentials_file=path))
    assert os.stat(path).st_mode & 0o777 == 0o600
    keys = {name: with_credentials(options, values) for name, values in read_credentials(path).items()}
    yield prepared, {name: value for name, value in keys.items() if value}


def test_the_writer_stores_and_reads_and_cannot_delete_or_lose_a_version(
    options: S3Options, raw: Any, made: tuple[Prepared, Dict[str, S3Options]]
) -> None:
    prepared, by = made
    assert states(prepared)["writer_writes"] == HOLDS and states(prepared)["writer_cannot_delete"] == HOLDS
    store = open_store(by["writer"])
    store.put("main/wal/x", b"first")
    assert store.get("main/wal/x") == b"first" and store.head("main/none") is None
    with pytest.raises(ObjectExists):
        store.put("main/wal/x", b"second")
    assert [f.key for f in store.delete(["main/wal/x"])] == ["main/wal/x"]
    with store.writer("main/backups/large") as writer:
        writer.write(bytes(11 * 1024 * 1024))
    store.close()
    writer_client = client_of(by["writer"], "s3")
    (version,) = (
        v["VersionId"] for v in raw.list_object_versions(Bucket=options.bucket, Prefix="team/main/wal/x")["Versions"]
    )
    for refused in (
        lambda: writer_client.delete_object(Bucket=options.bucket, Key="team/main/wal/x"),
        lambda: writer_client.delete_object(Bucket=options.bucket, Key="team/main/wal/x", VersionId=version),
        lambda: writer_client.put_object(Bucket=options.bucket, Key="other/x", Body=b"x"),
        lambda: writer_client.put_object(Bucket=options.bucket, Key="team/main/releases/l/x.json", Body=b"x"),
        lambda: writer_client.put_object(Bucket=options.bucket, Key="team/main/damaged/l/object", Body=b"x"),
        lambda: writer_client.put_bucket_versioning(
            Bucket=options.bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    # SeaweedFS does not know the condition that refuses a plain put; versioning keeps what it would replace.
    assert states(prepared)["writer_cannot_overwrite"] == WEAKER
    writer_client.put_object(Bucket=options.bucket, Key="team/main/wal/x", Body=b"forged")
    kept = raw.get_object(Bucket=options.bucket, Key="team/main/wal/x", VersionId=version)["Body"].read()
    assert kept == b"first"


def test_the_reader_only_reads_and_the_janitor_only_removes(
    options: S3Options, raw: Any, made: tuple[Prepared, Dict[str, S3Options]]
) -> None:
    _, by = made
    raw.put_object(Bucket=options.bucket, Key="team/main/y", Body=b"y")
    reader, janitor = open_store(by["reader"]), open_store(by["janitor"])
    assert reader.get("main/y") == b"y" and [o.key for o in reader.list("main/")] == ["main/y"]
    for store in (reader, janitor):
        with pytest.raises(StoreAccessDenied):
            store.put("main/z", b"z")
    # What it removed it may tell, and that a hold is over, and nothing else.
    janitor.put("main/audit/host.user/20261123/0000000001.json", b"{}")
    janitor.put("main/releases/20261123T020000Z-full/20261124T020000Z-0a1b2c3d.json", b"{}")
    with pytest.raises(StoreAccessDenied):
        reader.put("main/audit/host.user/20261123/0000000002.json", b"{}")
    assert [f.key for f in reader.delete(["main/y"])] == ["main/y"]
    assert janitor.delete(["main/y"]) == [] and reader.head("main/y") is None
    reader.close()
    janitor.close()


def test_a_second_run_makes_no_second_key_and_mends_a_policy(
    options: S3Options, made: tuple[Prepared, Dict[str, S3Options]], tmp_path: Path
) -> None:
    request = BucketRequest(
        options, identities=identities(options), credentials_file=str(tmp_path / "keys" / "keys.json")
    )
    before = read_credentials(request.credentials_file)
    assert bucket.apply(request).changes == ()
    assert read_credentials(request.credentials_file) == before
    client_of(options, "iam").put_user_policy(
        UserName=f"{options.bucket}-reader",
        PolicyName="lifeboat",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        ),
    )
    assert bucket.apply(request).changes == (f"policy of {options.bucket}-reader put",)
    reader = open_store(by_name(request.credentials_file, options, "reader"))
    with pytest.raises(StoreAccessDenied):
        reader.put("main/z", b"z")
    reader.close()


def by_name(path: str, options: S3Options, name: str) -> S3Options:
    found = with_credentials(options, read_credentials(path)[name])
    assert found is not None
    return found


def test_hosts_that_hold_the_administrators_keys_are_reported(options: S3Options) -> None:
    prepared = bucket.apply(BucketRequest(options, hosts=options, leave=("versioning",)))
    found = {f.name: f for f in prepared.features}
    assert found["writer_cannot_delete"].state == WEAKER
    assert found["writer_cannot_overwrite"].state == WEAKER and "lost" in found["writer_cannot_overwrite"].detail
    with pytest.raises(ConfigError, match="credentials_file"):
        bucket.apply(BucketRequest(options, identities=identities(options)))


def test_a_store_that_does_not_answer_is_an_error_and_no_weaker_promise(
    options: S3Options, fault_proxy: FaultProxy
) -> None:
    proxied = replace(options, endpoint_url=fault_proxy.endpoint_url, max_attempts=1)
    fault_proxy.close()
    with pytest.raises(StoreUnavailable):
        bucket.apply(BucketRequest(proxied))
    with pytest.raises(StoreAccessDenied):
        bucket.apply(BucketRequest(replace(options, secret_access_key="wrong")))


# --- directories ------------------------------------------------------------------------------------------------


def test_a_directory_is_checked_and_made_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "backups"
    request = DirectoryRequest(DirectoryOptions(str(path)))
    with pytest.raises(BucketMissing, match="does not exist"):
        directory.apply(request)
    asked = replace(request, create=True, apart_from=(str(tmp_path / "data"),))
    assert directory.plan(asked).changes and not path.exists()
    prepared = directory.apply(asked)
    assert states(prepared) == {"directory": HOLDS, "apart": WEAKER}
    assert str(tmp_path / "data") in prepared.warnings[0]
    assert directory.apply(asked).changes == () and list(path.iterdir()) == []
    elsewhere = replace(asked, apart_from=("/proc",))
    assert states(directory.apply(elsewhere))["apart"] == HOLDS


def test_a_directory_that_cannot_be_written_weakens_the_promise(tmp_path: Path) -> None:
    path = tmp_path / "backups"
    path.mkdir(mode=0o555)
    with unprivileged():
        prepared = directory.apply(DirectoryRequest(DirectoryOptions(str(path))))
    assert states(prepared)["directory"] == WEAKER and "cannot be written" in prepared.warnings[0]


def test_a_store_that_lacks_nearly_everything(lesser_options: S3Options) -> None:
    """Each one is reported as a weaker promise, with the store's response."""
    request = BucketRequest(lesser_options, hosts=lesser_options)
    prepared = bucket.apply(request)
    found = states(prepared)
    assert found.pop("writer_writes") == HOLDS
    assert set(found.values()) == {WEAKER}
    assert {"versioning", "encryption", "create_only", "checksums", "stale_uploads"} <= set(found)
    for warning in prepared.warnings:
        assert PROMISES[warning.split(":")[0]] in warning
    assert prepared.changes == ()
    assert list(open_store(lesser_options).list()) == []
