# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed a record, and whether the signature is valid.

The field ``signature`` covers the record and its key, so a record that was moved to another key or cluster has no valid
signature. Without configured signers, every record counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ..base.errors import ObjectCorrupt, RecordForeign, RecordTooNew, RecordUnsigned, SigningFailed
from ..codec import sshsig
from ..config.signing import SignerConfig, SigningConfig
from ..records.model import format_time, open_record
from .kinds import kind_of, record_kind

_HINT = (
    "Find out who wrote it; it is ignored. docs/signing.md describes what to do, also about records that are"
    " older than the signing key."
)
_TRIAL = b"lifeboat trial\n"
# Signatures already verified by this process, by a digest of everything verified. They stay valid.
_VERIFIED: Dict[bytes, bool] = {}


def signed_bytes(key: str, record: Mapping[str, Any]) -> bytes:
    """The signed bytes: the key, and the record without checksum and signature, keys sorted, no white space. Pure."""
    body = {k: v for k, v in record.items() if k not in ("sha256", "signature")}
    return json.dumps({"key": key, "record": body}, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Signatures:
    """The signatures of one repository's records.

    ``signed``: by key, the signers of the valid records read so far ("" for an unsigned one); ``foreign``: why others
    do not count.
    """

    config: SigningConfig = SigningConfig()
    cluster: str = ""
    signed: Dict[str, str] = field(default_factory=dict)
    foreign: Dict[str, RecordForeign] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        """Whether unsigned records are ignored."""
        return bool(self.config.signers)

    @property
    def key_file(self) -> Optional[str]:
        """The private key of the user who runs this."""
        return (self.config.root_key_file if os.geteuid() == 0 else None) or self.config.key_file

    def require(self, *kinds: str) -> None:
        """SigningFailed if records of these kinds must be signed but cannot be signed here. Tested with a signature."""
        if self.required or self.key_file:
            signature = self._sign(_TRIAL)
            for kind in kinds:
                self._own(signature, kind)

    def sign(self, key: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record, signed if there is a key. SigningFailed if the signature would not be valid."""
        if not self.required and not self.key_file:
            return record
        signature = self._sign(signed_bytes(key, record))
        self._own(signature, record_kind(self.cluster, key, record))
        return {**record, "signature": signature}

    def require_genuine(self, key: str, raw: bytes, modified: Callable[[], Optional[datetime]]) -> None:
        """RecordForeign unless the record counts. ``modified`` returns when it was stored; called only if that matters.

        Damaged records pass: opening them reports the damage.
        """
        # Events of the audit trail have their own chain of digests, in every repository and in a file.
        if not self.required or kind_of(self.cluster, key).name in ("audit", "history"):
            return
        try:
            open_record(raw, key)
        except RecordTooNew:
            pass  # The record is intact, and its signature covers all of it.
        except ObjectCorrupt:
            return
        try:
            self.signed[key] = self._judge(key, json.loads(raw), modified)
            self.foreign.pop(key, None)
        except RecordForeign as exc:
            self.foreign[key] = exc
            self.signed.pop(key, None)
            raise

    def _judge(self, key: str, record: Mapping[str, Any], modified: Callable[[], Optional[datetime]]) -> str:
        signature = record.get("signature")
        if signature is None:
            if _by(modified, self.config.unsigned_until):
                return ""
            raise RecordUnsigned(f"{key} is not signed.", _HINT, key=key)
        blob = sshsig.key_of(signature) if isinstance(signature, str) else None
        signer = next((s for s in self.config.signers if s.blob == blob), None)
        if signer is None:
            raise RecordForeign(f"{key} is signed by a key that is not in signing.signers.", _HINT, key=key)
        kind = record_kind(self.cluster, key, record)
        if not signer.may_sign(kind):
            raise RecordForeign(f"{key} is signed by {signer.name}, who may not sign {kind}.", _HINT, key=key)
        if not _verified(signed_bytes(key, record), signature, signer):
            raise RecordForeign(f"{key} is not what {signer.name} signed.", _HINT, key=key)
        if signer.until and not _by(modified, signer.until):
            raise RecordForeign(
                f"{key} is signed by {signer.name}, whose key was retired at {format_time(signer.until)}.",
                _HINT,
                key=key,
            )
        return signer.name

    def _sign(self, data: bytes) -> str:
        if not self.key_file:
            raise SigningFailed(
                "Records must be signed (signing.signers), but this host has no key.",
                "Create a key (ssh-keygen -t ed25519 -N '' -f FILE), set signing.key_file to it, and add its public"
                " key to signing.signers, here and wherever the repository is read.",
            )
        return sshsig.sign(data, self.key_file)

    def _own(self, signature: str, kind: str) -> None:
        """SigningFailed unless signatures by our own key are valid for this kind."""
        blob = sshsig.key_of(signature)
        signer = next((s for s in self.config.signers if s.blob == blob), None)
        if self.required and (signer is None or not signer.may_sign(kind) or signer.until):
            why, hint = _why_not(signer, kind)
            raise SigningFailed(
                f"A record of the kind {kind} would be ignored: in signing.signers {self.key_file} {why}.",
                f"{hint}, here and wherever the repository is read.",
                kind=kind,
            )


def _why_not(signer: Optional[SignerConfig], kind: str) -> Tuple[str, str]:
    """Why a signature by our own key would not be valid, and a hint. Pure."""
    if signer is None:
        return "is not listed", "Add its public key to signing.signers"
    if signer.until:
        return "is retired (until)", (
            "Create a new key (ssh-keygen -t ed25519 -N '' -f FILE), set signing.key_file to it, and add its public key"
            " to signing.signers"
        )
    return f"may not sign it ({signer.name}.kinds)", f"Add {kind} to the kinds of {signer.name} in signing.signers"


def _by(modified: Callable[[], Optional[datetime]], moment: Optional[datetime]) -> bool:
    stored = modified() if moment else None
    return moment is not None and stored is not None and stored <= moment


def _verified(data: bytes, signature: str, signer: SignerConfig) -> bool:
    digest = hashlib.sha256(b"\0".join((signer.public.encode(), signature.encode(), data))).digest()
    if digest not in _VERIFIED:
        _VERIFIED[digest] = sshsig.verify(data, signature, signer.public)
    return _VERIFIED[digest]


def told(signatures: Signatures) -> Tuple[Mapping[str, Any], ...]:
    """The foreign records found so far, as JSON-serializable data."""
    return tuple({"key": key, **exc.as_dict()} for key, exc in sorted(signatures.foreign.items()))
