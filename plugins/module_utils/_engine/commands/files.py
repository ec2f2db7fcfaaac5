# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat files``: store and bring back file sets."""

from __future__ import annotations

import argparse
from typing import Any

from .. import files
from ..config import load
from ..file_record import list_files
from ..model import Target
from ..repository.repository import Repositories
from ..terminal import Answer, Terminal, size, table


def add_arguments(subparsers: Any) -> None:
    """Register the commands."""
    parser = subparsers.add_parser("files", help="store, list and restore file sets")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    backup = actions.add_parser("backup", help="store a file set (without a name: every one)")
    backup.add_argument("file_set", nargs="?", metavar="SET")
    backup.add_argument("--always", action="store_true", help="although nothing changed since the newest copy")
    backup.set_defaults(handler=run_backup)
    listing = actions.add_parser("list", help="the copies of a file set")
    listing.add_argument("file_set", metavar="SET")
    listing.set_defaults(handler=run_list)
    restore = actions.add_parser("restore", help="bring a file set back; what differs is kept under another name")
    restore.add_argument("file_set", metavar="SET")
    restore.add_argument("--label", help="this copy, instead of the newest")
    restore.add_argument("--at", metavar="TIME", help="the copy of this time, instead of the newest")
    restore.add_argument("--target", default="/", metavar="DIR", help="below this directory (default: %(default)s)")
    restore.add_argument("--plan", action="store_true", help="show what differs, and do nothing")
    restore.set_defaults(handler=run_restore)


def run_backup(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Store one set, or all of them, where anything changed."""
    config = load(args.config, args.as_of)
    names = [args.file_set] if args.file_set else [s.name for s in config.file_sets]
    done = [
        (files.backup_files(config, name, terminal), True)
        if args.always
        else files.backup_if_changed(config, name, terminal)
        for name in names
    ]
    lines = []
    for copy, made in done:
        what = f"{size(copy.data_size)} stored as {size(copy.file.size)}" if made else "nothing changed since"
        lines.append(f"{copy.file_set}: {copy.label}, {what}")
        lines += [f"  {words}" for words in copy.unsettled]
    data = {"changed": any(made for _copy, made in done), "file_sets": [copy.as_dict() for copy, _made in done]}
    return Answer(data, "\n".join(lines) or "no file set is configured")


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """A line for each copy."""
    repositories = Repositories.open(load(args.config, args.as_of))
    try:
        copies = list_files(repositories.readable(), args.file_set)
    finally:
        repositories.close()
    rows = [[c.label, c.host, size(c.data_size), size(c.file.size)] for c in copies]
    text = table(["label", "host", "data", "stored"], rows) if rows else f"no copy of file set {args.file_set}"
    return Answer({"copies": [c.as_dict() for c in copies]}, text)


def run_restore(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Compare, then extract what differs."""
    config = load(args.config, args.as_of)
    at = Target("time", args.at).moment() if args.at else None
    done = files.restore_files(config, args.file_set, args.label, args.target, not args.plan, terminal, at=at)
    verb = "would be restored" if args.plan else "restored"
    lines = [
        f"{args.file_set}: {done.label} {verb}" if done.changed else f"{args.file_set}: {done.label} is what is there"
    ]
    data = {"changed": done.changed, "label": done.label, "differences": list(done.differences)}
    return Answer(data, "\n".join([*lines, *(f"  {d}" for d in done.differences)]))
