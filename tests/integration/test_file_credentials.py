# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets have separate credentials: the backups' credentials cannot store what root would restore."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml
from lifeboat.base import clock
from lifeboat.base.errors import StoreAccessDenied
from lifeboat.cli.main import main
from lifeboat.config.load import S3Options, load
from lifeboat.fileset.credentials import load_for_files
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.repository.file_sets import list_files
from lifeboat.repository.layout import Layout
from lifeboat.repository.leases import being_written, writing
from lifeboat.repository.repository import Repositories, Repository
from lifeboat.store import open_store
from seaweedfs import SeaweedFS
from support.file_sets import SYSTEM, marks
from support.identities import identities, policy
from support.stores import client_of, s3_options_for

pytestmark = pytest.mark.integration
LABEL = "29991122T100000Z-files"


@pytest.fixture
def options(seaweedfs: SeaweedFS) -> S3Options:
    return s3_options_for(seaweedfs, f"files-{secrets.token_hex(4)}", "team")


@pytest.fixture(scope="module")
def keys(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, S3Options]:
    """The store's options with the keys of each identity; the writer may not store file sets."""
    options = s3_options_for(seaweedfs, f"files-{secrets.token_hex(4)}", "team")
    path = str(tmp_path_factory.mktemp("keys") / "keys.json")
    made = identities(options, ["main"], apart=True)
    bucket.apply(BucketRequest(options, identities=made, credentials_file=path))
    found = {name: with_credentials(options, values) for name, values in read_credentials(path).items()}
    kept = {name: value for name, value in found.items() if value}
    store = open_store(kept["writer"])
    store.put(SYSTEM, marks()[SYSTEM])
    store.close()
    return kept


@pytest.fixture
def web() -> str:
    """A set for this test only."""
    return f"web-{secrets.token_hex(4)}"


