# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as text, by Prometheus' own library."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Iterable, Iterator, List, Mapping, Tuple

from ..base.libraries import library
from .catalogue import Metric
from .samples import Samples


def client(*submodules: str) -> Any:
    """The library prometheus_client; DependencyMissing if it is not installed."""
    return library(
        "prometheus_client", "python3-prometheus-client", "prometheus-client", "prometheus_client", *submodules
    )


class Collector:
    """The samples as a collector for a registry of prometheus_client."""

    def __init__(self, samples: Iterable[Tuple[Metric, Mapping[str, str], float]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Any]:
        """A family for each metric."""
        core = client("prometheus_client.core").core
        for metric, found in groupby(self._samples, key=lambda sample: sample[0]):
            made = core.CounterMetricFamily if metric.kind == "counter" else core.GaugeMetricFamily
            family = made(metric.full_name, metric.help, labels=metric.labels)
            for _metric, labels, number in found:
                family.add_metric([labels[name] for name in metric.labels], number)
            yield family


def expose(sets: Iterable[Samples]) -> bytes:
    """The text of all these samples, without timestamps, because node_exporter refuses textfiles with them."""
    every = Samples()
    for samples in sets:
        every.merge(samples)
    collected: List[Tuple[Metric, Mapping[str, str], float]] = list(every)
    registry = client().CollectorRegistry(auto_describe=False)
    registry.register(Collector(collected))
    text: bytes = client().generate_latest(registry)
    return text
