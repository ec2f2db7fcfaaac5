# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat erasure``: the register of erased subjects, which every later restore applies again."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict

from ...audit.scope import audited
from ...base.errors import ConfigError
from ...config.load import load
from ...erasure import register
from ...erasure.confirm import printable, require_confirmed
from ...erasure.reapply import reapply
from ...erasure.register import read_register
from ...records.model import Target, format_time
from ...repository.erasures import ErasureRequest
from ..terminal import Answer, Terminal, bullets, table
from .described import Actions, add_command, add_plan


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "erasure", "erasure list", "erasure apply")
    actions = Actions(parser)
    add = actions.add(
        "add",
        run_add,
        "register an erasure; the key is read from standard input",
        "erasure add --table customers --column id <key",
        "erasure add --table customers --column id --plan <key",
    )
    add.add_argument("--table", required=True, metavar="TABLE", help="table or schema.table")
    add.add_argument("--column", required=True, metavar="COLUMN", help="the column with the subject's key")
    add.add_argument("--database", metavar="NAME", help="default: connection.dbname")
    add.add_argument("--clear-key", action="store_true", help="store the key itself, not its hash")
    add.add_argument("--statement-file", metavar="FILE", help="SQL with %%(key_hash)s and %%(salt)s, or %%(key)s")
    add.add_argument(
        "--parameters-file", metavar="FILE", help="JSON object with additional parameters of the statement"
    )
    add.add_argument("--erased-at", metavar="TIME", help="time of the erasure (default: now)")
    add.add_argument(
        "--reference", default="", metavar="TEXT", help="your own reference for the request, without personal data"
    )
    add_plan(add, "only show what would be registered")
    actions.add("list", run_list, "list registered erasures, without keys", "erasure list", "erasure list --json")
    apply = actions.add(
        "apply",
        run_apply,
        "apply the register to the running server, for example after promotion",
        "erasure apply",
        "erasure apply --confirm-erasures ID:DIGEST",
    )
    add_confirmation(apply)


def add_confirmation(parser: argparse.ArgumentParser) -> None:
    """Add the option that confirms erasures, for every command that applies the register."""
    parser.add_argument(
        "--confirm-erasures",
        action="append",
        default=[],
        metavar="ID:DIGEST",
        help="confirm an erasure that has a custom statement or is later than --as-of (repeatable; see erasure list)",
    )


def run_add(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Register the erasure once in every repository."""
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
    done = (register.plan if args.plan else register.apply)(config, request)
    lines = [f"{done.erasure.id}: {done.erasure.table} {'would be' if args.plan else 'is'} registered"]
    if not done.repositories and args.erased_at is None:
        lines.append(
            f"since {format_time(done.erasure.erased_at)}; if the subject came back and was erased again, add it with"
            " --erased-at"
        )
    if not done.erasure.is_default:
        lines.append(f"to run its statement, a restore needs --confirm-erasures {done.erasure.confirmation}")
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
        raise ConfigError(f"Cannot read {path}.", "Check the path and its owner.", path=path) from exc


def _parameters(path: str) -> Dict[str, str]:
    if not path:
        return {}
    try:
        data = json.loads(_read(path))
        if isinstance(data, dict) and all(isinstance(v, str) for v in data.values()):
            return data
    except ValueError:
        pass
    # No cause: it may quote the contents of the file.
    raise ConfigError(f"{path} is not a JSON object of strings.", 'Write {"name": "value"}.', path=path) from None


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each erasure, oldest first."""
    found = read_register(load(args.config, args.as_of))
    told = [
        (e.id, format_time(e.erased_at)[:19] + "Z", e.database, f"{e.table}.{e.column}", e.by, e.reference)
        for e in found.erasures
    ]
    rows = [[printable(word) for word in words] for words in told]
    head = ["id", "erased at", "database", "key", "by", "reference"]
    lines = [table(head, rows) if rows else "no registered erasures"]
    lines += [f"{e.confirmation} runs {printable(e.statement)}" for e in found.erasures if not e.is_default]
    lines += [f"NOT READ {name}: {exc.message}" for name, exc in found.unread.items()]
    data = {
        "erasures": [e.shown() for e in found.erasures],
        "unread": {name: exc.as_dict() for name, exc in found.unread.items()},
    }
    return Answer(data, "\n".join(lines))


def run_apply(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Apply the whole register; erasures that have been applied already affect no rows."""
    config = load(args.config, args.as_of)
    found = read_register(config)
    require_confirmed(found.erasures, found.late, args.confirm_erasures)
    with audited(config, "erasure", [e.id for e in found.erasures]) as note:
        done = reapply(config.connection, found.erasures)
        note.details["applied"] = True
    lines = [f"{one.id}: {one.table} {'does not exist' if one.absent else f'{one.rows} rows'}" for one in done]
    data = {
        "changed": any(one.rows for one in done),
        "applied": [one.as_dict() for one in done],
        "unread": {name: exc.as_dict() for name, exc in found.unread.items()},
    }
    return Answer(data, "\n".join(lines) or "no registered erasures")
