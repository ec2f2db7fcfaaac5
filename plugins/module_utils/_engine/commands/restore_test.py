# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat restore-test``: prove a backup by restoring it."""

from __future__ import annotations

import argparse
from typing import Any, List

from ..config import load
from ..restore_test.page import write_report
from ..restore_test.questions import BROKEN
from ..restore_test.run import RestoreTest, TestRequest, plan, run
from ..terminal import Answer, Terminal, bullets, duration


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("restore-test", help="restore a backup into a scratch cluster, look at it, drop it")
    parser.add_argument("label", nargs="?", help="this backup, instead of the newest")
    parser.add_argument("--repository", metavar="NAME", help="from this one, instead of the first that answers")
    parser.add_argument("--report-dir", metavar="DIR", help="write report.json and report.html there")
    parser.add_argument("--plan", action="store_true", help="show what would be restored, and do nothing")
    parser.set_defaults(handler=run_test)


def run_test(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 when anything does not hold."""
    config, request = load(args.config), TestRequest(args.label, args.repository)
    if args.plan:
        planned = plan(config, request)
        return Answer(planned, "\n".join(f"{key}: {value}" for key, value in planned.items()))
    done = run(config, request, terminal)
    page = write_report(done.report, args.report_dir)
    lines = _lines(done) + ([f"report: {page}"] if page else [])
    return Answer(done.report, "\n".join(lines), 0 if done.proven else 1)


def _lines(done: RestoreTest) -> List[str]:
    report = done.report
    lines = [f"{report['label']} from {report['repository']}: {'PROVEN' if done.proven else 'NOT PROVEN'}"]
    for finding in done.findings:
        lines += bullets([f"{finding.name}: {finding.state}, {finding.detail} ({duration(finding.seconds)})"])
        lines += [f"    {line}" for line in finding.lines if finding.state == BROKEN]
    return [*lines, *(f"{name}: took no report" for name in done.unrecorded)]
