# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump in the directory format, which several processes write and read in parallel, in a temporary directory.

PostgreSQL writes such a dump only to files (pg_dump, ``--jobs``). It is stored as one tar archive of them.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import Iterable, Iterator, List, Mapping, Optional

from ..base.errors import DiskFull
from ..base.process import Drain, Feed, run
from ..base.temporary import temporary_directory

_NAME = "data"


@contextmanager
def place(staging_dir: Optional[str], needed: int) -> Iterator[str]:
    """A directory that is always removed; DiskFull if it lacks space for ``needed`` bytes."""
    with temporary_directory("lifeboat-dump-", staging_dir) as found:
        free = os.statvfs(found)
        if free.f_bavail * free.f_frsize < needed:
            raise DiskFull(
                f"{found} has {free.f_bavail * free.f_frsize} bytes free, but {needed} may be needed.",
                "Set another directory (staging_dir), or use the custom format and one job, which need none.",
                path=found,
            )
        yield found


def written(argv: List[str], directory: str, jobs: int, env: Mapping[str, str]) -> Iterator[bytes]:
    """Let ``pg_dump`` (``argv``) write into ``directory``, then yield the result as a tar archive."""
    run([*argv, "--format=directory", f"--jobs={jobs}", f"--file={os.path.join(directory, _NAME)}"], env=env)
    with tempfile.TemporaryFile() as words:
        yield from Drain(["tar", "--create", "--file=-", f"--directory={directory}", _NAME], words).chunks()


def unpacked(chunks: Iterable[bytes], directory: str) -> Iterator[int]:
    """Unpack such an archive, yielding the sizes of its chunks. ``pg_restore`` reads from :func:`inside`."""
    with tempfile.TemporaryFile() as words:
        tar = Feed(["tar", "--extract", "--no-same-owner", "--file=-", f"--directory={directory}"], words)
        try:
            yield from tar.pour(chunks)
        finally:
            tar.kill()


def inside(directory: str) -> str:
    """The path of the dump below ``directory``."""
    return os.path.join(directory, _NAME)
