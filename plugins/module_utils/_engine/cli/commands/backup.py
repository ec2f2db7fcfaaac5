# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat backup``."""

from __future__ import annotations

import argparse
from typing import Any

from ...backup import run as backup
from ...config.load import load
from ...config.option import choices_of
from ...config.sections import BackupConfig
from ...records.model import BACKUP_TYPES
from ..terminal import Answer, Terminal, duration, size
from .described import add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "backup", "backup --type full", "backup --type incremental --fallback full")
    parser.add_argument(
        "--type",
        default="full",
        choices=[*BACKUP_TYPES, "auto"],
        help="full; differential: changes since the last full one; incremental: changes since the last one of any type;"
        " auto: incremental if possible, otherwise full (default: %(default)s)",
    )
    parser.add_argument(
        "--fallback",
        choices=choices_of(BackupConfig, "fallback"),
        help="what to do if a differential or incremental one is impossible (default: backup.fallback, else none)",
    )
    parser.add_argument(
        "--max-age", type=float, metavar="SECONDS", help="do nothing if there is a newer backup than this"
    )
    parser.add_argument(
        "--accept-new-system",
        action="store_true",
        help="accept a newly created cluster (initdb, pg_upgrade) in this repository",
    )
    add_plan(parser, "only show what would be done")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Make a backup, or report a recent one if it is new enough for ``--max-age``."""
    config = load(args.config, args.as_of)
    planned = backup.plan(config, backup.BackupRequest(args.type, args.max_age, args.accept_new_system, args.fallback))
    if args.plan:
        lines = [f"{key}: {value}" for key, value in planned.as_dict().items()]
        return Answer(planned.as_dict(), "\n".join(lines))
    done = backup.apply(config, planned, terminal)
    made = done.manifest
    changed = planned.fresh is None
    on = f", based on {made.parent}" if made.parent else ""
    text = (
        f"{made.label}: {size(made.data_size)} backed up"
        f" as {size(made.stored_size)} in {duration(sum(made.timings.values()))}{on}"
        if changed
        else f"{made.label} is recent enough; nothing was done"
    )
    return Answer({"changed": changed, "backup": made.as_dict(), "notes": list(done.notes)}, text)
