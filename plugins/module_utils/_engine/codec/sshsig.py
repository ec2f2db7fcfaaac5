# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of OpenSSH: made and checked by ``ssh-keygen -Y`` (OpenSSH 8.2 or newer; format: PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import List, Optional

from ..base import process
from ..base.errors import DependencyMissing, SigningFailed
from ..base.temporary import temporary_directory

NAMESPACE = "lifeboat"
#: The most characters of an armored signature; one by a 16384-bit RSA key has 6000.
MOST = 16384
_ARMOR = re.compile(r"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?\Z")
_MAGIC = b"SSHSIG"
_REFUSED = "Could not verify signature"
# Seconds; the use of a key in an agent or on a token may have to be confirmed.
_TIMEOUT = 60.0
# Without a program that asks for a passphrase, nothing waits for a terminal.
_NO_QUESTIONS = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}


def sign(data: bytes, key_file: str) -> str:
    """The armored signature by this private key, or by an agent (``SSH_AUTH_SOCK``) that holds it. SigningFailed."""
    done = _keygen(["-Y", "sign", "-f", key_file, "-n", NAMESPACE], data)
    if done.status or not _ARMOR.match(done.stdout):
        raise _refused(key_file, done.stderr)
    return done.stdout


def verify(data: bytes, signature: str, public_key: str) -> bool:
    """Whether this is a signature by ``public_key`` (type and key) of ``data``, in our namespace."""
    if len(signature) > MOST or not _ARMOR.match(signature):
        return False
    try:
        with temporary_directory("lifeboat-signature-") as directory:
            allowed, armored = os.path.join(directory, "signers"), os.path.join(directory, "signature")
            for path, text in (
                (allowed, f'{NAMESPACE} namespaces="{NAMESPACE}" {public_key}\n'),
                (armored, signature),
            ):
                with open(path, "w", encoding="ascii") as stream:
                    stream.write(text)
            done = _keygen(["-Y", "verify", "-f", allowed, "-I", NAMESPACE, "-n", NAMESPACE, "-s", armored], data)
    except OSError as exc:
        raise SigningFailed(
            f"Cannot verify signatures: {exc.strerror} ({exc.filename}).", "Make room for temporary files."
        ) from exc
    if done.status and _REFUSED not in done.stdout:
        # Neither yes nor no: it was killed, this user has no entry in passwd, or it is too old for -Y.
        words = done.stderr.strip().split("\n", maxsplit=1)[0]
        raise SigningFailed(
            f"ssh-keygen -Y verify ended with status {done.status}: {words}", "Install OpenSSH 8.2 or newer."
        )
    return done.status == 0


def key_of(signature: str) -> Optional[bytes]:
    """The public key in a signature, in the form of :attr:`SignerConfig.blob`; None if there is none. Pure."""
    match = _ARMOR.match(signature) if len(signature) <= MOST else None
    if not match:
        return None
    try:
        blob = base64.b64decode(match.group(1).replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    # Magic, version (uint32), then the public key as a string.
    head = len(_MAGIC) + 4
    size = int.from_bytes(blob[head : head + 4], "big")
    key = blob[head + 4 : head + 4 + size]
    return key if blob.startswith(_MAGIC) and len(key) == size else None


def _keygen(arguments: List[str], data: bytes) -> process.Finished:
    try:
        return process.run(["ssh-keygen", *arguments], check=False, env=_NO_QUESTIONS, timeout=_TIMEOUT, data=data)
    except DependencyMissing as exc:
        raise DependencyMissing(
            "Program ssh-keygen not found; it signs and verifies records.",
            "Install the package openssh-client (Debian, Ubuntu) or openssh (RHEL).",
            program="ssh-keygen",
        ) from exc


def _refused(key_file: str, said: str) -> SigningFailed:
    words = " ".join(line for line in said.split("\n") if line.strip(" @")).strip()
    hint = "Set signing.key_file to a private OpenSSH key that this user can read."
    if "passphrase" in said:
        hint = "Use a key without a passphrase (ssh-keygen -p -f FILE), or load it into an ssh-agent (SSH_AUTH_SOCK)."
    elif "too open" in said:
        hint = f"chmod 0600 {key_file}: ssh-keygen refuses a private key that others can read."
    elif not os.access(key_file, os.R_OK):
        hint = "Check the path, owner and mode; ssh-keygen -t ed25519 -N '' -f FILE creates a key."
    return SigningFailed(f"Cannot sign with {key_file}: {words or 'no output'}", hint, key_file=key_file)
