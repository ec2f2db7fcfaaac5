# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifeboat beside pgBackRest and barman-cloud: same machine, same data, same store, in turn. Writes a page.

What is found is below .build/bench from the first figure on; a case that fails is told there and ends nothing else.

    tools/bench                       0.5 and 2 GB and 20,000 tables, three rounds, 200 segments: docs/benchmarks.md
    tools/bench --short               0.5 GB, one round, 40 segments: .build/bench/benchmarks.md
    tools/bench --sizes 0.5 2 8
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple, Type

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(CHECKOUT / "tests"), str(CHECKOUT / ".build" / "lib")]

import clusters  # noqa: E402
from barman_tool import BarmanCloud  # noqa: E402
from contest import Contest  # noqa: E402
from lifeboat_tool import Lifeboat  # noqa: E402
from limits import limits, machine  # noqa: E402
from meter import Meter, adopt_orphans  # noqa: E402
from page import Facts, Failure, page  # noqa: E402
from pgbackrest_tool import NewestPgBackRest, PgBackRest  # noqa: E402
from support.installations import installations  # noqa: E402
from support.postgres import Cluster  # noqa: E402
from tls_store import BUCKET, TlsStore  # noqa: E402
from tool import Place, Tool  # noqa: E402
from turn import Cases, Turn  # noqa: E402

TOOLS: Tuple[Type[Tool], ...] = (Lifeboat, NewestPgBackRest, PgBackRest, BarmanCloud)
OUT = CHECKOUT / ".build" / "bench"


class Bench:
    """One run: a store, one cluster after the other, and the figures so far."""

    def __init__(self, arguments: argparse.Namespace, work: Path, store: TlsStore) -> None:
        self._arguments, self._work, self._store = arguments, work, store
        self._meter = Meter(store, clusters.PATIENCE)
        # Debian's pgBackRest knows Debian's PostgreSQL, which is the oldest one here; the newest makes incrementals.
        self._oldest, self._newest = installations()[0], installations()[-1]
        self.tools = [t for t in TOOLS if t.missing() is None and t.name in arguments.tools]
        self._load = os.getloadavg()[0]
        titles = len(arguments.sizes) + bool(arguments.tables)
        turns = arguments.rounds * (titles * len(self.tools) + len(arguments.sizes) * len(self._twice))
        self.contest = Contest(turns, self.save)
        self._over = False

    @property
    def _twice(self) -> List[Type[Tool]]:
        """What is also measured with the newest server."""
        return [t for t in self.tools if t.newest_server] if self._newest.major > self._oldest.major else []

    def measure(self, title: str, fill: Callable[[Cluster], None], cases: Cases) -> None:
        """Create a cluster of each version, measure every tool in turn, drop the clusters."""
        root = self._work / "".join(c for c in title if c.isalnum())
        root.mkdir()
        made: List[Cluster] = []
        try:
            for installation in [self._oldest] + [self._newest] * (cases.incremental and bool(self._twice)):
                self.contest.say(f"{title}: making it with PostgreSQL {installation.version}")
                made.append(clusters.make(installation, root / f"data-{installation.major}"))
                fill(made[-1])
            self.contest.limits[title] = limits(made[0], self._store, clusters.size(made[0]), root)
            players = [(kind, made[0], cases) for kind in self.tools]
            players += [(kind, c, replace(cases, segments=0)) for c in made[1:] for kind in self._twice]
            self._rounds(title, root, players)
        except Exception as exc:
            why = f"{type(exc).__name__}: {exc}"
            self.contest.fail(Failure(title, "cluster", "every tool", self._oldest.major, why))
        finally:
            for cluster in made:
                cluster.close()
            shutil.rmtree(root, ignore_errors=True)

    def _rounds(self, title: str, root: Path, players: Sequence[Tuple[Type[Tool], Cluster, Cases]]) -> None:
        for number in range(self._arguments.rounds):
            if number and self.contest.minutes > self._arguments.minutes:
                self.contest.pass_over((self._arguments.rounds - number) * len(players))
                break
            turn = number % len(players)
            for kind, cluster, cases in [*players[turn:], *players[:turn]]:
                self.contest.next_turn()
                name = f"{kind.__name__.lower()}-{cluster.installation.major}-{number}"
                place = Place(cluster, self._store, f"{root.name}/{name}", root / name)
                Turn(self.contest, self._meter, title, kind, place, cases, number).run()
            self.contest.rounds[title] = number + 1

    def facts(self) -> Facts:
        return Facts(
            date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
            machine=machine(),
            postgres={i.major: i.version for i in (self._oldest, self._newest)},
            load=f"{self._load:.1f}, {os.getloadavg()[0]:.1f}",
            minutes=self.contest.minutes,
            finished=self._over,
            command=shlex.join(["tools/bench", *self._arguments.words]),
            tools={t.name: f"{t.version()}: {t.options}" for t in self.tools},
            missing={t.name: str(t.missing()) for t in TOOLS if t.missing()},
        )

    def save(self) -> None:
        """Store the results so far below ``.build/bench``."""
        self.contest.write(OUT / "results.json")
        (OUT / "benchmarks.md").write_text(page(self.facts(), self.contest))

    def end(self) -> None:
        self._over = True
        self.save()


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.5, 2.0], metavar="GB")
    parser.add_argument("--tables", type=int, default=20000, help="of the cluster of small tables; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=36, help="no further round begins after so many")
    parser.add_argument("--segments", type=int, default=200, help="archived and replayed, with the first cluster")
    parser.add_argument("--tools", nargs="+", default=[t.name for t in TOOLS], choices=[t.name for t in TOOLS])
    parser.add_argument("--short", action="store_true", help="0.5 GB, one round, 40 segments")
    parser.add_argument("--page", type=Path, help="docs/benchmarks.md, of a short run .build/bench/benchmarks.md")
    arguments = parser.parse_args(argv)
    arguments.words = sys.argv[1:] if argv is None else argv
    if arguments.short:
        arguments.sizes, arguments.tables, arguments.rounds, arguments.segments = [0.5], 0, 1, 40
    where = arguments.page or (OUT if arguments.short else CHECKOUT / "docs") / "benchmarks.md"
    adopt_orphans()
    OUT.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=OUT))
    try:
        with TlsStore(work / "store") as store:
            store.create_bucket(BUCKET)
            bench = Bench(arguments, work, store)
            for number, size in enumerate(arguments.sizes):
                cases = Cases(0 if number else arguments.segments, incremental=True)
                bench.measure(f"{size:g} GB", partial(clusters.fill, gigabytes=size), cases)
            if arguments.tables:
                title = f"{arguments.tables} small tables"
                bench.measure(title, partial(clusters.fill_small, tables=arguments.tables), Cases())
            bench.end()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if where != OUT / "benchmarks.md":
        shutil.copyfile(OUT / "benchmarks.md", where)
    print(f"bench: wrote {where}")


if __name__ == "__main__":
    main()
