# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-push`` and ``lifeboat wal-fetch``, as PostgreSQL calls them, and the restore's ``wal-prefetch``.

``archive_command``: 0 only when the file is durable; anything else is tried again. PostgreSQL does not count a status
above 125 as a failure, so a failed push is always 1. ``restore_command``: 1 says "confirmed not there", and recovery
takes it for the end of WAL; a status above 125 stops recovery, and that is what any doubt becomes.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..config import load
from ..terminal import Answer, Terminal
from ..wal.fetch import Source, fetch
from ..wal.prefetch import prefetch
from ..wal.push import push

NOT_FOUND = 1
ABORT_RECOVERY = 254


def add_arguments(subparsers: Any) -> None:
    """Register the commands."""
    parser = subparsers.add_parser("wal-push", help="archive_command = 'lifeboat --config FILE wal-push %%p'")
    parser.add_argument("path", help="%%p: the file, relative to the data directory")
    parser.set_defaults(handler=run_push)
    parser = subparsers.add_parser("wal-fetch", help="restore_command = 'lifeboat --config FILE wal-fetch %%f %%p'")
    parser.add_argument("name", help="%%f: the file's name in the archive")
    parser.add_argument("path", help="%%p: where to put it, relative to the data directory")
    parser.add_argument(
        "--not-found",
        type=int,
        default=NOT_FOUND,
        metavar="STATUS",
        help="exit status for a file that is not there (default: %(default)s)",
    )
    parser.add_argument(
        "--source",
        metavar="REPOSITORY",
        help="ask this one first; its word that a file is not there counts, even where another gives no answer",
    )
    parser.add_argument("--without", metavar="REPOSITORY", action="append", default=[], help="do not ask this one")
    parser.add_argument("--pieces", action="store_true", help="put a missing segment together from its pieces")
    parser.set_defaults(handler=run_fetch, error_status=lambda _: ABORT_RECOVERY)
    parser = subparsers.add_parser("wal-prefetch", help="fetch WAL ahead of replay; a restore starts this by itself")
    parser.add_argument("directory", help="where the restore left its order; served until standard input ends")
    parser.set_defaults(handler=run_prefetch)


def run_push(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Archive one file; silent when all is well, because PostgreSQL calls it for every segment."""
    pushed = push(load(args.config, args.as_of), args.path)
    return Answer({"name": pushed.name, "stored": pushed.stored, "already": list(pushed.already)}, "")


def run_fetch(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Bring one file back, or say that it is not there."""
    source = Source(args.source, tuple(args.without), args.pieces)
    fetched = fetch(load(args.config, args.as_of), args.name, args.path, source=source)
    if fetched is None:
        return Answer({"name": args.name, "found": False}, "", args.not_found)
    return Answer({"name": fetched.name, "found": True, "repository": fetched.repository, "size": fetched.size}, "")


def run_prefetch(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Serve one restore until it ends."""
    fetched = prefetch(load(args.config, args.as_of), args.directory, sys.stdin.fileno())
    return Answer({"fetched": fetched}, "")
