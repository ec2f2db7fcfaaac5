# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that sign records: whose they are, and which are refused in advance."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import pytest
from lifeboat.base.errors import (
    DependencyMissing,
    RecordTooNew,
    RecordUnsigned,
    SigningFailed,
)
from lifeboat.codec import sshsig
from lifeboat.config import load as config
from lifeboat.records.model import FORMAT_VOLUMES
from lifeboat.repository import signatures
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.repository import Repository
from support.signing import RECORD, KeyPair, Opened, forge, key_pair, path_of


def test_root_signs_by_its_own_key_and_everybody_else_by_the_owners(
    ours: KeyPair, theirs: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = signatures.Signatures(
        config.parse(
            {
                "cluster": "main", "repositories": [{"type": "directory", "path": "/nowhere"}],
                "signing": {"key_file": str(ours.key_file), "root_key_file": str(theirs.key_file)},
            }
        ).signing
    )  # fmt: skip
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert found.key_file == str(ours.key_file)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found.key_file == str(theirs.key_file)
    assert replace(found, config=replace(found.config, root_key_file=None)).key_file == str(ours.key_file)


def test_without_a_key_nothing_is_stored_where_records_must_be_signed(opened: Opened, ours: KeyPair) -> None:
    repository = opened(signers=[ours.signer()])
    with pytest.raises(SigningFailed, match="this host has no key"):
        repository.put_record("main/erasures/20261122T020000Z-1.json", RECORD)
    assert not list(repository.store.list(""))
    with pytest.raises(SigningFailed, match="this host has no key"):
        repository.signatures.require("backup")
    opened().signatures.require("backup")


def test_a_key_that_is_not_listed_or_may_not_sign_is_refused_before_the_work(
    opened: Opened, ours: KeyPair, theirs: KeyPair
) -> None:
    with pytest.raises(SigningFailed, match="is not listed") as caught:
        opened(key_file=str(theirs.key_file), signers=[ours.signer()]).signatures.require("backup")
    assert caught.value.hint.startswith("Add its public key to signing.signers")
    with pytest.raises(SigningFailed, match="may not sign it") as caught:
        opened(key_file=str(ours.key_file), signers=[ours.signer(kinds=["backup"])]).signatures.require("files/web")
    assert caught.value.hint.startswith("Add files/web to the kinds of ours")
    opened(key_file=str(ours.key_file), signers=[ours.signer(kinds=["backup"])]).signatures.require("backup")


def test_a_key_with_a_passphrase_is_refused_at_once(tmp_path: Path) -> None:
    locked = key_pair(tmp_path, "locked", passphrase="not asked for")
    with pytest.raises(SigningFailed, match="passphrase") as caught:
        sshsig.sign(b"x", str(locked.key_file))
    assert "ssh-agent" in caught.value.hint


def test_a_missing_key_file_or_one_open_to_others_is_reported(tmp_path: Path, ours: KeyPair) -> None:
    with pytest.raises(SigningFailed, match="No such file") as caught:
        sshsig.sign(b"x", str(tmp_path / "nothing"))
    assert "ssh-keygen -t ed25519" in caught.value.hint
    wide = tmp_path / "wide"
    wide.write_bytes(ours.key_file.read_bytes())
    wide.chmod(0o640)
    with pytest.raises(SigningFailed, match="too open") as caught:
        sshsig.sign(b"x", str(wide))
    assert caught.value.hint.startswith(f"chmod 0600 {wide}")


def test_without_ssh_keygen_its_package_is_named(
    ours: KeyPair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyMissing, match="ssh-keygen") as caught:
        sshsig.sign(b"x", str(ours.key_file))
    assert "openssh-client" in caught.value.hint


def test_a_verification_that_gives_no_answer_makes_no_record_foreign(
    ours: KeyPair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signature = sshsig.sign(b"x", str(ours.key_file))
    broken = tmp_path / "ssh-keygen"
    broken.write_text("#!/bin/sh\necho 'No user exists for uid 7' >&2\nexit 255\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SigningFailed, match="No user exists"):
        sshsig.verify(b"x", signature, ours.signer()["key"])


def test_a_signature_of_another_purpose_does_not_count(ours: KeyPair, tmp_path: Path) -> None:
    """The same key may sign git commits, in another namespace."""
    from support.processes import run_program

    (tmp_path / "data").write_bytes(b"x")
    run_program("ssh-keygen", "-q", "-Y", "sign", "-f", str(ours.key_file), "-n", "git", str(tmp_path / "data"))
    other = (tmp_path / "data.sig").read_text()
    assert sshsig.key_of(other) == sshsig.key_of(sshsig.sign(b"x", str(ours.key_file)))
    assert not sshsig.verify(b"x", other, ours.signer()["key"])


def test_a_record_of_a_newer_format_is_signed_as_any_other(ours: KeyPair, opened: Opened) -> None:
    """Its contents are unknown, but whether it counts is known."""
    both = opened(signers=[ours.signer()], key_file=str(ours.key_file))
    record = {"format": FORMAT_VOLUMES + 1, "label": "20261122T020000Z-full", "shape": {"new": [1, 2]}}
    key = both.layout.manifest("20261122T020000Z-full")
    both.put_record(key, record)
    (damaged,) = load_catalog(both).damaged
    assert isinstance(damaged.error, RecordTooNew) and damaged.newer and not damaged.foreign
    path_of(both, key).unlink()
    other = _signed(both, record)
    forge(both, key, {**record, "signature": json.loads(both.store.get(other))["signature"]})
    path_of(both, other).unlink()
    (damaged,) = load_catalog(both).damaged
    assert damaged.foreign and not damaged.newer
    path_of(both, key).unlink()
    forge(both, key, record)
    assert isinstance(load_catalog(both).damaged[0].error, RecordUnsigned)


def _signed(repository: Repository, record: Mapping[str, Any]) -> str:
    """The same record, signed for another key."""
    key = repository.layout.manifest("20261122T030000Z-full")
    repository.put_record(key, record)
    return key
