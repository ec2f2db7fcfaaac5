# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat dump``: make, list and restore dumps of single databases."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from ...config.load import load
from ...dump import make, restore
from ...repository.dumps import list_dumps
from ...repository.repository import Repositories
from ...repository.signatures import told
from ..terminal import Answer, Terminal, duration, size, table
from .described import Actions, add_command, add_owners, add_plan
from .erasure import add_confirmation


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "dump", "dump create shop", "dump restore shop --replace")
    actions = Actions(parser)
    create = actions.add(
        "create",
        run_create,
        "dump databases (without names: the configured ones, or else all)",
        "dump create shop",
        "dump create --format directory --jobs 4 shop",
    )
    create.add_argument("databases", nargs="*", metavar="DATABASE")
    create.add_argument("--no-count", action="store_true", help="do not count the rows of every table")
    create.add_argument("--format", choices=["custom", "directory"], help="(default: as configured, else custom)")
    create.add_argument("--jobs", type=int, metavar="N", help="processes for the directory format")
    create.add_argument("--staging-dir", metavar="DIR", help="directory for the directory format")
    add_plan(create, "only show what would be dumped")
    listing = actions.add("list", run_list, "list the dumps", "dump list", "dump list shop")
    listing.add_argument("database", nargs="?", metavar="DATABASE")
    back = actions.add(
        "restore",
        run_restore,
        "restore a dump; an existing database is renamed and kept",
        "dump restore shop --into shop_copy",
        "dump restore shop --replace",
    )
    back.add_argument("database", metavar="DATABASE")
    back.add_argument("--label", help="restore this dump instead of the newest")
    back.add_argument("--into", metavar="NAME", help="name of the restored database (default: the original one)")
    back.add_argument("--replace", action="store_true", help="replace the existing database, which is renamed and kept")
    add_owners(back, "objects")
    back.add_argument("--with-globals", action="store_true", help="create the roles and tablespaces first")
    back.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="restore with N processes, from a file (default: 1, without a file)",
    )
    back.add_argument("--single-transaction", action="store_true", help="all or nothing")
    back.add_argument("--staging-dir", metavar="DIR", help="directory for that file (default: TMPDIR)")
    back.add_argument("--without-erasures", action="store_true", help="do not reapply erasures registered since")
    add_confirmation(back)
    add_plan(back, "only show what would be done")


def run_create(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each dump."""
    config = load(args.config, args.as_of)
    given = {"format": args.format, "jobs": args.jobs, "staging_dir": args.staging_dir}
    given["count"] = False if args.no_count else None
    dumps = replace(config.dumps, **{key: value for key, value in given.items() if value is not None})
    config = replace(config, dumps=dumps)
    planned = make.plan(config, make.DumpsRequest(tuple(args.databases)))
    if args.plan:
        words = f"would dump {', '.join(planned.databases) or 'nothing'} to {', '.join(planned.repositories)}"
        return Answer({"changed": bool(planned.databases), **planned.as_dict()}, words)
    made = make.apply(config, planned, terminal)
    lines = [f"{d.database}: {d.label}, {size(d.data_size)} stored as {size(d.data.size)}" for d in made]
    return Answer({"changed": bool(made), "dumps": [d.as_dict() for d in made]}, "\n".join(lines))


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each dump, oldest first."""
    repositories = Repositories.open(load(args.config, args.as_of))
    try:
        repository = repositories.readable()
        dumps, foreign = list_dumps(repository, args.database), told(repository.signatures)
    finally:
        repositories.close()
    rows = [
        [d.database, d.label, d.server_version.split()[0], size(d.data_size), size(d.data.size), str(len(d.rows))]
        for d in dumps
    ]
    text = table(["database", "label", "version", "data", "stored", "tables counted"], rows) if rows else "no dumps"
    lines = [text, *(f"FOREIGN, ignored: {f['message']}" for f in foreign)]
    return Answer({"dumps": [d.as_dict() for d in dumps], "foreign": list(foreign)}, "\n".join(lines))


def run_restore(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Plan, then restore under another name and rename."""
    config = load(args.config, args.as_of)
    request = restore.DumpRequest(
        args.database, args.label, args.into, args.replace, not args.no_owner, not args.no_privileges,
        args.with_globals, args.jobs, args.single_transaction, args.staging_dir, not args.without_erasures,
        tuple(args.confirm_erasures),
    )  # fmt: skip
    planned = restore.plan(config, request)
    if args.plan:
        lines = [f"{key}: {value}" for key, value in planned.as_dict().items() if value is not None]
        return Answer({"changed": True, **planned.as_dict()}, "\n".join(lines))
    done = restore.apply(config, planned, terminal)
    lines = [f"{planned.dump.label} is restored as {planned.into} in {duration(done.seconds)}"]
    lines.append(
        f"{done.rows} rows in {done.tables} tables, as in the dump" if done.tables else "its rows were not counted"
    )
    if planned.aside:
        lines.append(f"the previous database is kept as {planned.aside}; drop it when it is no longer needed")
    return Answer({"changed": True, **done.as_dict()}, "\n".join(lines))
