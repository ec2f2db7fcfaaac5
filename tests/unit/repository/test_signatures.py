# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed records: what the signature covers, whose signatures count, and how others are reported."""

from __future__ import annotations

import base64
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.errors import (
    ObjectCorrupt,
    RecordForeign,
    RecordUnsigned,
    SigningFailed,
)
from lifeboat.codec import sshsig
from lifeboat.config import load as config
from lifeboat.records.model import FORMAT, BackupManifest, dump_manifest, load_manifest, open_record, seal_record
from lifeboat.repository import signatures
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.holds import read_holds, set_hold
from lifeboat.repository.records import look_at_all, read_records
from lifeboat.repository.repository import Repository
from support.choice import examples
from support.records import SYSTEM, a_backup, moment
from support.signing import NOW, RECORD, KeyPair, Opened, forge, path_of


def put_files(repository: Repository, backup: BackupManifest) -> None:
    """What its record refers to."""
    for file in backup.files:
        repository.store.put(repository.layout.backup(backup.label, file.name), bytes(file.size))


def test_the_signature_covers_the_key_and_the_record_without_checksum_and_signature() -> None:
    assert signatures.signed_bytes("main/x.json", {"b": 1, "a": [2], "sha256": "…", "signature": "…"}) == (
        b'{"key":"main/x.json","record":{"a":[2],"b":1}}'
    )


def test_a_signed_record_is_read_as_it_was_before_and_by_ssh_keygen_alone(
    opened: Opened, ours: KeyPair, tmp_path: Path
) -> None:
    repository = opened(key_file=str(ours.key_file), signers=[ours.signer()])
    backup = a_backup()
    key = repository.layout.manifest(backup.label)
    repository.put_record(key, backup.as_dict())
    raw = repository.get_record(key)
    assert load_manifest(raw, key) == backup
    assert repository.signatures.signed == {key: "ours"}
    data = json.loads(raw)
    assert data["signature"].startswith("-----BEGIN SSH SIGNATURE-----\n")
    assert sshsig.verify(signatures.signed_bytes(key, data), data["signature"], ours.signer()["key"])
    # Without signers it is read just so, and without a key nothing changes.
    assert load_manifest(opened().get_record(key), key) == backup
    plain = opened()
    plain.put_record("main/verifications/x.json", RECORD)
    assert path_of(plain, "main/verifications/x.json").read_bytes() == seal_record(RECORD)


def test_unsigned_is_foreign_and_so_is_a_signature_of_another_key(
    opened: Opened, ours: KeyPair, theirs: KeyPair
) -> None:
    repository = opened(signers=[ours.signer()])
    forge(repository, "main/holds/20261122T020000Z-full/a-held-1.json", RECORD)
    with pytest.raises(RecordUnsigned, match=r"a-held-1\.json is not signed") as caught:
        repository.get_record("main/holds/20261122T020000Z-full/a-held-1.json")
    assert isinstance(caught.value, RecordForeign) and isinstance(caught.value, ObjectCorrupt)
    assert caught.value.error_code == "record_unsigned" and "docs/signing.md" in caught.value.hint
    opened(key_file=str(theirs.key_file)).put_record("main/erasures/20261122T020000Z-1.json", RECORD)
    with pytest.raises(RecordForeign, match=r"a key that is not in signing\.signers") as caught:
        repository.get_record("main/erasures/20261122T020000Z-1.json")
    assert caught.value.error_code == "record_foreign"
    assert set(repository.signatures.foreign) == {
        "main/holds/20261122T020000Z-full/a-held-1.json", "main/erasures/20261122T020000Z-1.json",
    }  # fmt: skip


@pytest.mark.parametrize("there", ["main/erasures/20261122T020000Z-2.json", "other/erasures/20261122T020000Z-1.json"])
def test_a_record_of_another_key_or_cluster_does_not_count(opened: Opened, ours: KeyPair, there: str) -> None:
    here = "main/erasures/20261122T020000Z-1.json"
    repository = opened(key_file=str(ours.key_file), signers=[ours.signer()])
    repository.put_record(here, RECORD)
    path_of(repository, there).parent.mkdir(parents=True, exist_ok=True)
    path_of(repository, there).write_bytes(path_of(repository, here).read_bytes())
    repository.get_record(here)
    with pytest.raises(RecordForeign, match="is not what ours signed"):
        opened(there.split("/")[0], signers=[ours.signer()]).get_record(there)


@pytest.mark.parametrize(
    "signature", [None, 7, "", "x", [], "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"]
)
def test_a_malformed_signature_is_foreign(opened: Opened, ours: KeyPair, signature: Any) -> None:
    repository = opened(signers=[ours.signer()])
    forge(repository, "main/erasures/20261122T020000Z-1.json", {**RECORD, "signature": signature})
    with pytest.raises(RecordForeign):
        repository.get_record("main/erasures/20261122T020000Z-1.json")


