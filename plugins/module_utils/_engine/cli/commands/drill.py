# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat drill-ledger``, ``-survey``, ``-strike``, ``-judge`` and ``-report``.

A failed drill is not a failed command: the exit status is 0, and ``passed`` or ``result`` has the outcome. Imports are
in the handlers, because PostgreSQL starts this program for every segment that it archives.
"""

from __future__ import annotations

import argparse
import os
from typing import Any, Callable

from ...base.errors import ConfigError
from ...config.load import load
from ...drill import evidence as files
from ...drill.evidence import Evidence
from ..terminal import Answer, Terminal

Handler = Callable[[argparse.Namespace, Terminal], Answer]


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    ledger = _command(
        subparsers, "drill-ledger", run_ledger, "commit small transactions and record each acknowledged commit"
    )
    ledger.add_argument("--rate", type=float, default=100.0, metavar="N", help="commits per second (0: no limit)")
    ledger.add_argument("--duration", type=float, metavar="SECONDS", help="stop after this time")
    ledger.add_argument("--stop-file", metavar="FILE", help="stop when this file appears")
    _command(subparsers, "drill-survey", run_survey, "survey the server before the disaster")
    struck = _command(
        subparsers, "drill-strike", run_strike, "destroy the drill's own cluster, as the loss of its host would"
    )
    struck.add_argument(
        "--root", required=True, metavar="DIR", help="directory with the drill's marker file, above the cluster"
    )
    judged = _command(subparsers, "drill-judge", run_judge, "examine a restored server and compare it with the ledger")
    judged.add_argument("--restore", type=int, required=True, metavar="N", help="number of the restore: restore-N.json")
    reported = _command(subparsers, "drill-report", run_report, "write report.json, report.html and report.txt")
    reported.add_argument("--output", required=True, metavar="DIR", help="directory for the reports")


def _command(subparsers: Any, name: str, handler: Handler, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, description=f"{words.capitalize()}.")
    parser.add_argument("--evidence", required=True, metavar="DIR", help="directory with the drill's evidence")
    parser.set_defaults(handler=handler)
    return parser


def run_ledger(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Write the ledger until stopped, or until the server is lost."""
    from ...drill.ledger import Pace, write

    config = load(args.config)
    pace = Pace(rate=args.rate, duration=args.duration, stop_file=args.stop_file)
    done = write(config.connection, Evidence(args.evidence).path(files.LEDGER), pace)
    return Answer(done, f"{done['commits']} commits acknowledged; {done['ended']} at {done['ended_at']}")


def run_survey(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Write ``survey.json``."""
    from ...drill.survey import environment, survey

    config = load(args.config)
    found = {"server": survey(config.connection), "environment": environment(config)}
    Evidence(args.evidence).write(files.SURVEY, found)
    return Answer(found, f"PostgreSQL {found['server']['version']}, {len(found['server']['databases'])} databases")


def run_strike(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Destroy the cluster, and write ``disaster.json``."""
    from ...drill.stored import stored
    from ...drill.strike import strike
    from ...drill.survey import inventory

    config = load(args.config)
    if not config.data_dir:
        raise ConfigError(f"{args.config} has no data_dir.", "Set data_dir: only that cluster is destroyed.")
    found = strike(args.root, config.data_dir, config.bin_dir, config.spool_dir)
    found["inventory"] = inventory(config)
    found["stored"] = stored(found).as_dict() if found["archived_wal"] else None
    Evidence(args.evidence).write(files.DISASTER, found)
    return Answer(
        {key: value for key, value in found.items() if key != "inventory"},
        f"{len(found['killed'])} processes killed, {len(found['removed'])} directories removed at {found['at']}",
    )


def run_judge(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Examine one restored server, and write ``judge-N.json``."""
    from ...drill.prove import prove

    judged = prove(load(args.config), Evidence(args.evidence), args.restore)
    failed = [check["title"] for check in judged["checks"] if not check["ok"]]
    return Answer(judged, f"{len(judged['checks'])} checks, failed: {', '.join(failed) or 'none'}")


def run_report(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Write the report in three formats: JSON, HTML and plain text."""
    from ...drill import page, text
    from ...drill.report import assemble

    report = assemble(load(args.config), Evidence(args.evidence))
    written = Evidence(args.output)
    words = text.render(report)
    written.write("report.json", report)
    for name, content in (("report.html", page.render(report)), ("report.txt", words)):
        path = written.path(name)
        try:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
        except OSError as exc:
            raise ConfigError(f"Cannot write {path}: {exc.strerror}.", "Create the directory.", path=path) from exc
    return Answer(
        {"result": report["result"], "report": os.path.join(args.output, "report.html"), "text": words}, words
    )
