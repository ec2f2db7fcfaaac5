# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in Prometheus' exposition format: one catalogue, and the sources of the samples."""

from .catalogue import METRICS, Metric
from .exposition import expose
from .host import host_samples
from .samples import Samples
from .stored import (
    Measured,
    Stored,
    measured_samples,
    objective_samples,
    read_stored,
    stored_samples,
)

__all__ = [
    "METRICS",
    "Measured",
    "Metric",
    "Samples",
    "Stored",
    "expose",
    "host_samples",
    "measured_samples",
    "objective_samples",
    "read_stored",
    "stored_samples",
]