@settings(max_examples=examples(30))
@given(data=st.data())
def test_any_changed_byte_fails(data: st.DataObject, ours: KeyPair, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Damage to a record breaks its checksum; damage to signed content or the signature may have a correct one."""
    key = "main/erasures/20261122T020000Z-1.json"
    root = tmp_path_factory.mktemp("changed")
    parsed = config.parse({
        "cluster": "main", "repositories": [{"type": "directory", "path": str(root)}],
        "signing": {"key_file": str(ours.key_file), "signers": [ours.signer()]},
    })  # fmt: skip
    repository = Repository.open(parsed.repositories[0], "main")
    repository.put_record(key, RECORD)
    path = path_of(repository, key)
    raw = path.read_bytes()
    place, flipped = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255))
    path.write_bytes(raw[:place] + bytes([raw[place] ^ flipped]) + raw[place + 1 :])
    try:
        open_record(repository.get_record(key), key)
    except ObjectCorrupt:
        pass
    else:
        # Bytes between the fields hold nothing.
        assert json.loads(path.read_bytes()) == json.loads(raw)

    whole = json.loads(raw)
    signed = signatures.signed_bytes(key, whole)
    place = data.draw(st.integers(0, len(signed) - 1))
    assert not sshsig.verify(
        signed[:place] + bytes([signed[place] ^ flipped]) + signed[place + 1 :],
        whole["signature"],
        ours.signer()["key"],
    )
    blob = base64.b64decode("".join(whole["signature"].split("\n")[1:-2]))
    place = data.draw(st.integers(0, len(blob) - 1))
    changed = base64.b64encode(blob[:place] + bytes([blob[place] ^ flipped]) + blob[place + 1 :]).decode()
    forged = f"-----BEGIN SSH SIGNATURE-----\n{changed}\n-----END SSH SIGNATURE-----\n"
    forge(repository, key, {**whole, "signature": forged})
    with pytest.raises(RecordForeign):
        repository.get_record(key)


def test_an_unsigned_record_counts_by_the_time_of_the_store_not_by_its_own(opened: Opened, ours: KeyPair) -> None:
    until = NOW - timedelta(days=1)
    repository = opened(signers=[ours.signer()], unsigned_until=until.isoformat())
    old, new = "main/erasures/20261122T020000Z-1.json", "main/erasures/20261122T020000Z-2.json"
    for key in (old, new):
        forge(repository, key, {**RECORD, "at": "2020-01-01T00:00:00Z"})
    stamp = (until - timedelta(seconds=1)).timestamp()
    os.utime(path_of(repository, old), (stamp, stamp))
    assert [record.key for record in read_records(repository, "main/erasures/") if not record.error] == [old]
    assert repository.signatures.signed == {old: ""} and set(repository.signatures.foreign) == {new}
    repository.get_record(old)
    with pytest.raises(RecordUnsigned):
        repository.get_record(new)


def test_a_retired_key_counts_for_what_the_store_had_by_then(opened: Opened, ours: KeyPair, theirs: KeyPair) -> None:
    before, after = "main/erasures/20261122T020000Z-1.json", "main/erasures/20261122T020000Z-2.json"
    writing = opened(key_file=str(ours.key_file))
    until = NOW - timedelta(hours=1)
    for key in (before, after):
        writing.put_record(key, RECORD)
    stamp = (until - timedelta(seconds=1)).timestamp()
    os.utime(path_of(writing, before), (stamp, stamp))
    retired = ours.signer(until=until.isoformat())
    repository = opened(signers=[retired, theirs.signer()])
    assert [record.key for record in read_records(repository, "main/erasures/") if not record.error] == [before]
    assert "whose key was retired" in repository.signatures.foreign[after].message
    with pytest.raises(SigningFailed, match="is retired") as caught:
        opened(key_file=str(ours.key_file), signers=[retired]).put_record(
            "main/erasures/20261122T020000Z-3.json", RECORD
        )
    # It is listed already, and a key is listed once.
    assert caught.value.hint.startswith("Create a new key")


KINDS: List[Any] = [
    ("main/files/web/20261122T020000Z-files/manifest.json", {}, ["files/pg"], ["files"]),
    ("main/files/web/20261122T020000Z-files/manifest.json", {}, ["backup", "dump"], ["files/web"]),
    ("main/holds/20261122T020000Z-full/20261122T020000Z-released-1.json", {"held": False}, ["hold"], ["release"]),
    # A release that is named a hold is a release, and so is a hold that is named a release.
    ("main/holds/20261122T020000Z-full/20261122T020000Z-held-1.json", {"held": False}, ["hold"], ["release"]),
    ("main/holds/20261122T020000Z-full/20261122T020000Z-released-1.json", {"held": True}, ["hold"], ["release"]),
    ("main/holds/20261122T020000Z-full/20261122T020000Z-held-1.json", {"held": True}, ["release"], ["hold"]),
    ("main/backups/20261122T020000Z-full/manifest.json", {}, ["files"], ["backup"]),
    ("main/dumps/shop/20261122T020000Z-dump/manifest.json", {}, ["dump/other"], ["dump/shop"]),
    ("main/verifications/20261122T020000Z-1.json", {}, ["restore_test"], ["verification"]),
    ("main/restore_tests/20261122T020000Z-1.json", {}, ["verification"], ["restore_test"]),
    ("main/erasures/20261122T020000Z-1.json", {}, ["hold"], ["erasure"]),
    ("main/leadership/7/00000001.json", {}, ["repository"], ["epoch"]),
    ("main/diverged/7/20261122T020000Z-1a/diverged.json", {}, ["epoch"], ["diverged"]),
    ("main/damaged/20261122T020000Z-1a/repair.json", {}, ["repository"], ["repair"]),
    ("main/systems/7.json", {}, ["repair"], ["repository"]),
    # What is none of these is signed by keys that may sign anything.
    ("main/notes.json", {}, ["repair"], None),
]  # fmt: skip


@pytest.mark.parametrize("key, more, others, own", KINDS)
def test_a_key_that_is_limited_to_kinds_signs_nothing_else(
    opened: Opened, ours: KeyPair, key: str, more: Dict[str, Any], others: List[str], own: Any
) -> None:
    record = {**RECORD, **more}
    limited = opened(key_file=str(ours.key_file), signers=[ours.signer(kinds=others)])
    with pytest.raises(SigningFailed, match="would be ignored"):
        limited.put_record(key, record)
    opened(key_file=str(ours.key_file)).put_record(key, record)
    with pytest.raises(RecordForeign, match="ours, who may not sign"):
        limited.get_record(key)
    opened(signers=[ours.signer(kinds=own)]).get_record(key)


def test_a_forged_manifest_is_no_backup_and_a_damaged_one_is_reported_as_damaged(opened: Opened, ours: KeyPair) -> None:
    repository = opened(key_file=str(ours.key_file), signers=[ours.signer()])
    repository.adopt(SYSTEM)
    good, forged, broken = (a_backup(n, n + 10) for n in (100, 200, 300))
    for backup in (good, forged, broken):
        put_files(repository, backup)
    for backup in (good, broken):
        repository.put_record(repository.layout.manifest(backup.label), backup.as_dict())
    forge(repository, repository.layout.manifest(forged.label), forged.as_dict())
    path = path_of(repository, repository.layout.manifest(broken.label))
    path.write_bytes(path.read_bytes().replace(b'"timeline": 1', b'"timeline": 2'))
    catalog = load_catalog(repository)
    assert [b.label for b in catalog.backups] == [good.label]
    assert [(d.label, d.foreign) for d in catalog.damaged] == [(forged.label, True), (broken.label, False)]
    with pytest.raises(RecordUnsigned):
        catalog.find(forged.label)
    assert dump_manifest(forged) == path_of(repository, repository.layout.manifest(forged.label)).read_bytes()


def test_a_forged_release_frees_nothing_and_what_lies_over_a_hold_keeps_the_backup(
    opened: Opened, ours: KeyPair
) -> None:
    repository = opened(key_file=str(ours.key_file), signers=[ours.signer()])
    backup = a_backup()
    repository.adopt(SYSTEM)
    put_files(repository, backup)
    repository.put_record(repository.layout.manifest(backup.label), backup.as_dict())
    set_hold(repository, backup.label, True, "legal hold", "somebody")
    forged = {
        "format": FORMAT,
        "label": backup.label,
        "held": False,
        "reason": "",
        "by": "x",
        "at": "2999-01-01T00:00:00Z",
    }
    forge(repository, repository.layout.release(backup.label, moment(0), "00"), forged)
    assert read_holds(repository)[backup.label].reason == "legal hold"
    (held,) = [i.key for i in repository.store.list(repository.layout.holds) if "-held-" in i.key]
    forge(repository, held, {**forged, "held": False})
    assert "is not credible" in read_holds(repository)[backup.label].reason
    # A genuine release, later by the store's time, frees it.
    stamp = (NOW - timedelta(hours=1)).timestamp()
    os.utime(path_of(repository, held), (stamp, stamp))
    set_hold(repository, backup.label, False, "", "somebody")
    assert read_holds(repository) == {}


def test_all_records_are_examined_once(opened: Opened, ours: KeyPair) -> None:
    repository = opened(key_file=str(ours.key_file), signers=[ours.signer()])
    keys = sorted(case[0] for case in KINDS if case[3])
    for key in dict.fromkeys(keys):
        repository.put_record(key, {**RECORD, "held": "-held-" in key})
    forge(repository, "main/files/web/20261123T020000Z-files/manifest.json", RECORD)
    forge(repository, "main/files/web/20261123T020000Z-files/data.tar.zst", RECORD)
    look_at_all(repository)
    assert sorted(repository.signatures.signed) == sorted(dict.fromkeys(keys))
    assert list(repository.signatures.foreign) == ["main/files/web/20261123T020000Z-files/manifest.json"]
    look_at_all(opened())
