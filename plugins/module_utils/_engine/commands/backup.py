# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat backup``."""

from __future__ import annotations

import argparse
from typing import Any

from .. import backup
from ..config import BackupConfig, load
from ..model import BACKUP_TYPES
from ..terminal import Answer, Terminal, duration, size


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("backup", help="make a base backup")
    parser.add_argument(
        "--type",
        default="full",
        choices=[*BACKUP_TYPES, "auto"],
        help="full; differential: what changed since the last full one; incremental: since the last of any kind;"
        " auto: incremental where that can be, else full (default: %(default)s)",
    )
    parser.add_argument(
        "--fallback",
        choices=BackupConfig.CHOICES["fallback"],
        help="what to do where a differential or incremental one cannot be made (default: backup.fallback, else none)",
    )
    parser.add_argument(
        "--max-age", type=float, metavar="SECONDS", help="do nothing when a backup younger than this exists"
    )
    parser.add_argument(
        "--accept-new-system",
        action="store_true",
        help="this cluster was created anew (initdb, pg_upgrade): let it join the repository",
    )
    parser.add_argument("--plan", action="store_true", help="show what would be done, and do nothing")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Make a backup, or say that a fresh one is there."""
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
        else f"{made.label} is fresh enough; nothing was done"
    )
    return Answer({"changed": changed, "backup": made.as_dict(), "notes": list(done.notes)}, text)
