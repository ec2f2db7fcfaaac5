# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration section ``signing``: the key that signs records, and the keys whose signatures count."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from ..records.model import read_aware
from .option import build, option, with_tuples

#: Kinds of records. ``files`` and ``dump`` may be limited to one set or database: ``files/SET``, ``dump/DATABASE``.
KINDS = (
    "repository", "backup", "files", "dump", "hold", "release", "verification", "restore_test", "erasure", "repair",
    "epoch", "drill", "incident", "diverged",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,126}\Z")
# The plain key types of OpenSSH, without certificates and DSA.
_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\Z"
)
_SECRET = re.compile(r"PRIVATE KEY", re.IGNORECASE)


@dataclass(frozen=True)
class SignerConfig:
    """A public key whose signatures count, as a line of ``authorized_keys``.

    ``kinds`` limits them to these kinds of records (none: all), ``until`` (aware) to records stored by then.
    """

    name: str = option("Name for messages.")
    key: str = option("Public key, as the line of its C(.pub) file.")
    kinds: Tuple[str, ...] = option(
        "Kinds of records for which this key counts, such as C(backup) or C(files/web). Default: all.", ()
    )
    until: Optional[datetime] = option("Time with a zone, for a retired key: only records stored by then count.", None)

    @property
    def blob(self) -> bytes:
        """The key as encoded in signatures."""
        return base64.b64decode(self.key.split()[1])

    @property
    def public(self) -> str:
        """Type and key, without the comment."""
        return " ".join(self.key.split()[:2])

    def may_sign(self, kind: str) -> bool:
        """Whether records of this kind (``backup``, ``files/web``) count when this key signed them."""
        return not self.kinds or kind in self.kinds or kind.split("/", 1)[0] in self.kinds


@dataclass(frozen=True)
class SigningConfig:
    """The key that signs records, and the keys whose signatures count."""

    key_file: Optional[str] = option(
        "Private key that signs the records of this host, readable by the cluster's owner.", None, path=True
    )
    root_key_file: Optional[str] = option(
        "Private key for records that root stores. Default: C(signing.key_file).", None, path=True
    )
    signers: Tuple[SignerConfig, ...] = option(
        "Public keys whose signatures count. If there are any, records that none of them signed do not count.",
        (),
    )
    unsigned_until: Optional[datetime] = option("Time with a zone. Unsigned records stored by then count.", None)


def parse_signing(item: Any, where: str) -> SigningConfig:
    """Check the section. The error for a private key in it does not quote the key."""
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: signing must be a mapping, not {type(item).__name__}.", "Give it a key_file and signers."
        )
    values = {k: v for k, v in item.items() if v is not None}
    for name in ("key_file", "root_key_file"):
        _refuse_secret(values.get(name), f"signing.{name}", where)
    raw = values.pop("signers", ())
    if not isinstance(raw, (list, tuple)):
        raise ConfigError(f"{where}: signing.signers must be a list.", "Give each signer a name and its public key.")
    signers = tuple(_signer(entry, f"signing.signers[{i}]", where) for i, entry in enumerate(raw))
    for what in ("name", "public"):
        seen = [getattr(signer, what) for signer in signers]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice:
            raise ConfigError(
                f"{where}: two signers of signing.signers share {twice!r}.", "List each name and each key once."
            )
    if "unsigned_until" in values:
        values["unsigned_until"] = read_aware(values["unsigned_until"], f"{where}: signing.unsigned_until")
    found: SigningConfig = build(SigningConfig, {**values, "signers": signers}, "signing", where)
    if found.unsigned_until and not found.signers:
        raise ConfigError(
            f"{where}: signing.unsigned_until is set without signing.signers.",
            "Add the public keys of the writing hosts to signing.signers; without signers every record counts.",
        )
    return found


def _signer(item: Any, path: str, where: str) -> SignerConfig:
    _refuse_secret(item.get("key") if isinstance(item, Mapping) else None, f"{path}.key", where)
    values = dict(with_tuples(item, ("kinds",), path, where))
    if values.get("until") is not None:
        values["until"] = read_aware(values["until"], f"{where}: {path}.until")
    signer: SignerConfig = build(SignerConfig, values, path, where)
    if not _NAME.match(signer.name):
        raise ConfigError(f"{where}: {path}.name is {signer.name!r}.", "Use letters, digits, '.', '_', '-' and '@'.")
    match = _KEY.match(signer.key.strip())
    if not match or not _is_key(*match.groups()):
        raise ConfigError(
            f"{where}: {path}.key is not a public key.", "Copy the line of the .pub file: ssh-ed25519 AAAA… comment."
        )
    if values.get("kinds") is not None and not signer.kinds:
        raise ConfigError(f"{where}: {path}.kinds is empty.", "Remove it to let the key sign all kinds.")
    for kind in signer.kinds:
        base, slash, name = kind.partition("/")
        if base not in KINDS or (slash and (base not in ("files", "dump") or not name)):
            raise ConfigError(
                f"{where}: {path}.kinds has {kind!r}.",
                f"Choose from {', '.join(KINDS)}, or name a single one with files/SET or dump/DATABASE.",
            )
    return SignerConfig(signer.name, signer.key.strip(), signer.kinds, signer.until)


def _refuse_secret(value: Any, path: str, where: str) -> None:
    if isinstance(value, str) and _SECRET.search(value):
        raise ConfigError(
            f"{where}: {path} is a private key.",
            "Name the file with the key instead. Generate a new pair, because this one has been exposed.",
        )


def _is_key(kind: str, text: str) -> bool:
    """Whether the key begins with its own type, as RFC 4253, section 6.6, requires."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    name = kind.encode()
    return blob.startswith(len(name).to_bytes(4, "big") + name) and len(blob) > len(name) + 4
