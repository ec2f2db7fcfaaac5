# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``signing``: what is accepted, what is refused, and what is shown."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.cli.main import main
from lifeboat.config import load as config

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPcyJz3Ixii6UMD4kqomWrF3acjqzdeY4s6QVJf6hiyi postgres@shop-db1"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"


def parsed(**signing: Any) -> config.Config:
    entry = {"type": "directory", "path": "/srv/backups"}
    return config.parse({"cluster": "main", "repositories": [entry], "signing": signing})


def signer(**more: Any) -> Dict[str, Any]:
    return {"name": "shop-db1", "key": KEY, **more}


def test_every_repository_has_it() -> None:
    found = parsed(
        key_file="/etc/lifeboat/main.signing.key", unsigned_until="2026-11-22T02:00:00Z",
        signers=[signer(kinds=["backup", "files/web"], until="2027-01-01T00:00:00+01:00")],
    )  # fmt: skip
    assert found.repositories[0].signing == found.signing
    (one,) = found.signing.signers
    assert found.signing.unsigned_until == datetime(2026, 11, 22, 2, tzinfo=timezone.utc)
    assert one.until == datetime(2026, 12, 31, 23, tzinfo=timezone.utc)
    assert one.public == KEY.rsplit(" ", 1)[0] and one.blob.startswith(b"\0\0\0\x0bssh-ed25519\0\0\0 ")
    assert one.may_sign("backup") and one.may_sign("files/web")
    assert not one.may_sign("files/etc") and not one.may_sign("release")
    assert config.SigningConfig() == config.parse(
        {"cluster": "main", "repositories": [{"type": "directory", "path": "/srv/backups"}]}
    ).repositories[0].signing  # fmt: skip


@pytest.mark.parametrize(
    "section, words",
    [
        ({"signers": "x"}, "signing.signers must be a list"),
        ({"signers": ["x"]}, r"signing.signers\[0\] must be a mapping"),
        ({"signers": [{"name": "a"}]}, r"signing.signers\[0\].key is missing"),
        ({"signers": [signer(name="a b")]}, r"signers\[0\].name is 'a b'"),
        ({"signers": [signer(key="ssh-ed25519 AAAA")]}, r"signers\[0\].key is not a public key"),
        ({"signers": [signer(key=KEY + "\nssh-rsa AAAA")]}, "is not a public key"),
        ({"signers": [signer(key='command="x" ' + KEY)]}, "is not a public key"),
        ({"signers": [signer(key=KEY.replace("ssh-ed25519 ", "ssh-rsa "))]}, "is not a public key"),
        ({"signers": [signer(key=KEY.replace("ssh-ed25519 ", "ssh-dss "))]}, "is not a public key"),
        ({"signers": [signer(kinds=["wal"])]}, r"signers\[0\].kinds has 'wal'"),
        ({"signers": [signer(kinds=["backup/x"])]}, "kinds has 'backup/x'"),
        ({"signers": [signer(kinds=[])]}, "kinds is empty"),
        ({"signers": [signer(until="2027-01-01T00:00:00")]}, r"signers\[0\].until is"),
        ({"signers": [signer(), signer(name="other")]}, "two signers of signing.signers share 'ssh-ed25519"),
        ({"signers": [signer(), signer(key=KEY.replace("hiyi", "hiyj"))]}, "share 'shop-db1'"),
        ({"unsigned_until": "2026-11-22T02:00:00Z"}, "unsigned_until is set without signing.signers"),
        ({"signers": [signer()], "unsigned_until": "yesterday"}, "signing.unsigned_until is 'yesterday'"),
        ({"key": "x"}, "unknown option signing.key"),
    ],
)  # fmt: skip
def test_an_impossible_signing_section_is_refused(section: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parsed(**section)


@pytest.mark.parametrize(
    "section", [{"key_file": PRIVATE}, {"root_key_file": PRIVATE}, {"signers": [{"name": "a", "key": PRIVATE}]}]
)
def test_a_private_key_is_refused_without_a_word_of_it(section: Dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is a private key") as caught:
        parsed(**section)
    assert "b3BlbnNz" not in str(caught.value)


def test_it_is_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "main.yml"
    entry = {"type": "directory", "path": "/srv/backups"}
    section = {"signers": [signer()], "unsigned_until": "2026-11-22T02:00:00Z"}
    path.write_text(json.dumps({"cluster": "main", "repositories": [entry], "signing": section}))
    assert main(["--config", str(path), "config"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("AAAAC3NzaC1lZDI1NTE5") == 1 and "signing.unsigned_until: 2026-11-22 02:00:00+00:00" in shown
