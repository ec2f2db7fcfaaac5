# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat drill keep``, ``list``, ``show``, ``trend`` and ``next``: drills in the repositories, and the next."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from ...base import clock
from ...base.errors import ConfigError, LifeboatError
from ...base.files import open_to_read, replace_file
from ...config.load import Config, load, read_yaml
from ...drill.checklist import Answer as Given
from ...drill.checklist import read_answers
from ...records.fields import printable
from ...repository.drills import Drill, Drills, read_drills
from ...repository.repository import Repositories
from ..terminal import Answer, Terminal, bullets, duration, table
from .described import Actions, add_command

# An error is no announcement.
_UNKNOWN = 3


def add_arguments(subparsers: Any) -> None:
    """Add the command and its actions to ``subparsers``."""
    parser = add_command(
        subparsers, "drill", "drill list", "drill show 20261122T020000Z-server", "drill trend --output drills.html"
    )
    actions = Actions(parser)
    kept = actions.add(
        "keep",
        run_keep,
        "store the report and the evidence of a drill in every repository, write-once",
        "drill keep --report DIR --scenario server --checklist answers.yml",
        "drill keep --report DIR --scenario region --begin",
    )
    kept.add_argument("--report", required=True, metavar="DIR", help="the output directory of drill-report")
    kept.add_argument(
        "--scenario", required=True, metavar="NAME", help="the rehearsed scenario, such as server or deletion"
    )
    kept.add_argument("--checklist", metavar="FILE", help="answers to the checklist's questions, as YAML or JSON")
    kept.add_argument(
        "--begin", action="store_true", help="also store it in repositories without a backup of this cluster"
    )
    actions.add(
        "list", run_list, "list stored drills, and records that do not count", "drill list", "drill list --json"
    )
    shown = actions.add(
        "show",
        run_show,
        "show one drill, or fetch its files and verify their checksums",
        "drill show 20261122T020000Z-server",
        "drill show 20261122T020000Z-server --output DIR",
    )
    shown.add_argument("label", metavar="LABEL", help="a label from drill list")
    shown.add_argument("--output", metavar="DIR", help="existing directory to write its files to")
    page = actions.add(
        "trend",
        run_trend,
        "write a page that plots recovery time and data loss of all drills, by scenario",
        "drill trend --output drills.html",
        "drill trend --output drills.html --as-of 2026-11-22T14:00:00Z",
    )
    page.add_argument("--output", required=True, metavar="FILE", help="the HTML file to write")
    following = actions.add(
        "next",
        run_next,
        "propose the next drill: what was rehearsed longest ago, a quarter after the last one that passed",
        "drill next",
        "drill next --announce 14",
    )
    following.add_argument(
        "--announce", type=float, metavar="DAYS", help="end with status 1 if it is due within so many days, or late"
    )
    following.set_defaults(error_status=lambda _: _UNKNOWN)


