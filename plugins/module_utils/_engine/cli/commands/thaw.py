# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat thaw``."""

from __future__ import annotations

import argparse
from typing import Any, List

from ...config.load import load
from ...records.model import read_aware
from ...thaw import Thawing, ThawRequest, apply, plan
from ...thaw.terms import TIERS
from ..terminal import Answer, Terminal, size
from .described import add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers,
        "thaw",
        "thaw --plan",
        "thaw --until 2026-11-22T14:01:59Z --tier bulk",
        "thaw 20260301T020000Z-full --repository cold",
    )
    parser.add_argument("label", nargs="?", help="the backup (default: the newest that was finished by then)")
    parser.add_argument("--until", metavar="TIME", help="the target of the restore (default: the latest moment)")
    parser.add_argument("--repository", metavar="NAME", help="the repository (default: the first one of type s3)")
    parser.add_argument(
        "--tier", choices=TIERS, default="standard", help="how fast, and how expensive (default: standard)"
    )
    parser.add_argument("--days", type=int, default=7, help="for how many days it stays readable (default: 7)")
    add_plan(parser, "only show what is frozen, how long it takes, and its price")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 0 once all can be read, 2 before."""
    config = load(args.config, args.as_of)
    until = read_aware(args.until, "--until") if args.until else None
    request = ThawRequest(args.label, until, args.repository, args.tier, args.days)
    found = (plan if args.plan else apply)(config, request, terminal)
    return Answer(found.as_dict(), "\n".join(_describe(found, args.plan)), 0 if found.readable else 2)


def _describe(found: Thawing, planned: bool) -> List[str]:
    what = f"backup {', '.join(found.labels)} and its WAL" if found.labels else "the records, which list the backups"
    lines = [f"{found.repository}: {what}: {found.objects} objects, {size(found.bytes)}"]
    if found.readable:
        last = f" until {found.until:%Y-%m-%d %H:%M:%SZ}" if found.until else ""
        return [*lines, f"  everything can be read{last}"]
    if found.requested:
        lines.append(f"  requested: {found.requested} objects")
    if found.frozen:
        lines.append(f"  frozen: {found.cost}")
    if found.ongoing:
        lines.append(f"  being thawed: {found.ongoing} objects")
    if planned and found.frozen:
        lines.append("  -> Run it without --plan to request them.")
    else:
        again = "restore" if found.labels else "run it again, for the backup and its WAL"
        lines.append(f"  -> Run it again to see whether they can be read (exit status 0), then {again}.")
    return lines
