# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat erasure``: the register of what was erased, for every later restore."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict

from ..audit.scope import audited
from ..config import load
from ..erasure.reapply import reapply
from ..erasure.record import ErasureRequest
from ..erasure.register import read_register, register
from ..errors import ConfigError
from ..model import Target, format_time
from ..terminal import Answer, Terminal, bullets, table


def add_arguments(subparsers: Any) -> None:
    """Register the commands."""
    parser = subparsers.add_parser("erasure", help="register what was erased, so that restores erase it again")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="register an erasure; the key is read from standard input")
    add.add_argument("--table", required=True, metavar="TABLE", help="table or schema.table")
    add.add_argument("--column", required=True, metavar="COLUMN", help="the column of the subject's key")
    add.add_argument("--database", metavar="NAME", help="default: connection.dbname")
    add.add_argument("--clear-key", action="store_true", help="keep the key itself, not its hash")
    add.add_argument("--statement-file", metavar="FILE", help="SQL with %%(key_hash)s and %%(salt)s, or %%(key)s")
    add.add_argument("--parameters-file", metavar="FILE", help="a JSON object: further parameters of the statement")
    add.add_argument("--erased-at", metavar="TIME", help="when it was erased (default: now)")
    add.add_argument("--reference", default="", metavar="TEXT", help="your own record of the request; no personal data")
    add.add_argument("--plan", action="store_true", help="register nothing")
    add.set_defaults(handler=run_add)
    listing = actions.add_parser("list", help="what is registered, without keys")
    listing.set_defaults(handler=run_list)
    apply = actions.add_parser("apply", help="apply the register to the running server, e.g. once it is promoted")
    apply.set_defaults(handler=run_apply)


def run_add(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Once in every repository."""
    config = load(args.config, args.as_of)
    request = ErasureRequest(
        database=args.database or config.connection.dbname,
        table=args.table,
        column=args.column,
        key=sys.stdin.read().rstrip("\n"),
        hash_key=not args.clear_key,
        statement=_read(args.statement_file).strip() if args.statement_file else None,
        parameters=_parameters(args.parameters_file),
        erased_at=Target("time", args.erased_at).moment() if args.erased_at else None,
        reference=args.reference,
    )
    done = register(config, request, not args.plan)
    lines = [f"{done.erasure.id}: {done.erasure.table} {'would be' if args.plan else 'is'} registered"]
    lines += bullets([f"in {name}" for name in done.repositories])
    lines += [f"NOT in {name}: {exc.message}" for name, exc in done.missing.items()]
    data = {
        "changed": bool(done.repositories),
        "erasure": done.erasure.shown(),
        "repositories": list(done.repositories),
        "missing": {name: exc.as_dict() for name, exc in done.missing.items()},
    }
    return Answer(data, "\n".join(lines))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read.", "Check the path and its owner.", path=path) from exc


def _parameters(path: str) -> Dict[str, str]:
    if not path:
        return {}
    try:
        data = json.loads(_read(path))
        if isinstance(data, dict) and all(isinstance(v, str) for v in data.values()):
            return data
    except ValueError:
        pass
    # No cause: it may quote what the file holds.
    raise ConfigError(f"{path} is no JSON object of texts.", 'Write {"name": "value"}.', path=path) from None


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """A line for each erasure, oldest first."""
    found = read_register(load(args.config, args.as_of))
    rows = [
        [e.id, format_time(e.erased_at)[:19] + "Z", e.database, f"{e.table}.{e.column}", e.by, e.reference]
        for e in found.erasures
    ]
    head = ["id", "erased at", "database", "key", "by", "reference"]
    lines = [table(head, rows) if rows else "nothing is registered"]
    lines += [f"NOT READ {name}: {exc.message}" for name, exc in found.unread.items()]
    data = {
        "erasures": [e.shown() for e in found.erasures],
        "unread": {name: exc.as_dict() for name, exc in found.unread.items()},
    }
    return Answer(data, "\n".join(lines))


def run_apply(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """All of it: what is erased already is met by no row."""
    config = load(args.config, args.as_of)
    found = read_register(config)
    with audited(config, "erasure", [e.id for e in found.erasures]) as note:
        done = reapply(config.connection, found.erasures)
        note.details["applied"] = True
    lines = [f"{one.id}: {one.table} {'is not there' if one.absent else f'{one.rows} rows'}" for one in done]
    data = {
        "changed": any(one.rows for one in done),
        "applied": [one.as_dict() for one in done],
        "unread": {name: exc.as_dict() for name, exc in found.unread.items()},
    }
    return Answer(data, "\n".join(lines) or "nothing is registered")
