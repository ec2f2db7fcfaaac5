# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifeboat beside pgBackRest and barman-cloud: same machine, same data, same store, in turn. Writes a page.

    tools/bench                       0.5 and 2 GB and 20,000 tables, three rounds, 200 segments: docs/benchmarks.md
    tools/bench --short               0.5 GB, one round, 40 segments: .build/bench/benchmarks.md
    tools/bench --sizes 0.5 2 8
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Optional, Sequence

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(CHECKOUT / "tests"), str(CHECKOUT / ".build" / "lib")]

import clusters  # noqa: E402
from barman_tool import BarmanCloud  # noqa: E402
from lifeboat_tool import Lifeboat  # noqa: E402
from limits import limits, machine  # noqa: E402
from meter import Cost, Meter, adopt_orphans  # noqa: E402
from page import Facts, Figure, page  # noqa: E402
from pgbackrest_tool import PgBackRest  # noqa: E402
from support.postgres import Cluster, installations  # noqa: E402
from tls_store import BUCKET, TlsStore, Traffic  # noqa: E402
from tool import Place, Tool  # noqa: E402

TOOLS = (Lifeboat, PgBackRest, BarmanCloud)
OUT = CHECKOUT / ".build" / "bench"
NOTHING = float("nan")


class Bench:
    """One run: a store, one cluster after the other, and the figures so far."""

    def __init__(self, arguments: argparse.Namespace, work: Path, store: TlsStore) -> None:
        self._arguments, self._work, self._store = arguments, work, store
        self._meter = Meter(store)
        # Debian's pgBackRest knows Debian's PostgreSQL, which is the oldest one here.
        self.installation = installations()[0]
        self.tools = [t for t in TOOLS if t.missing() is None and t.name in arguments.tools]
        self.figures: List[Figure] = []
        self.limits: Dict[str, Dict[str, float]] = {}

    def measure(self, title: str, gigabytes: float, tables: int = 0, segments: int = 0) -> None:
        """Make a cluster, measure every tool with it in turn, drop it."""
        print(f"bench: {title}: making it", flush=True)
        root = self._work / title.replace(" ", "-").replace(",", "")
        root.mkdir()
        cluster = clusters.make(self.installation, root / "data")
        try:
            if tables:
                clusters.fill_small(cluster, tables)
            else:
                clusters.fill(cluster, gigabytes)
            self.limits[title] = limits(cluster, self._store, clusters.size(cluster), root)
            for number in range(self._arguments.rounds):
                turn = number % len(self.tools)
                for kind in [*self.tools[turn:], *self.tools[:turn]]:
                    name = kind.name.lower()
                    place = Place(cluster, self._store, f"{root.name}/{name}/{number}", root / f"{name}-{number}")
                    self._one(title, cluster, kind(place), place, segments)
        finally:
            cluster.close()
            shutil.rmtree(root, ignore_errors=True)

    def _one(self, title: str, cluster: Cluster, tool: Tool, place: Place, segments: int) -> None:
        data = clusters.size(cluster) / 1e6
        tool.prepare()
        clusters.set_archive_command(cluster, tool.archive_command)
        clusters.await_archived(cluster)
        cluster.execute("CHECKPOINT")
        self._keep(title, "full backup", tool, data, "MB", self._meter.command(tool.backup, tool.env))
        written = min(segments, tool.wal_segments or segments)
        if written:
            self._archive(title, cluster, tool, written)
        else:
            cluster.execute("SELECT pg_logical_emit_message(false, 'bench', '')", "SELECT pg_switch_wal()")
            clusters.await_archived(cluster)
        clusters.set_archive_command(cluster, "")
        self._restore(title, cluster, tool, place, data, written)

    def _archive(self, title: str, cluster: Cluster, tool: Tool, segments: int) -> None:
        clusters.set_archive_command(cluster, "")
        time.sleep(1)
        clusters.write_wal(cluster, segments)
        waiting = clusters.waiting(cluster)

        def archive() -> float:
            clusters.set_archive_command(cluster, tool.archive_command)
            clusters.await_archived(cluster)
            return NOTHING

        self._keep(title, "archive", tool, waiting, "segments", self._meter.of(archive))
        cluster.execute("CHECKPOINT")

    def _restore(self, title: str, cluster: Cluster, tool: Tool, place: Place, data: float, segments: int) -> None:
        clone = Cluster(cluster.installation, place.work / "restored")
        try:
            files = self._meter.command(tool.restore(clone), tool.env)
            settings = tool.recovery(clone)
            if settings is None:
                files, replay, whole = _split(clone, files)
            else:
                with open(clone.data_dir / "postgresql.auto.conf", "a", encoding="utf-8") as stream:
                    for name, value in {**clone.network, "archive_mode": "off", **settings}.items():
                        stream.write(f"{name} = '" + value.replace("'", "''") + "'\n")
                (clone.data_dir / "recovery.signal").touch()

                def recover() -> float:
                    clone.start(wait=False)
                    clusters.await_open(clone)
                    return NOTHING

                replay = self._meter.of(recover)
                whole = files.plus(replay)
            self._keep(title, "restore, files", tool, data, "MB", files)
            if segments:
                self._keep(title, "replay with fetch", tool, segments, "segments", replay)
            self._keep(title, "restore until the server is open, with that replay", tool, data, "MB", whole)
        finally:
            clone.close()
            shutil.rmtree(clone.data_dir, ignore_errors=True)

    def _keep(self, title: str, operation: str, tool: Tool, amount: float, unit: str, cost: Cost) -> None:
        self.figures.append(Figure(title, operation, tool.name, amount, unit, cost))
        print(f"bench: {title}: {tool.name}: {operation}: {amount / cost.seconds:.1f} {unit}/s ({cost})", flush=True)


