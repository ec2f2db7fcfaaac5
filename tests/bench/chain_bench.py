# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an incremental backup saves, and what its restore costs, beside a full backup of the same cluster.

For each size (GB of pgbench tables) 5 % of the blocks are changed after a full backup. It prints, and writes to
``.build/bench/chain.json``, seconds and stored MB of the incremental and of a second full backup over S3 (SeaweedFS on
this machine), and the seconds of a restore of each, by phase. Needs PostgreSQL 17 or newer.

    PYTHONPATH=.build/lib tools/unprivileged .venv/bin/python tests/bench/chain_bench.py --sizes 0.5
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List

from sizes import for_each_size
from support.installations import installations
from support.postgres import Site, Sites, Templates
from support.stores import SeaweedFS, s3_options_for

# pgbench's tables and indexes take about 15 MB for each unit of scale.
SCALE_PER_GB = 67


def main() -> None:
    if installations()[-1].major < 17:
        print("no PostgreSQL here makes incremental backups: they came with 17")
        return
    for_each_size(__doc__, "chain", measure)


def measure(root: Path, size: float) -> List[Dict[str, Any]]:
    """All figures of one size: seconds, and MB (10^6 bytes)."""
    sites = Sites(Templates(root), root)
    with SeaweedFS(root / "store") as store:
        store.create_bucket("bench")
        site = sites(
            installations()[-1], s3_options_for(store, "bench", "bench"), max_wal_size="8GB", checkpoint_timeout="1h",
            summarize_wal="on",
        )  # fmt: skip
        try:
            scale = round(size * SCALE_PER_GB)
            run(site, "pgbench", "-q", "-i", "-s", str(scale))
            lifeboat(site, "backup")
            # 100,000 accounts for each unit of scale, in the order of their blocks.
            site.cluster.execute(f"UPDATE pgbench_accounts SET abalance = aid WHERE aid <= {scale * 5000}")
            row = {"gb": size}
            labels = []
            for kind in ("incremental", "full"):
                made = lifeboat(site, "backup", "--type", kind)[0]["backup"]
                labels.append(made["label"])
                row[f"{kind}_seconds"] = made["timings"]["stream"]
                row[f"{kind}_data_mb"] = round(made["data_size"] / 1e6)
                row[f"{kind}_stored_mb"] = round(sum(f["size"] for f in made["files"]) / 1e6, 1)
            site.cluster.stop()
            for kind, label in zip(("chain", "full"), labels):
                row |= restored(site, kind, label)
        finally:
            sites.close()
    return [row]


def restored(site: Site, kind: str, label: str) -> Dict[str, Any]:
    clone = site.clone(kind)
    words = ["--data-dir", str(clone.data_dir), "--label", label, "--immediate", "--leave", "stopped"]
    done, memory = lifeboat(site, "restore", *words)
    shutil.rmtree(clone.data_dir)
    timings = done["restore"]["timings"]
    return {
        f"{kind}_restore_seconds": timings["total"],
        f"{kind}_restore_memory_mb": memory,
        f"{kind}_restore_timings": timings,
    }


def run(site: Site, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs against the site's server."""
    where = ["-h", str(site.cluster.socket_dir), "-p", str(site.cluster.port), "-U", "postgres"]
    argv = [site.cluster.installation.program(program), *where, *arguments, "postgres"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lifeboat(site: Site, *arguments: str) -> Any:
    """The host command's JSON output, and its own peak memory in MB."""
    argv = [str(site.command), "--config", str(site.config_file), "--json", *arguments]
    with tempfile.TemporaryFile("w+") as answer:
        process = subprocess.Popen(argv, stdout=answer)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, argv
        answer.seek(0)
        return json.load(answer), round(usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
