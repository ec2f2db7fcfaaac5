# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of the machine itself: no tool can be faster."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict

from lifeboat.store import open_store
from support.postgres import Cluster
from tls_store import TlsStore

_OBJECT = 16 * 2**20
_OBJECTS = 24


def limits(cluster: Cluster, store: TlsStore, data: int, work: Path) -> Dict[str, float]:
    """MB (10^6 bytes) per second: of data for the first two, of objects for the store."""
    basebackup = (
        f"{cluster.installation.program('pg_basebackup')} -h {cluster.socket_dir} -p {cluster.port} -U postgres"
        " -D - -Ft -X none --checkpoint=fast > /dev/null"
    )
    found = {"pg_basebackup to /dev/null": data / 1e6 / _seconds(["bash", "-c", basebackup])}
    copy = work / "copy"
    found["cp -a of the data directory"] = data / 1e6 / _seconds(["cp", "-a", str(cluster.data_dir), str(copy)])
    shutil.rmtree(copy)
    opened = open_store(store.options("limits"))
    content = secrets.token_bytes(_OBJECT)
    with ThreadPoolExecutor(4) as pool:
        begin = time.monotonic()
        list(pool.map(lambda i: opened.put(f"{i}", content), range(_OBJECTS)))
        found["put, 16 MiB objects, 4 at a time"] = _OBJECT * _OBJECTS / 1e6 / (time.monotonic() - begin)
        begin = time.monotonic()
        list(pool.map(lambda i: len(opened.get(f"{i}")), range(_OBJECTS)))
        found["get, 16 MiB objects, 4 at a time"] = _OBJECT * _OBJECTS / 1e6 / (time.monotonic() - begin)
    opened.delete([f"{i}" for i in range(_OBJECTS)])
    opened.close()
    return found


def _seconds(argv: list[str]) -> float:
    begin = time.monotonic()
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def machine() -> str:
    """Processor, cores, memory and kernel in one line."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((w.partition(": ")[2] for w in text.splitlines() if w.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB of memory, Linux {platform.release()}"