def _split(clone: Cluster, whole: Cost) -> Sequence[Cost]:
    """Files, replay and whole of Lifeboat's one command, by its own timings; only the whole has other figures."""
    timings = json.loads((clone.data_dir / "lifeboat_restore.json").read_text())["result"]["timings"]
    replay = timings["recover"] + timings["finish"]
    unknown = Cost(replay, NOTHING, NOTHING, NOTHING, Traffic(0, 0, 0))
    return replace(unknown, seconds=whole.seconds - replay), unknown, whole


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.5, 2.0], metavar="GB")
    parser.add_argument("--tables", type=int, default=20000, help="of the cluster of small tables; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segments", type=int, default=200, help="archived and replayed, with the first cluster")
    parser.add_argument("--tools", nargs="+", default=[t.name for t in TOOLS], choices=[t.name for t in TOOLS])
    parser.add_argument("--short", action="store_true", help="0.5 GB, one round, 40 segments")
    parser.add_argument("--page", type=Path, help="docs/benchmarks.md, of a short run .build/bench/benchmarks.md")
    arguments = parser.parse_args(argv)
    if arguments.short:
        arguments.sizes, arguments.tables, arguments.rounds, arguments.segments = [0.5], 0, 1, 40
    where = arguments.page or (OUT if arguments.short else CHECKOUT / "docs") / "benchmarks.md"
    adopt_orphans()
    OUT.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=OUT))
    load = os.getloadavg()[0]
    try:
        with TlsStore(work / "store") as store:
            store.create_bucket(BUCKET)
            bench = Bench(arguments, work, store)
            for number, size in enumerate(arguments.sizes):
                bench.measure(f"{size:g} GB", size, segments=0 if number else arguments.segments)
            if arguments.tables:
                bench.measure(f"{arguments.tables} small tables", 0, tables=arguments.tables)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    facts = Facts(
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=machine(),
        postgres=bench.installation.version,
        rounds=arguments.rounds,
        load=f"{load:.1f}, {os.getloadavg()[0]:.1f}",
        command=shlex.join(["tools/bench", *(sys.argv[1:] if argv is None else argv)]),
        tools={t.name: f"{t.version()}: {t.options}" for t in bench.tools},
        missing={t.name: str(t.missing()) for t in TOOLS if t.missing()},
        limits=bench.limits,
    )
    (OUT / "results.json").write_text(json.dumps([asdict(f) for f in bench.figures], indent=2) + "\n")
    where.write_text(page(facts, bench.figures))
    print(f"bench: wrote {where}")


if __name__ == "__main__":
    main()
