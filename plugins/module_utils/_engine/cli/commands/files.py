# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat files``: store and restore file sets."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List

from ...base.errors import ConfigError
from ...config.load import Config, load
from ...fileset import backup as files
from ...fileset.credentials import has_own, load_for_files
from ...fileset.restore import FilesRequest, apply, plan
from ...fileset.scope import write_line
from ...gitcopy.push import Pushed, push_sets
from ...records.model import Target
from ...repository.file_sets import list_files
from ...repository.repository import Repositories
from ...repository.signatures import told
from ...sync import run as sync
from ..terminal import Answer, Terminal, size, table
from .described import Actions, add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "files", "files backup config", "files restore config --plan --diff")
    actions = Actions(parser)
    backup = actions.add(
        "backup",
        run_backup,
        "store a file set (without a name: all of them)",
        "files backup",
        "files backup config --always",
    )
    backup.add_argument("file_set", nargs="?", metavar="SET")
    backup.add_argument(
        "--always", action="store_true", help="make a copy even if nothing has changed since the newest one"
    )
    push = actions.add(
        "push",
        run_push,
        "push configuration without secrets to git (files backup does so too)",
        "files push",
        "files push config",
    )
    push.add_argument("file_set", nargs="*", metavar="SET")
    listing = actions.add(
        "list", run_list, "list the copies of a file set", "files list config", "files list config --json"
    )
    listing.add_argument("file_set", metavar="SET")
    restore = actions.add(
        "restore",
        run_restore,
        "restore a file set; replaced files are kept under another name",
        "files restore config --plan --diff",
        "files restore data --at 2026-11-22T14:00:00Z --target /root/look",
    )
    restore.add_argument("file_set", metavar="SET")
    restore.add_argument("--label", help="restore this copy instead of the newest")
    restore.add_argument("--at", metavar="TIME", help="restore the copy that was newest at this time")
    restore.add_argument(
        "--target", default="/", metavar="DIR", help="restore below this directory (default: %(default)s)"
    )
    restore.add_argument(
        "--only", action="append", default=[], metavar="PATH", help="only restore this path and everything below it"
    )
    restore.add_argument(
        "--path", action="append", default=[], metavar="PATH",
        help="allow writing below this path, instead of the paths in file_sets (repeatable)",
    )  # fmt: skip
    restore.add_argument("--diff", action="store_true", help="show the differences in text files")
    add_plan(restore, "only show what differs and would be written")


def run_backup(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Store one set, or all, unless nothing has changed."""
    config = load_for_files(args.config, args.as_of)
    names = [args.file_set] if args.file_set else [s.name for s in config.file_sets]
    done = [
        (files.backup_files(config, name, terminal), True)
        if args.always
        else files.backup_if_changed(config, name, terminal)
        for name in names
    ]
    lines = []
    for copy, made in done:
        what = f"{size(copy.data_size)} stored as {size(copy.file.size)}" if made else "nothing has changed since"
        lines.append(f"{copy.file_set}: {copy.label}, {what}")
        lines += [f"  {words}" for words in copy.unsettled]
    data: Dict[str, Any] = {
        "changed": any(made for _copy, made in done),
        "file_sets": [copy.as_dict() for copy, _made in done],
    }
    status = _bring(config, lines, terminal)
    # All copies are stored by now, and a failed push does not undo them.
    pushed = push_sets(config, [args.file_set] if args.file_set else [])
    if pushed:
        lines.append(_pushed(pushed))
        data["git"] = pushed.as_dict()
    return Answer(data, "\n".join(lines) or "no file sets are configured", status)


def _bring(config: Config, lines: List[str], terminal: Terminal) -> int:
    """Copy file sets to the repositories that only sync writes, because sync lacks the credentials of file sets."""
    targets = [r.name for r in config.repositories if not r.required and r.writable]
    if not targets or not has_own(config):
        return 0
    _source, done = sync.apply(config, targets=targets, file_sets=True, progress=terminal)
    for target in done:
        lines.append(f"{target.location}: {target.copied} objects of file sets copied")
        errors = [target.error] if target.error else [failed.error for failed in target.failed]
        lines += [f"  NOT COPIED: {error.message}" for error in errors]
    return 0 if all(target.whole for target in done) else 1


def run_push(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Push one set, or all that go to git."""
    pushed = push_sets(load(args.config, args.as_of), args.file_set)
    if pushed is None:
        raise ConfigError(
            f"{args.config}: no file sets to push to git.",
            "Set git.remote; it pushes sets of kind config, or those in git.file_sets.",
        )
    lines = [_pushed(pushed), *(f"  kept out: {path} ({why})" for path, why in pushed.kept_out.items())]
    return Answer({"changed": pushed.commit is not None, "git": pushed.as_dict()}, "\n".join(lines))


def _pushed(pushed: Pushed) -> str:
    where = f"{pushed.branch} of {pushed.remote}, below {pushed.prefix}"
    if pushed.commit is None:
        return f"git: {where} is up to date"
    counts = ", ".join(f"{len(paths)} {word}" for word, paths in pushed.changes.items() if paths)
    return f"git: {pushed.commit[:12]} on {where}: {counts}, {len(pushed.kept_out)} kept out"


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each copy."""
    repositories = Repositories.open(load_for_files(args.config, args.as_of))
    try:
        repository = repositories.readable()
        copies, foreign = list_files(repository, args.file_set), told(repository.signatures)
    finally:
        repositories.close()
    rows = [[c.label, c.host, size(c.data_size), size(c.file.size)] for c in copies]
    text = table(["label", "host", "data", "stored"], rows) if rows else f"no copies of file set {args.file_set}"
    lines = [text, *(f"FOREIGN, ignored: {f['message']}" for f in foreign)]
    return Answer({"copies": [c.as_dict() for c in copies], "foreign": list(foreign)}, "\n".join(lines))


def run_restore(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Compare, then restore the files that differ."""
    config = load_for_files(args.config, args.as_of)
    at = Target("time", args.at).moment() if args.at else None
    shown: List[str] = []
    request = FilesRequest(args.file_set, args.label, args.target, tuple(args.only), at, tuple(args.path))
    done = (plan if args.plan else apply)(config, request, terminal, shown.append if args.diff else None)
    verb = "would be restored" if args.plan else "restored"
    lines = [
        f"{args.file_set}: {done.label} {verb}"
        if done.changed
        else f"{args.file_set}: the files are the same as in {done.label}"
    ]
    data = {"changed": done.changed, "label": done.label, "differences": list(done.differences), "diff": shown}
    data["writes"] = [dict(write) for write in done.writes]
    planned = [f"  {write_line(write)}" for write in done.writes] if args.plan else []
    return Answer(data, "\n".join([*lines, *(f"  {d}" for d in done.differences), *planned, *shown]))
