# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as plain text, for a terminal."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence

from ..report.markup import moment, rate, seconds, size
from .report import links


def render(report: Mapping[str, Any]) -> str:
    """The report in tables of about 110 columns at most."""
    lines = [f"Disaster recovery drill: {report['result'].upper()}"]
    if report["failure"]:
        lines += [
            "",
            f"It stopped at: {report['failure'].get('step')}",
            f"  {report['failure'].get('message')}",
        ]
    for restore in report["restores"]:
        lines += ["", *_restore(restore)]
    lines += ["", *_summary(report)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _restore(restore: Mapping[str, Any]) -> List[str]:
    result = restore["result"]
    lines = [
        f"Restore {restore['number']}: {restore['title']}",
        f"  from {links(result)}",
        f"  reached LSN {result['reached_lsn']}, last commit {moment(result['reached_time'])}",
        "",
    ]
    rows = [("phase", "time", "data", "segments", "MB/s")]
    for p in restore["phases"]:
        segments = "" if p["segments"] is None else str(p["segments"])
        rows.append((p["name"], seconds(p["seconds"]), size(p["bytes"]), segments, rate(p["bytes_per_second"])))
    rows.append(("total", seconds(restore["rto_seconds"]), "", "", ""))
    lines += _table(rows)
    lines.append("")
    for check in restore["checks"]:
        lines.append(f"  {'ok  ' if check['ok'] else 'FAIL'}  {check['title']}")
        if not check["ok"]:
            lines += [
                f"          expected {check['expected']}",
                f"          found    {check['found']}",
                f"          by       {check['how']}",
            ]
    if not restore["checks"]:
        lines.append("  FAIL  not examined")
    lost = restore["loss"]
    if lost:
        word = "lost" if restore["target"]["kind"] == "latest" else "given up by the target"
        lines.append(
            f"  {len(lost)} acknowledged commits {word}: {lost[0]['id']} to {lost[-1]['id']},"
            f" {moment(lost[0]['acked_at'])} to {moment(lost[-1]['acked_at'])}"
        )
    return lines


def _summary(report: Mapping[str, Any]) -> List[str]:
    rto, rpo, checks = report["rto"], report["rpo"], report["checks"]
    rows = [("", "measured", "objective", "")]
    if rto:
        rows.append(("RTO", seconds(rto["seconds"]), _objective(rto), _word(rto["check"]["ok"])))
    if rpo:
        rows.append(
            (
                "RPO",
                f"{seconds(rpo['seconds'])}, {rpo['transactions']} transactions",
                _objective(rpo),
                _word(rpo["check"]["ok"]),
            )
        )
        if rpo["stream"]:
            without = rpo["stream"]["without"]
            lost = f"{seconds(without['seconds'])}, {without['transactions']} transactions"
            rows.append(("  without the stream", lost, "", ""))
    rows.append(
        ("checks", f"{checks['passed']} of {checks['all']}", "all", _word(checks["passed"] == checks["all"] > 0))
    )
    return _table(rows, left=4) + _no_incremental(report)


def _no_incremental(report: Mapping[str, Any]) -> List[str]:
    if report["incremental"] or not report["restores"]:
        return []
    return ["", f"  No incremental backup: PostgreSQL {report['source'].get('version')} has none; 17 and newer do."]


def _objective(part: Mapping[str, Any]) -> str:
    return "none" if part["objective"] is None else f"{part['objective']:g} s"


def _word(good: bool) -> str:
    return "ok" if good else "FAIL"


def _table(rows: Sequence[Sequence[str]], left: int = 1) -> List[str]:
    """Columns as wide as their content; the first ``left`` are left-aligned, the others right-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "   ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
