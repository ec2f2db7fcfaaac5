# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster with 100 000 WAL segments: what the exporter lists and keeps in memory is bounded.

The listing is made up, so that no disk has to hold it; its records are real objects in a directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Dict

import pytest
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.repository.repository import Repository
from support.records import SYSTEM, a_backup, put_backup

SEGMENTS = 100_000
READINGS = 4
#: Measured: 61 MB beside the 31 MB of the program itself, and 76 MB from the second reading on.
MOST_MB = 140

SCRIPT = """
import json, sys
from datetime import datetime, timezone
from heapq import merge
from lifeboat.base.wal_names import Segment
from lifeboat.exporter import Fleet
from lifeboat.repository.layout import Layout
from lifeboat.store.directory.store import DirectoryStore
from lifeboat.store.protocol import ObjectInfo

system, segments, readings, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
layout, stored = Layout("shop"), datetime.now(timezone.utc)
real, listed = DirectoryStore.list, []

def every():
    # The first one is a real object.
    for number in range(2, segments + 1):
        yield ObjectInfo(layout.wal(system, Segment(1, number).name), 4_000_000, stored)

def listing(self, prefix="", start_after=""):
    count = 0
    wal = layout.wal_log(system, 1)
    within = wal.startswith(prefix) or prefix.startswith(wal)
    found = (info for info in every() if info.key.startswith(prefix)) if within else ()
    for info in merge(real(self, prefix, start_after), found, key=lambda info: info.key):
        count += 1
        yield info
    listed.append((prefix, count))

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

DirectoryStore.list = listing
fleet, out = Fleet(directory), []
before = peak()
for _ in range(readings):
    listed.clear()
    fleet.refresh()
    out.append({"peak": peak() - before, "lists": list(listed)})
reading = fleet.snapshot()[0][0].readings["near"]
run = reading.stored.contents.to_latest().run
print(json.dumps({
    "readings": out, "error": str(reading.error), "missing": run.missing_count,
    "last": run.segments[-1].name, "counted": reading.usage.usage.kinds["wal"].objects,
}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Several readings of that cluster, in a separate process."""
    root = tmp_path_factory.mktemp("many")
    place, etc = root / "near", root / "etc"
    place.mkdir()
    etc.mkdir()
    entry = {"name": "near", "type": "directory", "path": str(place)}
    (etc / "shop.yml").write_text(json.dumps({"cluster": "shop", "repositories": [entry]}))
    repository = Repository.open(RepositoryConfig("near", DirectoryOptions(str(place))), "shop")
    repository.adopt(SYSTEM)
    for number in (1, SEGMENTS // 2, SEGMENTS - 100):
        start = number * SIZE
        put_backup(repository, a_backup(number, number + 0.5, start + 40, start + 400, cluster="shop"))
    repository.store.put(repository.layout.wal(SYSTEM, Segment(1, 1).name), b"x")
    words = [sys.executable, "-c", SCRIPT, SYSTEM, str(SEGMENTS), str(READINGS), str(etc)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


def test_all_of_it_was_read(read: Dict[str, Any]) -> None:
    assert (read["error"], read["missing"]) == ("None", 0)
    assert (read["last"], read["counted"]) == (Segment(1, SEGMENTS).name, SEGMENTS)


def test_wal_is_listed_once_in_a_reading_and_everything_once_an_hour(read: Dict[str, Any]) -> None:
    for number, reading in enumerate(read["readings"]):
        large = [prefix for prefix, count in reading["lists"] if count > 1000]
        wal = f"shop/wal/{SYSTEM}/00000001/"
        assert large == ([wal, "shop/"] if number == 0 else [wal])
        # S3 answers a request for each 1000 objects: 100 for the WAL, one for each other kind.
        requests = sum(max(1, -(-count // 1000)) for _prefix, count in reading["lists"])
        assert requests <= (2 if number == 0 else 1) * SEGMENTS // 1000 + 20


def test_memory_is_bounded_and_does_not_grow_with_the_readings(read: Dict[str, Any]) -> None:
    peaks = [reading["peak"] for reading in read["readings"]]
    print(f"peaks beside the program itself, in MB: {peaks}")
    assert peaks[-1] < MOST_MB
    # The second reading has the first one beside it; after that nothing is added.
    assert peaks[-1] <= peaks[2] * 1.15