@pytest.fixture
def written(keys: Dict[str, S3Options], web: str, tmp_path: Path) -> Path:
    """A configuration with the writer's keys, and the credentials of file sets beside it."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "site.conf").write_text("listen 80;\n")
    (tmp_path / "cold" / "main").mkdir(parents=True)
    path = tmp_path / "main.yml"
    path.write_text(yaml.safe_dump(configuration(keys["writer"], web, tmp_path)))
    beside = tmp_path / "main.files.yml"
    own = {name: getattr(keys["files"], name) for name in ("access_key_id", "secret_access_key")}
    beside.write_text(yaml.safe_dump({"repositories": [{"name": "near", **own}]}))
    beside.chmod(0o600)
    return path


def configuration(writer: S3Options, web: str, root: Path) -> Dict[str, Any]:
    near = {key: value for key, value in dataclasses.asdict(writer).items() if value is not None}
    return {
        "cluster": "main",
        "repositories": [
            {"name": "near", "type": "s3", **near},
            {"name": "cold", "type": "directory", "path": str(root / "cold"), "required": False},
        ],
        "file_sets": [{"name": web, "paths": [str(root / "web")]}],
        "audit": {"file": "", "syslog": ""},
    }


def test_a_copy_is_stored_and_restored_by_the_identity_of_file_sets_alone(
    written: Path, web: str, tmp_path: Path
) -> None:
    assert main(["--config", str(written), "files", "backup"]) == 0
    assert list(tmp_path.glob(f"cold/main/files/{web}/*/manifest.json")), "what only sync writes has it too"
    (tmp_path / "web" / "site.conf").write_text("listen 666;\n")
    assert main(["--config", str(written), "files", "restore", web]) == 0
    assert (tmp_path / "web" / "site.conf").read_text() == "listen 80;\n"
    # The same without them: refused by the store, and nothing else is.
    (tmp_path / "main.files.yml").unlink()
    assert main(["--config", str(written), "files", "backup", "--always"]) == 1
    assert main(["--config", str(written), "files", "restore", web, "--plan"]) == 0
    assert len(list(tmp_path.glob(f"cold/main/files/{web}/*/manifest.json"))) == 1


@pytest.mark.parametrize("key", [
    f"main/files/web/{LABEL}/manifest.json", f"main/files/web/{LABEL}/data.tar.zst", "main/files/new/x", "main/files/x",
])  # fmt: skip
def test_the_writer_cannot_forge_a_copy(keys: Dict[str, S3Options], key: str) -> None:
    for who in ("writer", "reader", "janitor"):
        store = open_store(keys[who])
        with pytest.raises(StoreAccessDenied):
            store.put(key, b"{}")
        with pytest.raises(StoreAccessDenied) as refused:
            with store.writer(key) as writer:
                writer.write(bytes(11 * 1024 * 1024))
        # The action of a policy, not the operation (CreateMultipartUpload).
        assert "s3:PutObject" in refused.value.hint
        store.close()


def test_a_key_that_the_writer_can_put_below_a_set_is_no_copy(
    keys: Dict[str, S3Options], written: Path, web: str
) -> None:
    assert main(["--config", str(written), "files", "backup"]) == 0
    store = open_store(keys["writer"])
    (known,) = [i.key for i in store.list(f"main/files/{web}/") if i.key.endswith("manifest.json")]
    record = store.get(known)
    for label in ("wal", "backups", f"{LABEL}/wal"):
        try:
            # The store's wildcards match across slashes.
            store.put(f"main/files/{web}/{label}/manifest.json", record)
        except StoreAccessDenied:
            continue
    store.close()
    repositories = Repositories.open(load(str(written)))
    copies = list_files(repositories.items[0], web)
    repositories.close()
    assert [copy.label for copy in copies] == [known.split("/")[3]]


@pytest.mark.parametrize("key", [
    "other/backups/20261122T100000Z-full/manifest.json", "other/wal/7/00000001/00000000/000000010000000000000001.zst",
    "other/erasures/x.json", "other/holds/x", "other/repository.json",
    "other/audit/host.postgres/20261122/0000000001.json",
])  # fmt: skip
def test_each_identity_has_its_own_permissions(keys: Dict[str, S3Options], key: str) -> None:
    files, writer = open_store(keys["files"]), open_store(keys["writer"])
    with pytest.raises(StoreAccessDenied):
        files.put(key, b"{}")
    writer.put(key, b"{}")
    assert writer.get(key) == b"{}"
    files.put(f"main/audit/{secrets.token_hex(4)}.root/20261122/0000000001.json", b"{}")
    copy = f"main/files/{secrets.token_hex(4)}/{LABEL}/data.tar.zst"
    files.put(copy, b"{}")
    assert [f.key for f in files.delete([copy])] == [copy]
    files.close()
    writer.close()


def test_writers_of_earlier_releases_still_store_file_sets(options: S3Options, tmp_path: Path) -> None:
    path = str(tmp_path / "keys.json")
    bucket.apply(BucketRequest(options, identities=identities(options), credentials_file=path))
    writer = with_credentials(options, read_credentials(path)["writer"])
    assert writer is not None
    store = open_store(writer)
    store.put(f"main/files/web/{LABEL}/manifest.json", b"{}")
    store.close()
    # And is narrowed by the next run, once the host has credentials of their own.
    narrow = BucketRequest(options, identities=identities(options, ["main"], apart=True), credentials_file=path)
    assert f"policy of {options.bucket}-writer put" in bucket.apply(narrow).changes
    assert bucket.apply(narrow).changes == ()
    client = client_of(writer, "s3")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.put_object(Bucket=options.bucket, Key="team/main/files/web/x", Body=b"x")


def test_a_policy_stays_as_small_as_the_iam_of_aws_takes_it() -> None:
    long = S3Options(bucket="company-backups-eu-central-1")
    for name in ("writer", "files"):
        found = policy(long, name, ["main", "orders", "billing", "analytics"], apart=True)
        assert len(json.dumps(found, separators=(",", ":"))) <= 2048
    denied = [s for s in policy(long, "writer", ["main"], apart=True)["Statement"] if s["Effect"] == "Deny"]
    assert any(f"arn:aws:s3:::{long.bucket}/team/main/files/*" in s["Resource"] for s in denied)


@pytest.mark.parametrize(("name", "place"), [("writer", "main/backups/x"), ("files", "main/files/web/x")])
def test_a_writer_may_announce_what_it_writes(keys: Dict[str, S3Options], name: str, place: str) -> None:
    own, reader = (Repository(each, open_store(keys[each]), Layout("main")) for each in (name, "reader"))
    try:
        with writing([own], [f"{place}/manifest.json"]):
            assert being_written(reader, clock.now()).has(f"{place}/base.tar.zst")
        assert not being_written(reader, clock.now()).has(f"{place}/base.tar.zst")
    finally:
        own.store.close()
        reader.store.close()


def test_sync_without_the_credentials_leaves_file_sets_alone(written: Path, web: str, tmp_path: Path) -> None:
    assert main(["--config", str(written), "files", "backup"]) == 0
    for copied in tmp_path.glob(f"cold/main/files/{web}/*/*"):
        copied.unlink()
    assert main(["--config", str(written), "sync"]) == 0
    assert not list(tmp_path.glob(f"cold/main/files/{web}/*/*"))
    assert main(["--config", str(written), "sync", "--file-sets"]) == 0
    assert len(list(tmp_path.glob(f"cold/main/files/{web}/*/*"))) == 3
    assert load(str(written)).files_apart and not load_for_files(str(written)).files_apart
    assert os.path.exists(tmp_path / "cold" / SYSTEM)
