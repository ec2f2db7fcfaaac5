# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat files``: store and bring back file sets."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List

from .. import files
from ..config import load
from ..errors import ConfigError
from ..file_record import list_files
from ..file_restore import restore_files
from ..gitcopy.push import Pushed, push_sets
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
    push = actions.add_parser("push", help="push configuration without secrets to git (a backup does so too)")
    push.add_argument("file_set", nargs="*", metavar="SET")
    push.set_defaults(handler=run_push)
    listing = actions.add_parser("list", help="the copies of a file set")
    listing.add_argument("file_set", metavar="SET")
    listing.set_defaults(handler=run_list)
    restore = actions.add_parser("restore", help="bring a file set back; what differs is kept under another name")
    restore.add_argument("file_set", metavar="SET")
    restore.add_argument("--label", help="this copy, instead of the newest")
    restore.add_argument("--at", metavar="TIME", help="the copy of this time, instead of the newest")
    restore.add_argument("--target", default="/", metavar="DIR", help="below this directory (default: %(default)s)")
    restore.add_argument("--only", action="append", default=[], metavar="PATH", help="only what lies at or below it")
    restore.add_argument("--diff", action="store_true", help="show what changes in text files")
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
    data: Dict[str, Any] = {
        "changed": any(made for _copy, made in done),
        "file_sets": [copy.as_dict() for copy, _made in done],
    }
    # Every copy is made by now: what keeps it out of git takes nothing back.
    pushed = push_sets(config, [args.file_set] if args.file_set else [])
    if pushed:
        lines.append(_pushed(pushed))
        data["git"] = pushed.as_dict()
    return Answer(data, "\n".join(lines) or "no file set is configured")


def run_push(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Push the sets, or all that go to git."""
    pushed = push_sets(load(args.config, args.as_of), args.file_set)
    if pushed is None:
        raise ConfigError(
            f"{args.config}: nothing goes to git.",
            "Set git.remote there; sets of kind config go, or those that git.file_sets names.",
        )
    lines = [_pushed(pushed), *(f"  kept out: {path} ({why})" for path, why in pushed.kept_out.items())]
    return Answer({"changed": pushed.commit is not None, "git": pushed.as_dict()}, "\n".join(lines))


def _pushed(pushed: Pushed) -> str:
    where = f"{pushed.branch} of {pushed.remote}, below {pushed.prefix}"
    if pushed.commit is None:
        return f"git: {where} is what is there"
    counts = ", ".join(f"{len(paths)} {word}" for word, paths in pushed.changes.items() if paths)
    return f"git: {pushed.commit[:12]} on {where}: {counts}, {len(pushed.kept_out)} kept out"


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
    shown: List[str] = []
    done = restore_files(
        config, args.file_set, args.label, args.target, not args.plan, terminal, args.only, at,
        shown.append if args.diff else None,
    )  # fmt: skip
    verb = "would be restored" if args.plan else "restored"
    lines = [
        f"{args.file_set}: {done.label} {verb}" if done.changed else f"{args.file_set}: {done.label} is what is there"
    ]
    data = {"changed": done.changed, "label": done.label, "differences": list(done.differences), "diff": shown}
    return Answer(data, "\n".join([*lines, *(f"  {d}" for d in done.differences), *shown]))
