# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every channel is, and how a secret reaches it."""

from __future__ import annotations

from typing import Optional, Protocol

from ..base.errors import ChannelRefused, UntrustedPath
from ..base.files import open_to_read
from .notice import Notice

_MOST = 64 * 1024


class Channel(Protocol):
    """One way to tell somebody."""

    def send(self, notice: Notice, token: str) -> str:
        """Deliver once; what is worth knowing of that, or nothing. ``token`` is the same at each attempt.

        ChannelUnavailable where another attempt may succeed, ChannelRefused and DependencyMissing where none would.
        """


def unreadable(path: str, why: str) -> ChannelRefused:
    """For a file of a channel."""
    return ChannelRefused(
        f"Cannot read {path}: {why}.", "Write it on this host, readable by root, and run this as root.", path=path
    )


def secret_of(value: Optional[str], path: Optional[str]) -> str:
    """A secret that is given itself or by a file, without white space around it; empty where there is none."""
    if value or not path:
        return (value or "").strip()
    try:
        with open_to_read(path) as stream:
            found = stream.read(_MOST).decode("utf-8").strip()
    except (OSError, UntrustedPath, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not a text file that is safe to read"
        # No cause: what cannot be decoded is the secret itself.
        raise unreadable(path, why or "it cannot be opened") from None
    if not found:
        raise ChannelRefused(f"{path} is empty.", "Write the secret into it.", path=path)
    return found
