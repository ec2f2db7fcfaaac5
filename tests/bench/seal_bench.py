# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sealing costs: backup, restore and the archiving of WAL, clear and sealed in turn, over S3 on this machine.

For each size (GB of a table that compresses about 2:1) it prints, and writes to ``.build/bench/seal.json``, MB of data
a second of backup and of extraction, and segments a second that four threads of one process store and fetch. Medians of
three rounds.

    PYTHONPATH=.build/lib tools/unprivileged .venv/bin/python tests/bench/seal_bench.py --sizes 0.5
"""

from __future__ import annotations

import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from lifeboat.config.load import parse
from lifeboat.repository.repository import Repositories
from lifeboat.wal.fetch import read_wal
from lifeboat.wal.push import Pusher
from sizes import for_each_size
from support.age import make_key
from support.installations import installations
from support.postgres import Site, Sites, Templates
from support.stores import SeaweedFS, s3_options_for

ROUNDS = 3
THREADS = 4


def main() -> None:
    if not shutil.which("age"):
        print("age is not installed: nothing is sealed")
        return
    for_each_size(__doc__, "seal", measure)


def measure(root: Path, size: float) -> List[Dict[str, Any]]:
    """The figures of one size, unsealed and sealed."""
    key = make_key(root / "key")
    kinds: Dict[str, Dict[str, Any]] = {
        "clear": {},
        "sealed": {"recipients": [key.recipient], "identity_file": str(key.file)},
    }
    found: Dict[str, Dict[str, List[float]]] = {kind: {} for kind in kinds}
    sites = Sites(Templates(root), root)
    with SeaweedFS(root / "store") as store:
        store.create_bucket("bench")
        site = sites(
            installations()[-1], s3_options_for(store, "bench", "bench"), max_wal_size="8GB", checkpoint_timeout="1h",
            wal_keep_size="4GB",
        )  # fmt: skip
        try:
            site.cluster.execute(
                f"CREATE TABLE noise AS SELECT n, md5(random()::text) AS a, md5(random()::text) AS b"
                f" FROM generate_series(1, {round(size * 9_000_000)}) n",
                "CHECKPOINT",
            )
            for number in range(ROUNDS):
                for kind, seal in kinds.items():
                    site.write(seal=seal)
                    made = site.backup()
                    add(found[kind], "backup_mb_s", made["data_size"] / 1e6 / made["timings"]["stream"])
                    clone = site.clone(f"{kind}{number}")
                    words = ["--data-dir", str(clone.data_dir), "--label", made["label"], "--immediate"]
                    done = site.lifeboat("restore", *words, "--leave", "stopped").data["restore"]
                    add(found[kind], "extract_mb_s", made["data_size"] / 1e6 / done["timings"]["extract"])
                    shutil.rmtree(clone.data_dir)
            site.cluster.stop()
            for number in range(ROUNDS):
                for kind, seal in kinds.items():
                    archive(site, s3_options_for(store, "bench", f"wal {number} {kind}"), seal, found[kind])
        finally:
            sites.close()
    return [
        {"gb": size, "kind": kind, **{name: round(statistics.median(values), 1) for name, values in figures.items()}}
        for kind, figures in found.items()
    ]


def archive(site: Site, options: Any, seal: Dict[str, Any], figures: Dict[str, List[float]]) -> None:
    """Store the segments of the server, and read them back."""
    entry = {k: v for k, v in {**vars(options), "type": "s3"}.items() if v is not None}
    config = parse({"cluster": "main", "repositories": [entry], "seal": seal})
    paths = sorted(p for p in (site.cluster.data_dir / "pg_wal").iterdir() if len(p.name) == 24)[1:41]
    system = site.cluster.system_identifier
    repositories = Repositories.open(config)
    pusher = Pusher(config, repositories, site.data_dir)
    add(figures, "push_segments_s", rate(lambda p: pusher.push(str(p)), paths))
    repository = repositories.required[0]
    add(figures, "fetch_segments_s", rate(lambda p: read_wal(repository, system, p.name), paths))
    repositories.close()


def rate(work: Callable[[Path], Any], paths: Sequence[Path]) -> float:
    begin = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, paths))
    return len(paths) / (time.monotonic() - begin)


def add(figures: Dict[str, List[float]], name: str, value: float) -> None:
    figures.setdefault(name, []).append(value)


if __name__ == "__main__":
    main()
