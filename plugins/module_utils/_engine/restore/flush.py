# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write restored files to the disk while more of them are unpacked, which leaves the disk idle."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Iterator, List, Sequence

from ..errors import DependencyMissing, ProcessFailed
from ..process import run

_REST = 0.2


@contextmanager
def flushing(directories: Sequence[str]) -> Iterator[None]:
    """While inside, ``sync --file-system`` (syncfs(2)) again and again for those of the directories that are there.

    It only begins what the server's own pass over the files completes when it starts (``recovery_init_sync_method``).
    That pass is not told of an error in writing that was told here: ProcessFailed at the end then.
    """
    stop = threading.Event()
    failures: List[ProcessFailed] = []

    def repeat() -> None:
        while not failures and not stop.wait(_REST):
            there = [path for path in directories if os.path.isdir(path)]
            try:
                if there:
                    run(["sync", "--file-system", *there])
            except ProcessFailed as exc:
                failures.append(exc)
            except DependencyMissing:
                return

    worker = threading.Thread(target=repeat, name="lifeboat-flush", daemon=True)
    worker.start()
    try:
        yield
    finally:
        stop.set()
    # Not where something failed: an interrupted restore does not wait for a slow disk.
    worker.join()
    if failures:
        raise failures[0]
