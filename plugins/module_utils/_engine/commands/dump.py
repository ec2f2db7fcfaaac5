# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat dump``: one database by ``pg_dump``, and back."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from ..config import load
from ..dump import restore
from ..dump.make import make_dumps
from ..dump.record import list_dumps
from ..repository.repository import Repositories
from ..terminal import Answer, Terminal, duration, size, table


def add_arguments(subparsers: Any) -> None:
    """Register the commands."""
    parser = subparsers.add_parser("dump", help="store, list and restore dumps of single databases")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="dump databases (without a name: the configured ones, else every one)")
    create.add_argument("databases", nargs="*", metavar="DATABASE")
    create.add_argument("--no-count", action="store_true", help="do not count the rows of every table")
    create.add_argument("--format", choices=["custom", "directory"], help="(default: as configured, else custom)")
    create.add_argument("--jobs", type=int, metavar="N", help="so many at once, in the directory format")
    create.add_argument("--staging-dir", metavar="DIR", help="where the directory format is for the time")
    create.set_defaults(handler=run_create)
    listing = actions.add_parser("list", help="the dumps")
    listing.add_argument("database", nargs="?", metavar="DATABASE")
    listing.set_defaults(handler=run_list)
    back = actions.add_parser("restore", help="bring a dump back; a database that is there is renamed and kept")
    back.add_argument("database", metavar="DATABASE")
    back.add_argument("--label", help="this dump, instead of the newest")
    back.add_argument("--into", metavar="NAME", help="a database of this name (default: as it was called)")
    back.add_argument("--replace", action="store_true", help="in place of the database that is there, which is renamed")
    back.add_argument("--no-owner", action="store_true", help="objects belong to the connection's user")
    back.add_argument("--no-privileges", action="store_true", help="without grants")
    back.add_argument("--with-globals", action="store_true", help="make the roles and tablespaces first")
    back.add_argument("--jobs", type=int, default=1, metavar="N", help="in parallel, from a file (default: 1, without)")
    back.add_argument("--single-transaction", action="store_true", help="all of it or nothing")
    back.add_argument("--staging-dir", metavar="DIR", help="where that file is for the time (default: TMPDIR)")
    back.add_argument("--without-erasures", action="store_true", help="do not erase again what was erased since")
    back.add_argument("--plan", action="store_true", help="show what would be done, and do nothing")
    back.set_defaults(handler=run_restore)


def run_create(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """A line for each dump."""
    config = load(args.config, args.as_of)
    given = {"format": args.format, "jobs": args.jobs, "staging_dir": args.staging_dir}
    given["count"] = False if args.no_count else None
    dumps = replace(config.dumps, **{key: value for key, value in given.items() if value is not None})
    made = make_dumps(replace(config, dumps=dumps), args.databases, terminal)
    lines = [f"{d.database}: {d.label}, {size(d.data_size)} stored as {size(d.data.size)}" for d in made]
    return Answer({"changed": bool(made), "dumps": [d.as_dict() for d in made]}, "\n".join(lines))


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """A line for each dump, oldest first."""
    repositories = Repositories.open(load(args.config, args.as_of))
    try:
        dumps = list_dumps(repositories.readable(), args.database)
    finally:
        repositories.close()
    rows = [
        [d.database, d.label, d.server_version.split()[0], size(d.data_size), size(d.data.size), str(len(d.rows))]
        for d in dumps
    ]
    text = table(["database", "label", "version", "data", "stored", "tables counted"], rows) if rows else "no dump"
    return Answer({"dumps": [d.as_dict() for d in dumps]}, text)


def run_restore(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Plan, then restore beside and put it in its place."""
    config = load(args.config, args.as_of)
    request = restore.DumpRequest(
        args.database, args.label, args.into, args.replace, not args.no_owner, not args.no_privileges,
        args.with_globals, args.jobs, args.single_transaction, args.staging_dir, not args.without_erasures,
    )  # fmt: skip
    planned = restore.plan(config, request)
    if args.plan:
        lines = [f"{key}: {value}" for key, value in planned.as_dict().items() if value is not None]
        return Answer({"changed": True, **planned.as_dict()}, "\n".join(lines))
    done = restore.apply(config, request, planned, terminal)
    lines = [f"{planned.dump.label} is {planned.into} now, restored in {duration(done.seconds)}"]
    lines.append(
        f"{done.rows} rows in {done.tables} tables, as they were dumped" if done.tables else "its rows were not counted"
    )
    if planned.aside:
        lines.append(f"the database that was there is kept as {planned.aside}; drop it when nobody needs it")
    return Answer({"changed": True, **done.as_dict()}, "\n".join(lines))
