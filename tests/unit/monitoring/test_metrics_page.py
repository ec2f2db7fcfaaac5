# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of metrics and the rules agree with the engine's metrics."""

from __future__ import annotations

import re

from lifeboat.metrics import expose
from lifeboat.metrics.catalogue import METRICS
from lifeboat.metrics.samples import Samples
from support.monitoring import ROOT, run


def test_every_metric_has_its_line() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(lifeboat_\w+)`", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted(metric.full_name for metric in METRICS.values())
    for metric in METRICS.values():
        assert f"| {metric.help} |" in page


def test_promtool_accepts_the_names_and_the_help_of_every_metric() -> None:
    samples = Samples()
    for name, metric in METRICS.items():
        samples.add(name, 1, **dict.fromkeys(metric.labels, "x"))
    run("promtool", "check", "metrics", given=expose([samples]).decode())
