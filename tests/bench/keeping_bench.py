# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeping costs: a plan of retention over a listing of a million objects, and sync and verify over S3.

The listing is made up: 400 days of WAL at one segment each 35 seconds, with a full backup a week, kept for 30 days.
Sync copies and verify reads real segments of 16 MiB between a directory and SeaweedFS on this machine.

    PYTHONPATH=.build/lib:tests:tools tools/unprivileged .venv/bin/python tests/bench/keeping_bench.py
"""

from __future__ import annotations

import json
import resource
import secrets
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator

from lifeboat.base.wal_names import Segment
from lifeboat.config.load import DirectoryOptions
from lifeboat.config.retention import RetentionConfig
from lifeboat.records.model import ArchiveFile
from lifeboat.repository.chain import find_chains
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.retention.plan import Facts, make_plan
from lifeboat.store.protocol import ObjectInfo
from support.installations import installations
from support.postgres import Sites, Templates, entry
from support.records import a_backup
from support.stores import SeaweedFS, s3_options_for

SIZE = 16 * 2**20
SYSTEM = "7000000000000000001"
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
LAYOUT = Layout("main")


def plan(objects: int) -> Dict[str, Any]:
    """Seconds and peak MB of a plan for this many objects, including which locks end soon."""
    step = timedelta(days=400) / objects
    begin = NOW - timedelta(days=400)
    backups = []
    for week in range(57):
        at = begin + timedelta(days=7 * week)
        number = int((at - begin) / step) + 1
        backups.append(
            replace(
                a_backup(), label=make_label(at, "full"), type="full", parent=None, system_identifier=SYSTEM,
                timeline=1, start_lsn=number * SIZE + 40, stop_lsn=number * SIZE + 240, segment_size=SIZE,
                started_at=at, finished_at=at + step,
                files=(ArchiveFile("base.tar.zst", 10**10, "a" * 64), ArchiveFile("backup_manifest", 10**6, "b" * 64)),
            )
        )  # fmt: skip

    def listing() -> Iterator[ObjectInfo]:
        for backup in backups:
            for file in backup.files:
                yield ObjectInfo(LAYOUT.backup(backup.label, file.name), file.size, backup.finished_at)
            yield ObjectInfo(LAYOUT.manifest(backup.label), 10**4, backup.finished_at)
        for number in range(1, objects + 1):
            yield ObjectInfo(LAYOUT.wal(SYSTEM, Segment(1, number, SIZE).name), 4 * 2**20, begin + number * step)

    facts = Facts("main", find_chains(backups, {}), histories={SYSTEM: {}})
    started, used = time.monotonic(), time.process_time()
    found = make_plan(facts, listing(), RetentionConfig(), NOW, locking=True)
    seconds, used = time.monotonic() - started, time.process_time() - used
    return {
        "objects": found.objects,
        "removals": len(found.removals),
        "locks_due": len(found.due),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def rates(segments: int, root: Path) -> Dict[str, Any]:
    """MB per second of ``lifeboat sync`` into S3 and back into a directory, and of ``lifeboat verify --all``."""
    installation = installations()[-1]
    with SeaweedFS(root / "seaweedfs") as server:
        server.create_bucket("bench")
        for name in ("near", "back"):
            (root / name).mkdir()
        near = DirectoryOptions(str(root / "near"))
        far = s3_options_for(server, "bench", f"far-{secrets.token_hex(4)}")
        sites = Sites(Templates(root / "templates"), root / "sites")
        site = sites(installation, near)
        site.backup()
        site.cluster.execute("CREATE TABLE noise (data text)")
        for _ in range(segments):
            site.cluster.execute(
                "INSERT INTO noise SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60000) n,"
                " generate_series(1, 6) m GROUP BY n / 60"
            )
            site.cluster.switch_wal()
        site.cluster.stop()
        figures: Dict[str, Any] = {}
        first = {**site.repositories[0], "name": "near"}
        for name, options in (("far", far), ("back", DirectoryOptions(str(root / "back")))):
            second = {**entry(1, options), "name": name, "required": False}
            site.repositories = [first, second]
            site.write()
            (done,) = site.lifeboat("sync", "--from", "near", "--to", name).data["repositories"]
            figures[f"sync to {'S3' if name == 'far' else 'a directory'}"] = {
                "mb": round(done["bytes"] / 1e6), "objects": done["copied"],
                "mb_per_second": round(done["bytes"] / 1e6 / done["seconds"]) if done.get("seconds") else None,
            }  # fmt: skip
            if name == "far":
                alone = site.write(site.root / "alone.yml", repositories=[{**second, "required": True}])
                read = site.lifeboat("verify", "--all", config_file=alone).data
                total = read["bytes_read"] + read["wal_bytes_read"]
                figures["verify --all of S3"] = {
                    "mb": round(total / 1e6), "segments": read["segments_read"],
                    "mb_per_second": round(total / 1e6 / read["seconds"]),
                }  # fmt: skip
        sites.close()
    return figures


if __name__ == "__main__":
    print(json.dumps({"plan": plan(1_000_000)}, indent=2))
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as place:
        print(json.dumps(rates(40, Path(place)), indent=2))
