# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that change while a process runs.

boto3 reads a profile, a shared credentials file and the output of a ``credential_process`` without an expiry only
once. So after a refusal they are reread, and if they have changed the request is retried with them.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional, Tuple

from ...base.errors import ConfigError
from .sdk import exceptions

#: Credentials that renew themselves (a role of the instance or container), or cannot change within a process.
_OWN = ("explicit", "env", "iam-role", "container-role")


class Rotating:
    """A client, replaced by another one when its credentials change. ``make`` rereads them each time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock = make, threading.Lock()
        self.client = make()

    def renewed(self, refused: Any) -> bool:
        """Whether credentials other than the refused client's were found; :attr:`client` then uses them."""
        with self._lock:
            if self.client is not refused:
                return True  # Another thread has already renewed them.
            before = _credentials(refused)
            if before is None:
                return False
            try:
                client = self._make()
            except ConfigError:
                return False  # The file is being written, or the profile is gone: report the refusal.
            if _credentials(client) in (None, before):
                client.close()
                return False
            self.client = client
            return True


def _credentials(client: Any) -> Optional[Tuple[str, ...]]:
    """A client's credentials, for which there is no public API; None if rereading could not yield others."""
    found = getattr(getattr(client, "_request_signer", None), "_credentials", None)
    if found is None or found.method in _OWN:
        return None
    try:
        frozen = found.get_frozen_credentials()
    except exceptions.BotoCoreError:
        return None
    return frozen.access_key or "", frozen.secret_key or "", frozen.token or ""
