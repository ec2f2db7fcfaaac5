# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docs/benchmarks.md`` from the figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from statistics import median
from typing import Dict, List, Mapping, Sequence

from meter import Cost

OURS = "Lifeboat"


@dataclass(frozen=True)
class Figure:
    """One measurement. ``amount`` is what was moved, in ``unit`` (MB or segments)."""

    cluster: str
    operation: str
    tool: str
    amount: float
    unit: str
    cost: Cost


@dataclass(frozen=True)
class Facts:
    """What surrounds the figures; ``load`` is the machine's load average before and after."""

    date: str
    machine: str
    postgres: str
    rounds: int
    load: str
    command: str
    tools: Mapping[str, str]
    missing: Mapping[str, str]
    limits: Mapping[str, Mapping[str, float]]


def page(facts: Facts, figures: Sequence[Figure]) -> str:
    """The whole page, in Markdown."""
    lines = [
        "# Benchmarks", "",
        f"`{facts.command}` wrote this page on {facts.date}: {facts.machine}; PostgreSQL {facts.postgres};",
        "SeaweedFS behind TLS on the same cores as the S3 store. The tools ran one after the other, in turn,",
        f"{facts.rounds} time(s); a figure is the median.",
        f"Load average of the machine before and after: {facts.load}.", "",
        *(f"- **{name}** {words}" for name, words in facts.tools.items()),
        *(f"- **{name}** could not run: {why}" for name, why in facts.missing.items()), "",
        "CPU seconds are those of everything but the store: the tool, the server that it works with, its daemons.",
        "Memory is the tool's own peak (proportional set size). The ratio is Lifeboat's rate divided by the tool's:",
        "above 1, Lifeboat is faster. Content is compressed to about a third. WAL consists of messages, for which",
        "replay does nothing: the rate of replay is that of fetching. *Files* ends with files that are checked,",
        "*open* with a server that takes connections; Lifeboat does both in one command, whose other figures are told",
        "there. Incremental backups are not measured here.", "",
    ]  # fmt: skip
    for cluster in dict.fromkeys(f.cluster for f in figures):
        lines += [f"## {cluster}", ""]
        for operation in dict.fromkeys(f.operation for f in figures if f.cluster == cluster):
            lines += _table(operation, [f for f in figures if (f.cluster, f.operation) == (cluster, operation)])
        if cluster in facts.limits:
            lines += ["The limits beside them (MB/s):", ""]
            lines += [*(f"- {name}: {value:.0f}" for name, value in facts.limits[cluster].items()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _shown(values: Sequence[float], digits: int = 0) -> str:
    return "" if any(isnan(v) for v in values) else f"{median(values):.{digits}f}"


def _table(operation: str, figures: Sequence[Figure]) -> List[str]:
    unit = figures[0].unit
    by_tool: Dict[str, List[Figure]] = {}
    for figure in figures:
        by_tool.setdefault(figure.tool, []).append(figure)
    rates = {tool: median(f.amount / f.cost.seconds for f in found) for tool, found in by_tool.items()}
    lines = [
        f"**{operation}**", "",
        f"| tool | {unit}/s | ratio | seconds | {unit} | CPU s | store CPU s | peak MB | MB in | MB out | requests |",
        "| --- |" + " ---: |" * 10,
    ]  # fmt: skip
    for tool, found in by_tool.items():
        costs = [f.cost for f in found]
        ratio = f"{rates[OURS] / rates[tool]:.2f}" if OURS in rates else ""
        values = [
            f"{rates[tool]:.1f}", ratio, f"{median(c.seconds for c in costs):.1f}",
            f"{median(f.amount for f in found):.0f}", _shown([c.cpu for c in costs], 1),
            _shown([c.store_cpu for c in costs], 1), _shown([c.memory for c in costs]),
            *(("", "", "") if isnan(costs[0].cpu) else (
                _shown([c.traffic.received / 1e6 for c in costs]), _shown([c.traffic.sent / 1e6 for c in costs]),
                _shown([c.traffic.requests for c in costs]),
            )),
        ]  # fmt: skip
        lines.append(f"| {tool} | " + " | ".join(values) + " |")
    return [*lines, ""]
