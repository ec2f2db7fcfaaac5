# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol of channels, and reading their secrets."""

from __future__ import annotations

from typing import Optional, Protocol

from ..base.errors import ChannelRefused, UntrustedPath
from ..base.files import open_to_read
from .notice import Notice

_MOST = 64 * 1024


class Channel(Protocol):
    """One way to deliver notices."""

    def send(self, notice: Notice, token: str) -> str:
        """Try to deliver once; returns a remark, or "". ``token`` is the same at each attempt.

        ChannelUnavailable if another attempt may succeed, ChannelRefused or DependencyMissing if none can.
        """


def unreadable(path: str, why: str) -> ChannelRefused:
    """The error for an unreadable file of a channel."""
    return ChannelRefused(
        f"Cannot read {path}: {why}.", "Create it on this host, readable by root, and run this as root.", path=path
    )


def secret_of(value: Optional[str], path: Optional[str]) -> str:
    """A secret, given directly or by a file, without surrounding white space; empty if there is none."""
    if value or not path:
        return (value or "").strip()
    try:
        with open_to_read(path) as stream:
            found = stream.read(_MOST).decode("utf-8").strip()
    except (OSError, UntrustedPath, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not a text file that is safe to read"
        # No cause: it would contain the undecodable secret.
        raise unreadable(path, why or "it cannot be opened") from None
    if not found:
        raise ChannelRefused(f"{path} is empty.", "Write the secret into it.", path=path)
    return found
