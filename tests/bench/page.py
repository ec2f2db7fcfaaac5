# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docs/benchmarks.md`` from the figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from statistics import median
from typing import Dict, List, Mapping, Protocol, Sequence, Tuple

from meter import Cost

OURS = "Lifeboat"
#: The ratios that Lifeboat is to reach, by the beginnings of an operation and of a tool.
GOALS = {
    ("full backup", "pgBackRest"): 2.0, ("full backup", "barman"): 3.0, ("archive", ""): 2.0, ("replay", ""): 1.7,
    ("restore", ""): 1.2,
}  # fmt: skip
#: The bound of Lifeboat's own memory in MB, at any size.
MOST_MEMORY = 300


@dataclass(frozen=True)
class Case:
    """A tool with a cluster; ``server`` is PostgreSQL's major version."""

    cluster: str
    operation: str
    tool: str
    server: int

    @property
    def who(self) -> str:
        return f"{self.tool} with PostgreSQL {self.server}"


@dataclass(frozen=True)
class Figure(Case):
    """One measurement of one round. ``amount`` is how much was moved, in ``unit`` (MB or segments)."""

    number: int
    amount: float
    unit: str
    cost: Cost

    @property
    def rate(self) -> float:
        """``unit`` per second."""
        return self.amount / self.cost.seconds


@dataclass(frozen=True)
class Failure(Case):
    """A case that could not be measured, and why."""

    reason: str


@dataclass(frozen=True)
class Facts:
    """The environment of the figures; ``load`` is the machine's load average before and after."""

    date: str
    machine: str
    postgres: Mapping[int, str]
    load: str
    minutes: float
    finished: bool
    command: str
    tools: Mapping[str, str]
    missing: Mapping[str, str]


class Found(Protocol):
    """The results of a run so far; ``rounds`` are the completed ones, by cluster."""

    figures: List[Figure]
    failures: List[Failure]
    limits: Dict[str, Dict[str, float]]
    rounds: Dict[str, int]


def page(facts: Facts, found: Found) -> str:
    """The whole page, in Markdown."""
    lines = [
        "# Benchmarks", "",
        *([] if facts.finished else ["**This run is not finished; these are its results so far.**", ""]),
        f"`{facts.command}` wrote this page on {facts.date} in {facts.minutes:.0f} minutes: {facts.machine};",
        f"PostgreSQL {' and '.join(facts.postgres.values())};",
        "SeaweedFS as the S3 store, behind TLS, on the same cores. The tools took turns; each figure is the",
        f"median of the rounds. Load average of the machine before and after: {facts.load}.", "",
        *(f"- **{name}** {words}" for name, words in facts.tools.items()),
        *(f"- **{name}** could not run: {why}" for name, why in facts.missing.items()), "",
        "CPU seconds cover everything but the store: the tool, the server that it works with, its daemons.",
        "Memory is the peak of the tool's own processes (proportional set size); Lifeboat's is in bold unless it stays",
        f"below {MOST_MEMORY} MB in each round. The ratio is Lifeboat's rate divided by the tool's: above 1, Lifeboat",
        "is faster; in bold below what it is to be (full backups 2, against barman 3;",
        "archive 2, replay 1.7, restores 1.2). MB (10^6 bytes) refer to the cluster's data, for an incremental",
        "backup too. *MB in* and *MB out* are what the store received and sent. The data compresses to a third.",
        "WAL consists of messages, for which replay does nothing: the rate of replay is that of fetching. *Files*",
        "ends with the files in place, already checked in Lifeboat's case, *open* with a server that accepts",
        "connections; Lifeboat does both in one command, whose other figures are in the latter table. An incremental",
        "backup follows a full one after a row was changed in each of 5 % of the table's blocks; if the servers'",
        "versions differ, the column shows them.", "",
    ]  # fmt: skip
    for cluster in dict.fromkeys([*(f.cluster for f in found.figures), *(f.cluster for f in found.failures)]):
        lines += [f"## {cluster}", "", f"Rounds: {found.rounds.get(cluster, 0)}.", ""]
        for operation in dict.fromkeys(f.operation for f in found.figures if f.cluster == cluster):
            lines += _table(operation, [f for f in found.figures if (f.cluster, f.operation) == (cluster, operation)])
        failures = [f"- {f.who}: {f.operation}: {f.reason}" for f in found.failures if f.cluster == cluster]
        if failures:
            lines += ["Not measured:", "", *failures, ""]
        if cluster in found.limits:
            lines += ["Limits of the machine, for comparison (MB/s):", ""]
            lines += [*(f"- {name}: {value:.0f}" for name, value in found.limits[cluster].items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _shown(values: Sequence[float], digits: int = 0) -> str:
    return "" if any(isnan(v) for v in values) else f"{median(values):.{digits}f}"


def _memory(tool: str, values: Sequence[float]) -> str:
    """The peak memory; Lifeboat's in bold if it is not below its bound."""
    shown = _shown(values)
    return f"**{shown}**" if tool == OURS and shown and max(values) >= MOST_MEMORY else shown


def _ratio(operation: str, tool: str, ratio: float) -> str:
    """The ratio, in bold below its goal."""
    goals = [g for (what, who), g in GOALS.items() if operation.startswith(what) and tool.startswith(who)]
    shown = f"{ratio:.2f}"
    return f"**{shown}**" if tool != OURS and goals and ratio < goals[0] else shown


def _table(operation: str, figures: Sequence[Figure]) -> List[str]:
    unit = figures[0].unit
    rows: Dict[Tuple[str, int], List[Figure]] = {}
    for figure in figures:
        rows.setdefault((figure.tool, figure.server), []).append(figure)
    rates = {row: median(f.rate for f in found) for row, found in rows.items()}
    lines = [
        f"**{operation}**", "",
        f"| tool | PostgreSQL | {unit}/s | ratio | seconds | {unit} | CPU s | store CPU s | peak MB |"
        " MB in | MB out | requests |",
        "| --- |" + " ---: |" * 11,
    ]  # fmt: skip
    for (tool, server), found in sorted(rows.items(), key=lambda row: (row[0][0] != OURS, row[0][0], row[0][1])):
        costs = [f.cost for f in found]
        # Of the same server where there is one, else of the other.
        ours = rates.get((OURS, server)) or next((rate for row, rate in rates.items() if row[0] == OURS), None)
        values = [
            str(server), f"{rates[tool, server]:.1f}",
            _ratio(operation, tool, ours / rates[tool, server]) if ours else "",
            f"{median(c.seconds for c in costs):.1f}",
            f"{median(f.amount for f in found):.0f}", _shown([c.cpu for c in costs], 1),
            _shown([c.store_cpu for c in costs], 1), _memory(tool, [c.memory for c in costs]),
            *(("", "", "") if isnan(costs[0].cpu) else (
                _shown([c.traffic.received / 1e6 for c in costs]), _shown([c.traffic.sent / 1e6 for c in costs]),
                _shown([c.traffic.requests for c in costs]),
            )),
        ]  # fmt: skip
        lines.append(f"| {tool} | " + " | ".join(values) + " |")
    return [*lines, ""]
