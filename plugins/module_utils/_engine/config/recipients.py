# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipients of ``age``: public keys, and never a secret one by mistake."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from ..base.errors import ConfigError

_RECIPIENT = re.compile(r"^(age1[0-9a-z]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( .*)?)\Z")
_SECRET = re.compile(r"AGE-SECRET-KEY|AGE-PLUGIN-|PRIVATE KEY", re.IGNORECASE)


def require_public(where: str, recipients: Sequence[str], identity_file: Optional[str]) -> None:
    """ConfigError unless these look like public keys and a path. A secret key is refused without being quoted. Pure."""
    given = {**{f"recipients[{i}]": r for i, r in enumerate(recipients)}, "identity_file": identity_file or ""}
    for key, value in given.items():
        if _SECRET.search(value):
            raise ConfigError(
                f"{where}: seal.{key} is a secret key.",
                "List public keys (age-keygen -y FILE prints one), and name the file that has the secret one."
                " Make a new pair, since this one was shown here.",
            )
    for i, recipient in enumerate(recipients):
        if not _RECIPIENT.match(recipient):
            raise ConfigError(
                f"{where}: seal.recipients[{i}] is {recipient!r}.",
                "Give a public key of age (age1...) or of ssh (ssh-ed25519 ...).",
            )


def refuse_clear_pieces(where: str, recipients: Sequence[str], stream: bool) -> None:
    """ConfigError if WAL is to be sealed, but streamed pieces of it would be stored unsealed."""
    if recipients and stream:
        raise ConfigError(
            f"{where}: wal.stream stores the unfinished segment in clear, and seal has recipients.",
            "Switch wal.stream off; or leave seal out, and let the store encrypt (sse).",
        )
