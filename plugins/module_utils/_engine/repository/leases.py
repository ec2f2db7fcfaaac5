# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases: a restore says in the repository that it reads it, so that retention waits.

The beginning and the end are objects of their own, written once. A restore that may only read says nothing, and one
that died is believed for a day.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Iterator, List

from ..errors import LifeboatError
from .repository import Repository

_BELIEVED = timedelta(days=1)


@contextmanager
def reading(repository: Repository, label: str) -> Iterator[None]:
    """While inside, other hosts see that this backup is being restored, if this one may write that."""
    token = secrets.token_hex(6)
    told = False
    with contextlib.suppress(LifeboatError):
        repository.store.put(repository.layout.lease(token, "begun"), f"{label} on {socket.gethostname()}\n".encode())
        told = True
    try:
        yield
    finally:
        if told:
            with contextlib.suppress(LifeboatError):
                repository.store.put(repository.layout.lease(token, "ended"), b"")


def restores_under_way(repository: Repository, now: datetime) -> List[str]:
    """What is being restored and where, in words."""
    found = list(repository.store.list(repository.layout.leases))
    ended = {info.key.rsplit("/", 1)[0] for info in found if info.key.endswith("/ended")}
    return [
        repository.store.get(info.key).decode(errors="replace").strip()
        for info in found
        if info.key.endswith("/begun") and info.key.rsplit("/", 1)[0] not in ended and now - info.modified < _BELIEVED
    ]
