# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-push`` and ``lifeboat wal-fetch``, as PostgreSQL calls them, and the restore's ``wal-prefetch``.

``archive_command``: 0 only when the file is durable; anything else is tried again. PostgreSQL does not count a status
above 125 as a failure, so a failed push is always 1. ``restore_command``: 1 means "confirmed not there", which
recovery treats as the end of WAL; a status above 125 stops recovery, and is used in any doubt.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ...config.load import load
from ...wal.feed import feed
from ...wal.fetch import Source, fetch
from ...wal.prefetch import prefetch
from ...wal.push import push
from ..terminal import Answer, Terminal
from ..verbs import ABORT_RECOVERY
from .described import add_command

NOT_FOUND = 1


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "wal-push", "--config FILE wal-push %%p")
    parser.add_argument("path", help="%%p: the file, relative to the data directory")
    parser.set_defaults(handler=run_push, error_status=lambda _: 1)
    parser = add_command(subparsers, "wal-fetch", "--config FILE wal-fetch %%f %%p")
    parser.add_argument("name", help="%%f: the file's name in the archive")
    parser.add_argument("path", help="%%p: where to put it, relative to the data directory")
    parser.add_argument(
        "--not-found",
        type=int,
        default=NOT_FOUND,
        metavar="STATUS",
        help="exit status for a missing file (default: %(default)s)",
    )
    parser.add_argument(
        "--source",
        metavar="REPOSITORY",
        help="try this one first; a file missing there counts as missing even if another one does not respond",
    )
    parser.add_argument("--without", metavar="REPOSITORY", action="append", default=[], help="ignore this repository")
    parser.add_argument("--pieces", action="store_true", help="assemble a missing segment from its pieces")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="for a standby: wait a little for new WAL, and never return a segment that has nothing new",
    )
    parser.set_defaults(handler=run_fetch, error_status=lambda _: ABORT_RECOVERY)
    parser = subparsers.add_parser("wal-prefetch", description="Fetch WAL ahead of replay. Started by a restore.")
    parser.add_argument("directory", help="directory with the request of a restore; served until standard input ends")
    parser.set_defaults(handler=run_prefetch)


def run_push(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Archive one file; silent on success, because PostgreSQL calls it for every segment."""
    pushed = push(load(args.config, args.as_of), args.path)
    return Answer({"name": pushed.name, "stored": pushed.stored, "already": list(pushed.already)}, "")


def run_fetch(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Fetch one file, or report that it does not exist."""
    source, config = Source(args.source, tuple(args.without), args.pieces), load(args.config, args.as_of)
    if args.follow:
        fed = feed(config, args.name, args.path, source)
        for words in fed.notes:
            terminal.note(words)
        fetched = fed.fetched
    else:
        fetched = fetch(config, args.name, args.path, source=source)
    if fetched is None:
        return Answer({"name": args.name, "found": False}, "", args.not_found)
    return Answer({"name": fetched.name, "found": True, "repository": fetched.repository, "size": fetched.size}, "")


def run_prefetch(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Serve one restore until it ends."""
    # Files move from this closed directory to the server's, whose mode decides whether a group may read them.
    os.umask(0o027)
    fetched = prefetch(load(args.config, args.as_of), args.directory, sys.stdin.fileno())
    return Answer({"fetched": fetched}, "")
