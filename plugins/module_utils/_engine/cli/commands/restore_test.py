# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat verify --restore``: prove a backup by restoring it."""

from __future__ import annotations

from typing import List, Optional

from ...config.load import Config
from ...restore_test.page import write_report
from ...restore_test.questions import BROKEN
from ...restore_test.run import RestoreTest, TestRequest, apply, plan
from ..terminal import Answer, Terminal, bullets, duration


def run_test(
    config: Config, request: TestRequest, only_plan: bool, report_dir: Optional[str], terminal: Terminal
) -> Answer:
    """Exit status 1 if any check fails."""
    if only_plan:
        planned = plan(config, request)
        return Answer(planned, "\n".join(f"{key}: {value}" for key, value in planned.items()))
    done = apply(config, request, terminal)
    page = write_report(done.report, report_dir)
    lines = _lines(done) + ([f"report: {page}"] if page else [])
    return Answer(done.report, "\n".join(lines), 0 if done.proven else 1)


def _lines(done: RestoreTest) -> List[str]:
    report = done.report
    lines = [f"{report['label']} from {report['repository']}: {'PROVEN' if done.proven else 'NOT PROVEN'}"]
    for finding in done.findings:
        lines += bullets([f"{finding.name}: {finding.state}, {finding.detail} ({duration(finding.seconds)})"])
        lines += [f"    {line}" for line in finding.lines if finding.state == BROKEN]
    return [*lines, *(f"{name}: the report could not be stored" for name in done.unrecorded)]
