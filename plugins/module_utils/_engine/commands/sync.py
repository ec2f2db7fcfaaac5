# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat sync``."""

from __future__ import annotations

import argparse
from typing import Any, List

from ..config import load
from ..sync import Synced, sync
from ..terminal import Answer, Terminal, bullets, duration, size


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("sync", help="bring repositories to what another one holds")
    parser.add_argument("--from", dest="source", metavar="NAME", help="default: the first that answers")
    parser.add_argument("--to", action="append", default=[], metavar="NAME", help="only this one (repeatable)")
    parser.add_argument("--plan", action="store_true", help="show what is lacking, and copy nothing")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 where an object could not be copied, or holds something else."""
    source, done = sync(load(args.config, args.as_of), not args.plan, args.source, args.to, terminal)
    lines = [f"from {source}"]
    for target in done:
        lines += _describe(target, args.plan)
    data = {"changed": any(t.lag.lacking for t in done), "source": source, "repositories": [t.as_dict() for t in done]}
    return Answer(data, "\n".join(lines), 0 if all(t.whole for t in done) else 1)


def _describe(target: Synced, planned: bool) -> List[str]:
    told = target.as_dict()
    if target.error:
        return [f"{target.location}: NOT SYNCED: {target.error.message}", f"  -> {target.error.hint}"]
    lines = [
        f"{target.location}: {told['lacking']} objects lack, {size(told['lacking_bytes'])}"
        + ("" if planned else f"; {target.copied} copied in {duration(target.seconds)}")
    ]
    lines += bullets([f"{count} of {what}" for what, count in told["lacking_of"].items()])
    lines += bullets([f"CONFLICT {key}: it has another size here, and is left" for key in target.lag.conflicts])
    return lines + bullets([f"NOT COPIED {f.key}: {f.error.message}" for f in target.failed])
