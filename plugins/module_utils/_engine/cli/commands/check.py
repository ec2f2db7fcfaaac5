# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check``."""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from typing import Any, Sequence

from ...check import CRITICAL, OK, WARNING, Check, as_dict, check, worst
from ...config.load import load
from ..terminal import Answer, Terminal
from ..verbs import UNKNOWN
from .described import add_command

# The convention of monitoring plugins.
_STATUS = {OK: 0, WARNING: 1, CRITICAL: 2}


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "check", "check", "check --json", "check --nagios")
    parser.add_argument(
        "--nagios", action="store_true", help="print one line with performance data, for monitoring plugins"
    )
    parser.set_defaults(handler=run, error_status=lambda exc: UNKNOWN if exc else 130)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each check; exit status 0 if all are ok, 1 for a warning, 2 if any is critical."""
    checks = check(load(args.config, args.as_of))
    data = as_dict(checks)
    if args.nagios:
        return Answer(data, nagios_line(checks), _STATUS[data["status"]])
    lines = []
    for item in checks:
        lines.append(f"{item.status:<8}  {item.name}: {item.message}")
        if item.hint:
            lines.append(f"{'':<8}  -> {item.hint}")
    return Answer(data, "\n".join(lines), _STATUS[data["status"]])


def nagios_line(checks: Sequence[Check]) -> str:
    """The output line of a monitoring plugin: the status, the worst checks, and the measurements. Pure.

    (Monitoring Plugins Development Guidelines: "Plugin Output", "Performance data".)
    """
    status = worst(item.status for item in checks)
    counts = Counter(item.status for item in checks)
    # Neither bars nor line breaks, which would end the text.
    bad = [f"{item.name}: {item.message}" for item in checks if item.status == status != OK]
    told = re.sub(r"[|\s]+", " ", "; ".join(bad)) or f"{len(checks)} checks"
    summary = ", ".join(f"{counts[word]} {word}" for word in (CRITICAL, WARNING) if counts[word])
    measured = [
        f"'{_label(item)}'={item.value:.10g}{item.unit};;{'' if item.limit is None else format(item.limit, '.10g')};0"
        for item in checks
        if item.value is not None and math.isfinite(item.value)
    ]
    head = f"LIFEBOAT {status.upper()}: {f'{summary}: ' if summary else ''}{told}"
    return " | ".join(filter(None, (head, " ".join(measured))))


def _label(item: Check) -> str:
    return re.sub("[^A-Za-z0-9_.-]", "_", "_".join(filter(None, (item.repository, item.check))))
