# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a restore test as a page, in the style of the drill's report."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, Optional

from ..base.errors import ConfigError
from ..base.files import make_directory, replace_file
from ..report.markup import Markup, moment, seconds, size, table, tag
from ..report.page import whole_page
from .questions import BROKEN, HELD

_MARKS = {HELD: ("✓", "good-ink"), BROKEN: ("✗", "bad-ink")}


def write_report(report: Mapping[str, Any], directory: Optional[str]) -> Optional[str]:
    """Write ``report.json`` and ``report.html`` into the directory, created if missing; returns the page's path.

    ConfigError if they cannot be written.
    """
    if not directory:
        return None
    page = os.path.join(directory, "report.html")
    try:
        make_directory(directory, 0o755)
        replace_file(os.path.join(directory, "report.json"), json.dumps(report, indent=2).encode(), 0o644)
        replace_file(page, render(report).encode(), 0o644)
    except OSError as exc:
        raise ConfigError(
            f"The report cannot be written into {directory}: {exc.strerror}.",
            "Choose a directory that this user can write to. The repositories have the report.",
            path=directory,
        ) from exc
    return page


def render(report: Mapping[str, Any]) -> str:
    """The whole, self-contained page."""
    verdict = "proven" if report["proven"] else "not proven"
    return whole_page(
        f"Restore test of {report['cluster']}: {verdict}",
        _head(report),
        tag("section", _findings(report), cls="card"),
        tag("section", tag("h3", "What was restored"), _facts(report), cls="card"),
        tag(
            "footer",
            f"Lifeboat {report['lifeboat']}. The scratch cluster had no network, archived nothing, and was dropped."
            " report.json, also in the repository below restore_tests/, has the same data.",
        ),
    )


def _head(report: Mapping[str, Any]) -> Markup:
    good = bool(report["proven"])
    wrong = [f["name"] for f in report["findings"] if f["state"] == BROKEN]
    words = "The backup can be restored" if good else "The backup is not proven"
    lead = (
        f"{report['label']} of cluster {report['cluster']} was restored from {report['repository']} on"
        f" {report['host']}, {moment(report['began_at'], date=True)}, replayed to the end of its archive, and checked."
    )
    return tag(
        "header",
        tag("div", "Lifeboat · restore test", cls="kicker"),
        tag("h1", words, " ", tag("span", "PROVEN" if good else "BROKEN", cls=f"badge {'good' if good else 'bad'}")),
        tag("p", lead, cls="lead"),
        None if good else tag("section", tag("h3", "Failed checks: ", ", ".join(wrong)), cls="card failure"),
    )


def _findings(report: Mapping[str, Any]) -> Markup:
    rows = []
    for finding in report["findings"]:
        mark, ink = _MARKS.get(finding["state"], ("–", "soft"))
        lines = finding["lines"]
        more = tag("details", tag("summary", f"{len(lines)} lines"), tag("pre", "\n".join(lines))) if lines else None
        rows.append(
            [tag("span", mark, cls=ink), finding["name"], [finding["detail"], more], seconds(finding["seconds"])]
        )
    return table(["", "check", "result", "time"], rows, cls="checks")


def _facts(report: Mapping[str, Any]) -> Markup:
    restored = report["restored"] or {}
    facts = {
        "Backup": " ← ".join(reversed(report["chain"])),
        "Repository": report["location"],
        "PostgreSQL": report["server_version"],
        "Size": size(report["bytes"]),
        "WAL segments replayed": str(restored.get("segments", "–")),
        "Last commit": restored.get("reached_time") or "–",
        "Phases": ", ".join(f"{name} {seconds(value)}" for name, value in restored.get("timings", {}).items()) or "–",
        "Ended": moment(report["ended_at"], date=True),
    }
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in facts.items()], cls="facts")
