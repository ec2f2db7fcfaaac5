# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect samples, checked against the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, Iterator, Mapping, Optional, Tuple, Union

from .catalogue import METRICS, Metric

Value = Union[float, int, bool, datetime, None]


class Samples:
    """Values by metric and labels. KeyError for a metric that is not in the catalogue, ValueError for wrong labels; the
    last value of the same metric and labels counts.
    """

    def __init__(self, **common: str) -> None:
        self._common = common
        self._values: Dict[Tuple[str, Tuple[str, ...]], float] = {}

    def add(self, name: str, value: Value, **labels: str) -> None:
        """Add a value. None is ignored; a datetime becomes seconds since the epoch."""
        metric = METRICS[name]
        every = {key: text for key, text in {**self._common, **labels}.items() if key in metric.labels or key in labels}
        if set(every) != set(metric.labels):
            raise ValueError(f"{name} has the labels {metric.labels}, not {tuple(every)}")
        number = as_number(value)
        if number is not None:
            self._values[name, tuple(every[label] for label in metric.labels)] = number

    def merge(self, other: Samples) -> None:
        """Add all samples of another set."""
        self._values.update(other._values)

    def value(self, name: str, **labels: str) -> Optional[float]:
        """The value with these labels; None if there is none."""
        every = {**self._common, **labels}
        return self._values.get((name, tuple(every.get(label, "") for label in METRICS[name].labels)))

    def __iter__(self) -> Iterator[Tuple[Metric, Mapping[str, str], float]]:
        """The samples in the order of the catalogue, then of the labels."""
        order = {name: place for place, name in enumerate(METRICS)}
        for (name, values), number in sorted(self._values.items(), key=lambda item: (order[item[0][0]], item[0])):
            yield METRICS[name], dict(zip(METRICS[name].labels, values)), number


def as_number(value: Value) -> Optional[float]:
    """A number: seconds since the epoch for a time, 1 or 0 for a flag. Pure."""
    if value is None:
        return None
    return value.timestamp() if isinstance(value, datetime) else float(value)
