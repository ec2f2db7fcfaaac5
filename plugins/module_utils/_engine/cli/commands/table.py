# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat table``: single tables as they were at a point in time."""

from __future__ import annotations

import argparse
from typing import Any

from ...base.wal_names import format_lsn
from ...config.load import load
from ...records.model import Target, format_time, read_aware
from ...tables import restore, search
from ..terminal import Answer, Terminal, bullets, duration, table
from .described import Actions, add_command, add_owners, add_plan
from .erasure import add_confirmation


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(
        subparsers,
        "table",
        'table search shop orders --from "2026-11-22 14:00:00+00"',
        'table restore shop orders --time "2026-11-22 14:02:00+00"',
    )
    actions = Actions(parser)
    back = actions.add(
        "restore",
        run_restore,
        "restore tables beside the live ones, or into another database",
        'table restore shop orders --time "2026-11-22 14:02:00+00"',
        "table restore shop sales.orders --latest --into rescue",
    )
    back.add_argument("database", metavar="DATABASE")
    back.add_argument("tables", nargs="+", metavar="TABLE", help="name as in SQL: orders, sales.orders")
    target = back.add_mutually_exclusive_group(required=True)
    target.add_argument("--time", metavar="TIME", help="'2026-11-22 14:02:00+00'")
    target.add_argument("--lsn", metavar="LSN", help="0/3000028")
    target.add_argument("--xid", metavar="XID", help="a transaction id")
    target.add_argument("--name", metavar="NAME", help="a restore point (pg_create_restore_point)")
    target.add_argument("--latest", action="store_true", help="to the end of the archived WAL")
    back.add_argument("--exclusive", action="store_true", help="stop just before the target instead of just after it")
    back.add_argument("--timeline", default="latest", help="latest, current or a number (default: %(default)s)")
    back.add_argument("--label", help="recover from this backup")
    place = back.add_mutually_exclusive_group()
    place.add_argument("--suffix", help="suffix of the restored tables' names (default: the time, _20261122_1402)")
    place.add_argument(
        "--into", metavar="DATABASE", help="restore into this database, under the original names; created if needed"
    )
    add_owners(back, "tables")
    add_confirmation(back)
    add_plan(back, "only show what would be recovered")
    find = actions.add(
        "search",
        run_search,
        "find when rows were deleted or updated, or a table was truncated or dropped",
        'table search shop orders --from "2026-11-22 14:00:00+00"',
        'table search shop orders --from "2026-11-22 14:00:00+00" --to "2026-11-22 15:00:00+00"',
    )
    find.add_argument("database", metavar="DATABASE")
    find.add_argument("tables", nargs="+", metavar="TABLE", help="name as in SQL, at the time of --from")
    find.add_argument("--from", dest="since", required=True, metavar="TIME", help="'2026-11-22 14:00:00+00'")
    find.add_argument("--to", dest="until", metavar="TIME", help="(default: the end of the archived WAL)")


def run_restore(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Recover a scratch cluster, copy the tables out of it, and drop it."""
    config = load(args.config, args.as_of)
    kind = next((k for k in ("time", "lsn", "xid", "name") if getattr(args, k) is not None), "latest")
    request = restore.TableRequest(
        args.database,
        tuple(args.tables),
        Target(kind, getattr(args, kind) if kind != "latest" else None, not args.exclusive, args.timeline),
        args.label, args.into, args.suffix, not args.no_owner, not args.no_privileges,
        tuple(args.confirm_erasures),
    )  # fmt: skip
    if args.plan:
        planned = restore.plan(config, request).as_dict()
        text = f"{', '.join(args.tables)} of {args.database} from backup {planned['label']}, {planned['target']}"
        return Answer({"changed": True, "plan": planned}, text)
    done = restore.apply(config, request, terminal)
    lines = [f"{name}: {rows} rows" for name, rows in done.rows.items()]
    moment = f"LSN {done.reached_lsn}" + (f", last commit {done.reached_time}" if done.reached_time else "")
    lines.append(f"in database {done.database}, as of {moment}, in {duration(done.seconds)}")
    if done.dropped:
        lines += ["left out, because a copy has no triggers and no references", *bullets(list(done.dropped))]
    return Answer({"changed": True, "restored": done.as_dict()}, "\n".join(lines))


def run_search(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each transaction and table, with the options to restore to just before it."""
    since = read_aware(args.since, "--from")
    until = read_aware(args.until, "--to") if args.until else None
    request = search.SearchRequest(args.database, tuple(args.tables), since, until)
    done = search.search(load(args.config, args.as_of), request, terminal)
    rows = [
        [
            format_time(e.at), e.table, e.what, "" if e.rows is None else str(e.rows), str(e.xid),
            f"--lsn {format_lsn(e.lsn)}",
        ]
        for e in done.events
    ]  # fmt: skip
    lines = [table(["committed at", "table", "what", "rows", "transaction", "just before, with --exclusive"], rows)]
    if not rows:
        lines = ["no rows were deleted or updated, and no table was truncated or dropped"]
    lines += [
        f"{name} was rewritten at {format_time(at)}: to find later changes, search again --from then"
        for name, at in done.lost.items()
    ]
    lines.append(f"{done.segments} WAL segments, {format_lsn(done.begin)} to {format_lsn(done.end)}")
    return Answer({"changed": False, **done.as_dict()}, "\n".join(lines))
