# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a full backup and its restore are, and what memory they take, beside the machine's own limits.

For each size (GB of pgbench tables) it prints, and writes to ``.build/bench/size.json``: seconds, MB/s of data and
peak memory of ``lifeboat backup`` and ``lifeboat restore`` over S3 (SeaweedFS on this machine), then ``pg_basebackup``
to ``/dev/null`` and ``zstd -d | tar -x`` of the same archive from a local file.

    tools/bench --sizes 0.2 1 1.5 3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / ".build" / "lib")]

from support.postgres import Site, Sites, Templates, installations  # noqa: E402
from support.stores import SeaweedFS, s3_options_for  # noqa: E402

# pgbench's tables and indexes take about 15 MB for each unit of scale.
SCALE_PER_GB = 67


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.2, 1.0, 1.5, 3.0], metavar="GB")
    sizes = parser.parse_args().sizes
    out = CHECKOUT / ".build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=out))
    rows: List[Dict[str, Any]] = []
    try:
        for size in sizes:
            rows.append(measure(work / f"{size:g}", size))
            shutil.rmtree(work / f"{size:g}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (out / "size.json").write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)


def measure(root: Path, size: float) -> Dict[str, Any]:
    """All figures of one size; rates are MB (10^6) of extracted data a second, memory is MB of the largest process."""
    root.mkdir()
    installation = installations()[-1]
    sites = Sites(Templates(root), root)
    with SeaweedFS(root / "store") as store:
        store.create_bucket("bench")
        site = sites(installation, s3_options_for(store, "bench", "bench"), max_wal_size="8GB", checkpoint_timeout="1h")
        try:
            run(site, "pgbench", "-q", "-i", "-s", str(round(size * SCALE_PER_GB)))
            site.cluster.execute("CHECKPOINT")
            limit, _ = timed(
                f"{installation.program('pg_basebackup')} -h {site.cluster.socket_dir} -p {site.cluster.port}"
                " -U postgres -D - -Ft -X fetch --checkpoint=fast > /dev/null"
            )
            backup, backup_memory = lifeboat(site, "backup")
            data = backup["backup"]["data_size"] / 1e6
            site.cluster.stop()
            clone = site.clone("clone")
            restored, restore_memory = lifeboat(
                site, "restore", "--data-dir", str(clone.data_dir), "--leave", "stopped"
            )
            extraction = extract_limit(root, site, backup["backup"]["label"])
        finally:
            sites.close()
    timings = restored["restore"]["timings"]
    stream = backup["backup"]["timings"]["stream"]
    return {
        "gb": size,
        "data_mb": round(data),
        "stored_mb": round(sum(f["size"] for f in backup["backup"]["files"]) / 1e6),
        "pg_basebackup_null_mb_s": round(data / limit),
        "backup_mb_s": round(data / stream),
        "backup_memory_mb": backup_memory,
        "tar_x_mb_s": round(data / extraction),
        "restore_extract_mb_s": round(data / timings["extract"]),
        "restore_memory_mb": restore_memory,
        "restore_timings": timings,
    }


def run(site: Site, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs against the site's server."""
    where = ["-h", str(site.cluster.socket_dir), "-p", str(site.cluster.port), "-U", "postgres"]
    argv = [site.cluster.installation.program(program), *where, *arguments, "postgres"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(command: str) -> Sequence[float]:
    """Seconds of a shell pipeline, and the peak memory in MB of its largest process (``ru_maxrss``)."""
    begin = time.monotonic()
    process = subprocess.Popen(["bash", "-o", "pipefail", "-c", command])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.monotonic() - begin, round(usage.ru_maxrss / 1024)


def lifeboat(site: Site, *arguments: str) -> Any:
    """The host command's answer, and its own peak memory in MB."""
    argv = [str(site.command), "--config", str(site.config_file), "--json", *arguments]
    with tempfile.TemporaryFile("w+") as answer:
        process = subprocess.Popen(argv, stdout=answer)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, argv
        answer.seek(0)
        return json.load(answer), round(usage.ru_maxrss / 1024)


def extract_limit(root: Path, site: Site, label: str) -> float:
    """Seconds of ``zstd -d | tar -x`` from a local copy of the archive."""
    from lifeboat.store import open_store

    store = open_store(site.config.repositories[0].store)
    archive = root / "base.tar.zst"
    with open(archive, "wb") as stream:
        stream.writelines(store.read(f"main/backups/{label}/base.tar.zst"))
    (root / "plain").mkdir()
    seconds, _ = timed(f"zstd -q -d -c '{archive}' | tar -x -C '{root / 'plain'}'")
    return seconds


def show(rows: Sequence[Dict[str, Any]]) -> None:
    names = [name for name in rows[0] if name != "restore_timings"]
    print("  ".join(names))
    for row in rows:
        print("  ".join(str(row[name]).rjust(len(name)) for name in names))


if __name__ == "__main__":
    main()
