# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a valid recipient, and what is a secret given by mistake."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import parse
from lifeboat.config.sections import SealConfig

PUBLIC = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx+/8= our private laptop"
REPOSITORIES = [{"type": "directory", "path": "/backup"}]


def seal(values: Any) -> SealConfig:
    return parse({"cluster": "main", "repositories": REPOSITORIES, "seal": values}).seal


def test_public_keys_and_where_the_identity_is() -> None:
    found = seal({"recipients": [PUBLIC, SSH, "age1yubikey1qwzfx"], "identity_command": ["vault", "read", "token"]})
    assert found.recipients == (PUBLIC, SSH, "age1yubikey1qwzfx")
    assert found.has_identity and "token" not in repr(found)
    assert not seal({"recipients": [PUBLIC]}).has_identity
    assert parse({"cluster": "main", "repositories": REPOSITORIES}).seal == SealConfig()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recipients": PUBLIC}, "recipients must be a list"),
        ({"recipients": [7]}, "recipients must be a list"),
        ({"recipients": ["/etc/key.txt"]}, r"recipients\[0\] is '/etc/key.txt'"),
        ({"recipients": [PUBLIC, f"-r {PUBLIC}"]}, r"recipients\[1\]"),
        ({"recipients": [PUBLIC + "\n"]}, r"recipients\[0\]"),
        ({"identity_command": "cat key"}, "identity_command must be a list"),
        ({"identity_file": "/a", "identity_command": ["b"]}, "both identity_file and identity_command"),
        ({"identities": []}, "unknown option seal.identities"),
        ([PUBLIC], "seal must be a mapping"),
    ],
)
def test_what_cannot_work_names_its_option(values: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        seal(values)


@given(
    st.sampled_from(
        ["AGE-SECRET-KEY-1{}", "age-secret-key-1{}", " AGE-PLUGIN-YUBIKEY-1{}", "-----BEGIN PRIVATE KEY-----{}"]
    ),
    st.sampled_from(["recipients", "identity_file"]),
    st.text("023456789ACDEFGHJKLMNPQRSTUVWXYZ", min_size=12, max_size=58),
)
def test_a_secret_in_the_wrong_place_is_not_repeated(kind: str, option: str, secret: str) -> None:
    value = kind.format(secret)
    values: Dict[str, Any] = {option: [PUBLIC, value] if option == "recipients" else value}
    with pytest.raises(ConfigError, match="is a secret key") as caught:
        seal(values)
    assert secret not in str(caught.value)
