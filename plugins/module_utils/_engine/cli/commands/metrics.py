# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat metrics``."""

from __future__ import annotations

import argparse
from typing import Any

from ...base import clock
from ...base.files import replace_file
from ...check import check_with, read_server
from ...config.load import load
from ...metrics import expose, host_samples
from ...metrics.jobs import JOBS_DIR, read_jobs
from ...notify import known_deliveries
from ..terminal import Answer, Terminal
from .described import add_command


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers, "metrics", "metrics", "metrics --output /var/lib/prometheus/node-exporter/lifeboat-main.prom"
    )
    parser.add_argument("--output", metavar="FILE", help="write to this file, replacing it atomically")
    parser.add_argument(
        "--jobs-dir", metavar="DIR", default=JOBS_DIR, help="directory with the results of scheduled jobs"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print or write all metrics of this host's cluster, for the textfile collector of node_exporter."""
    config = load(args.config, args.as_of)
    state = read_server(config)
    checks = check_with(config, state)
    jobs, deliveries = read_jobs(args.jobs_dir, config.cluster), known_deliveries(config)
    samples = host_samples(config, state, checks, jobs, deliveries, clock.now())
    text = expose([samples])
    if args.output:
        replace_file(args.output, text, mode=0o644)
    data = {"output": args.output, "samples": [[m.full_name, dict(labels), value] for m, labels, value in samples]}
    return Answer(data, f"{len(data['samples'])} samples in {args.output}" if args.output else text.decode().rstrip())