def run_keep(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Store a drill; warn about optional repositories that did not accept it."""
    from ...drill.keep import keep

    drill, lacking = keep(load(args.config), args.report, args.scenario, _answers(args.checklist), args.begin)
    words = f"drill {drill.label} is stored: {_result(drill)}"
    return Answer(
        {"drill": drill.as_dict(), "lacking": list(lacking)},
        "\n".join([words, *bullets([f"NOT in repository {name}: copy it with lifeboat sync" for name in lacking])]),
    )


def _answers(path: Optional[str]) -> Dict[str, Given]:
    if path is None:
        return {}
    import io

    try:
        with io.TextIOWrapper(open_to_read(path), encoding="utf-8") as stream:
            return read_answers(read_yaml(stream, path) or {}, path)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"Cannot read {path}.", "Name a readable file of answers.", path=path) from exc


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each drill in the first repository that responds, oldest first, and what was set apart."""
    config = load(args.config, args.as_of)
    found, name = _first(config)
    rows = [
        [
            drill.label,
            "passed" if drill.passed else "FAILED",
            _beside(drill.rto, drill.objective_rto),
            _beside(drill.rpo, drill.objective_rpo),
            "-" if drill.lost_transactions is None else str(drill.lost_transactions),
            f"{drill.checks_passed}/{drill.checks}",
            printable(drill.host),
        ]
        for drill in found.items
    ]
    head = ["label", "result", "RTO", "RPO", "commits lost", "checks", "host"]
    lines = [table(head, rows) if rows else f"no drills in repository {name}"]
    lines += [f"SET APART {item.error.message}" for item in found.aside]
    data = {
        "repository": name,
        "drills": [drill.as_dict() for drill in found.items],
        "set_apart": [item.as_dict() for item in found.aside],
    }
    return Answer(data, "\n".join(lines))


def run_show(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print one drill from the first repository that has it, and write its files."""
    from ...drill.keep import fetch

    with Repositories.open(load(args.config, args.as_of)) as repositories:
        drill, name = fetch(repositories.items, args.label, args.output)
    lines = [
        f"drill {drill.label}, from repository {name}: {_result(drill)}",
        *bullets(
            [
                f"scenario {drill.scenario}, rehearsed with {printable(drill.rehearsed)} on {printable(drill.host)}",
                f"from {drill.started_at:%Y-%m-%d %H:%M:%S} to {drill.finished_at:%Y-%m-%d %H:%M:%S} UTC",
                f"recovery time {_beside(drill.rto, drill.objective_rto)}, data loss"
                f" {_beside(drill.rpo, drill.objective_rpo)}",
                f"{drill.checks_passed} of {drill.checks} checks passed",
                *([f"stopped at {printable(drill.failure)}"] if drill.failure else []),
                *[f"{file.name}: {file.size} bytes, SHA-256 {file.sha256}" for file in drill.files],
            ]
        ),
    ]
    if args.output:
        lines.append(f"written to {args.output}; verify there with sha256sum --check SHA256SUMS")
    return Answer({"repository": name, "drill": drill.as_dict()}, "\n".join(lines))


def run_trend(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Write the page, replacing the file atomically."""
    from ...drill.trend import render

    config = load(args.config, args.as_of)
    found, name = _first(config)
    page = render(config.cluster, found.items, clock.now())
    try:
        replace_file(args.output, page.encode(), mode=0o644)
    except OSError as exc:
        raise ConfigError(
            f"Cannot write {args.output}: {exc.strerror}.", "Name a file in an existing directory.", path=args.output
        ) from exc
    return Answer(
        {"repository": name, "drills": len(found.items), "page": args.output},
        f"{len(found.items)} drills of repository {name}: {args.output}",
    )


def run_next(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """From the first repository that answers."""
    from ...drill.calendar import propose

    config, now = load(args.config, args.as_of), clock.now()
    found, name = _first(config)
    proposal = propose(found.items, config.objectives.max_drill_age, len(config.repositories))
    near = args.announce is not None and proposal.near(now, args.announce)
    last = proposal.last
    people = config.incidents.contacts
    lines = [
        f"next drill of cluster {config.cluster}: {proposal.scenario}, {_when(proposal.due, now)}",
        f"the last one: {last.label}, {_result(last)}" if last else f"no drill is kept in repository {name}",
        *bullets([f"{printable(c.name)} ({', '.join(c.roles) or 'contact'})" for c in people]),
        f"run the playbook dr_rehearse with rehearsal_scenario={proposal.scenario}: docs/drill.md of the collection",
    ]
    data = {"repository": name, **proposal.as_dict(now), "contacts": [contact.name for contact in people]}
    return Answer(data, "\n".join(lines), 1 if near else 0)


def _when(due: Optional[datetime], now: datetime) -> str:
    if due is None:
        return "due now"
    days = (due - now).total_seconds() / 86400
    return f"due on {due:%Y-%m-%d}, " + (f"in {days:.0f} days" if days >= 0 else f"LATE by {-days:.0f} days")


def _first(config: Config) -> Tuple[Drills, str]:
    """The drills of the first repository that responds, and its name; the first error if none does."""
    errors: List[LifeboatError] = []
    with Repositories.open(config) as repositories:
        for repository in repositories.items:
            try:
                return read_drills(repository), repository.name
            except LifeboatError as exc:
                errors.append(exc)
    raise errors[0]


def _result(drill: Drill) -> str:
    return "passed" if drill.passed else f"FAILED{', and missed ' + ', '.join(drill.missed) if drill.missed else ''}"


def _beside(value: Optional[float], objective: Optional[float]) -> str:
    told = "-" if value is None else duration(value)
    return told if objective is None else f"{told} of {duration(objective)}"
