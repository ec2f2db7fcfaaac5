# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repositories did not answer a standby's last ``restore_command``, so that the next ones do not wait for them.

PostgreSQL starts the command anew for each segment and history file. Without this, each of them would wait for the
timeouts of a store that is down, and so would every command of a failover.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import Dict, Iterable, Mapping

from ..base import clock
from ..base.files import SAFE

#: In pg_wal, which no base backup contains: only the server's user can write there.
STATE = "lifeboat_silent.json"
# Seconds. A store that is back is asked again after that.
LIFETIME = 30.0
_MAX_SIZE = 65536


def still_silent(marks: Mapping[str, float], now: float) -> Dict[str, float]:
    """The marks that still hold at ``now``, on a monotonic clock: one from before a reboot is usually later. Pure."""
    return {name: since for name, since in marks.items() if 0 <= now - since < LIFETIME}


def marked(before: Mapping[str, float], silent: Iterable[str], now: float) -> Dict[str, float]:
    """The marks after a command that found ``silent``. One that was not asked keeps the age of its mark. Pure."""
    holding = still_silent(before, now)
    return {name: holding.get(name, now) for name in silent}


def read_silent(wal_dir: str) -> Dict[str, float]:
    """When each repository that is not to be asked now did not answer, by its name and location (:func:`key_of`).

    Empty if nothing is known, or if the file is not this user's.
    """
    try:
        descriptor = os.open(os.path.join(wal_dir, STATE), os.O_RDONLY | SAFE)
    except OSError:
        return {}
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            return {}
        try:
            found = json.loads(stream.read(_MAX_SIZE))
            marks = {str(name): float(since) for name, since in found.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}
    return still_silent(marks, clock.monotonic())


def write_silent(wal_dir: str, before: Mapping[str, float], silent: Iterable[str]) -> None:
    """Save which did not answer. After a failure the next command asks all of them."""
    marks = marked(before, silent, clock.monotonic())
    if marks == before:
        return
    path = os.path.join(wal_dir, STATE)
    with contextlib.suppress(OSError):
        with open(f"{path}.new", "w", encoding="utf-8") as stream:
            json.dump(marks, stream)
        os.replace(f"{path}.new", path)


def key_of(name: str, location: str) -> str:
    """The key of a mark: another store under the same name is asked."""
    return f"{name} {location}"
