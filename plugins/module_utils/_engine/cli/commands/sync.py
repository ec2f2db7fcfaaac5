# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat sync``."""

from __future__ import annotations

import argparse
from typing import Any, List

from ...config.load import load
from ...fileset.credentials import load_for_files
from ...sync.run import Synced, apply, plan
from ..terminal import Answer, Terminal, bullets, duration, size
from .described import add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "sync", "sync --plan", "sync --from near --to far")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="NAME",
        help="the source (default: the first repository that responds and is not a target)",
    )
    parser.add_argument("--to", action="append", default=[], metavar="NAME", help="only this target (repeatable)")
    parser.add_argument("--file-sets", action="store_true", help="only file sets, with their own credentials (as root)")
    add_plan(parser, "only show what is missing")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if an object could not be copied, or has other content in the target."""
    config = (load_for_files if args.file_sets else load)(args.config, args.as_of)
    chosen = (config, args.source, args.to, args.file_sets)
    source, done = plan(*chosen) if args.plan else apply(*chosen, terminal)
    lines = [f"from {source}"]
    if config.files_apart:
        lines.append("file sets have their own credentials: copy them with lifeboat sync --file-sets, as root")
    for target in done:
        lines += _describe(target, args.plan)
    data = {"changed": any(t.lag.lacking for t in done), "source": source, "repositories": [t.as_dict() for t in done]}
    return Answer(data, "\n".join(lines), 0 if all(t.whole for t in done) else 1)


def _describe(target: Synced, planned: bool) -> List[str]:
    told = target.as_dict()
    if target.error:
        return [f"{target.location}: NOT SYNCED: {target.error.message}", f"  -> {target.error.hint}"]
    lines = [
        f"{target.location}: {told['lacking']} objects are missing, {size(told['lacking_bytes'])}"
        + ("" if planned else f"; {target.copied} copied in {duration(target.seconds)}")
    ]
    lines += bullets([f"{count} of {what}" for what, count in told["lacking_of"].items()])
    lines += bullets([f"CONFLICT {key}: left alone, because it has other content here" for key in target.lag.conflicts])
    if target.lag.conflicts:
        hint = (
            "Find the damaged copy with lifeboat verify, and add --repair; if both are intact, two servers wrote here."
        )
        lines.append(f"  -> {hint}")
    lines += bullets([f"NOT COPIED {name}: {why}" for name, why in sorted(target.skipped.items())])
    return lines + bullets([f"NOT COPIED {f.key}: {f.error.message}" for f in target.failed])
