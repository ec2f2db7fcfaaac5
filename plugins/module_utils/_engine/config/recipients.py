# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the recipients of ``age``: public keys, never a secret key by mistake."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from ..base.errors import ConfigError

_RECIPIENT = re.compile(r"^(age1[0-9a-z]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( .*)?)\Z")
_SECRET = re.compile(r"AGE-SECRET-KEY|AGE-PLUGIN-|PRIVATE KEY", re.IGNORECASE)


def require_public(where: str, recipients: Sequence[str], identity_file: Optional[str]) -> None:
    """ConfigError unless these look like public keys and a path; its message never quotes a secret key. Pure."""
    given = {**{f"recipients[{i}]": r for i, r in enumerate(recipients)}, "identity_file": identity_file or ""}
    for key, value in given.items():
        if _SECRET.search(value):
            raise ConfigError(
                f"{where}: seal.{key} is a secret key.",
                "List public keys (age-keygen -y FILE prints one), and name the file with the secret key."
                " Generate a new pair, because this one has been exposed.",
            )
    for i, recipient in enumerate(recipients):
        if not _RECIPIENT.match(recipient):
            raise ConfigError(
                f"{where}: seal.recipients[{i}] is {recipient!r}.",
                "Use a public key of age (age1...) or of ssh (ssh-ed25519 ...).",
            )


def refuse_clear_pieces(where: str, recipients: Sequence[str], stream: bool) -> None:
    """ConfigError if WAL is sealed, but streamed pieces of it would not be."""
    if recipients and stream:
        raise ConfigError(
            f"{where}: wal.stream stores the unfinished segment unsealed, but seal has recipients.",
            "Disable wal.stream, or remove seal and let the store encrypt (sse).",
        )
