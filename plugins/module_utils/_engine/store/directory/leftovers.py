# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that crashed writers left in ``.tmp/`` of a directory store.

A writer holds ``flock(2)`` on its file until it closes it, so whoever gets the lock knows that nobody is writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from datetime import datetime, timezone
from typing import List, Optional

from ...base.errors import UntrustedPath
from ...base.tree import Tree

_OURS = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)


def claim(descriptor: int) -> None:
    """Lock the file for as long as it is open. Without locks on the file system, only the age of a file counts."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def names_in(temp: int) -> List[str]:
    """The names in ``.tmp/``; ``descriptor`` is of that directory, and may not be readable itself."""
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=temp)
    try:
        return os.listdir(readable)
    finally:
        os.close(readable)


def left_behind(tree: Tree, temp: int, name: str, remove_of: Optional[datetime] = None) -> Optional[os.stat_result]:
    """The facts of our own file if nobody is writing it; None for any other, and for one that was written meanwhile.

    With ``remove_of``, the time it was last written, it is unlinked under the lock.
    """
    if not _OURS.match(name):
        return None
    try:
        descriptor = tree.open(temp, name, name)
    except (OSError, UntrustedPath):
        return None
    try:
        # Shared, because the file is open for reading only, and NFS then allows nothing else.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            return None
        if remove_of is not None:
            if datetime.fromtimestamp(found.st_mtime, timezone.utc) != remove_of:
                return None
            os.unlink(name, dir_fd=temp)
        return found
    except OSError:
        return None
    finally:
        os.close(descriptor)
