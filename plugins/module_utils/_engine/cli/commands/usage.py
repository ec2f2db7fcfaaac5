# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat usage``."""

from __future__ import annotations

import argparse
from typing import Any, List, Mapping

from ...config.load import load
from ...usage import Amount, RepositoryUsage, report
from ..terminal import Answer, Terminal, bullets, size, table
from .described import add_command

_HEAD = ["kind", "objects", "bytes", "newest"]


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "usage", "usage", "usage --repository primary --json")
    parser.add_argument("--repository", metavar="NAME", help="only this repository")
    parser.add_argument(
        "--without-prune",
        action="store_true",
        help="only list objects: do not read records to plan what prune would free",
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if a repository could not be measured."""
    config = load(args.config, args.as_of)
    found = report(config, args.repository, not args.without_prune, terminal)
    lines = [f"cluster {config.cluster}"]
    for one in found:
        lines += ["", *_describe(one)]
    data = {"cluster": config.cluster, "repositories": [one.as_dict() for one in found]}
    return Answer(data, "\n".join(lines), 1 if any(one.error for one in found) else 0)


def _describe(one: RepositoryUsage) -> List[str]:
    if one.error:
        return [f"{one.location}: NOT MEASURED: {one.error.message}", f"  -> {one.error.hint}"]
    status, message, hint = one.judgement
    mark = "" if status == "ok" else f"{status.upper()} "
    lines = [one.location, f"  {mark}{message}"]
    lines += [f"  -> {hint}"] if hint else []
    rows = _rows(one.usage.kinds)
    at = next((n for n, row in enumerate(rows, 1) if row[0] == "backup"), 0)
    rows[at:at] = [[f"  {row[0]}", *row[1:]] for row in _rows(one.usage.backups)]
    lines += bullets(table(_HEAD, rows).splitlines()) if rows else []
    lines += [f"  growth: {_growth(one)}"]
    return lines + _prune(one)


def _rows(amounts: Mapping[str, Amount]) -> List[List[str]]:
    return [
        [name, str(found.objects), size(found.bytes), f"{found.newest:%Y-%m-%dT%H:%M:%SZ}" if found.newest else ""]
        for name, found in amounts.items()
        if found.objects
    ]


def _growth(one: RepositoryUsage) -> str:
    if one.stored is None or one.growth is None:
        return "unknown until a whole week has passed"
    sign = "-" if one.growth < 0 else ""
    return f"{sign}{size(abs(one.growth))} a day: {size(one.stored)} stored, {size(one.removed)} removed by retention"


def _prune(one: RepositoryUsage) -> List[str]:
    prune = one.prune
    if prune is None:
        return []
    if prune.error:
        return [f"  cannot plan the next prune: {prune.error.message}"]
    lines = [f"  the next prune will free {size(prune.bytes)} in {prune.objects} objects"]
    lines += [f"    {kind}: {size(found.bytes)} in {found.objects} objects" for kind, found in prune.kinds.items()]
    if prune.refused:
        lines.append(f"  it would be REFUSED by {', '.join(prune.refused)}: see lifeboat prune --plan")
    return lines
