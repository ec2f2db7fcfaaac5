# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flush restored files while others are unpacked, which alone leaves the disk idle."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Iterator, List, Sequence

from ..base.errors import DependencyMissing, ProcessFailed
from ..base.process import run

_REST = 0.2


@contextmanager
def flushing(directories: Sequence[str]) -> Iterator[None]:
    """In the block, run ``sync --file-system`` (syncfs(2)) repeatedly for those directories that exist.

    This is a head start for the server's own sync at startup (``recovery_init_sync_method``). A write error reported
    here is not reported to the server again, so it raises ProcessFailed at the end.
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
    # Not after a failure: an interrupted restore does not wait for a slow disk.
    worker.join()
    if failures:
        raise failures[0]
