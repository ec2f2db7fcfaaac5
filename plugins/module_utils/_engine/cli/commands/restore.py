# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat restore``."""

from __future__ import annotations

import argparse
import re
from typing import Any, Dict, List, Sequence, Tuple

from ... import restore, thaw
from ...base.errors import ConfigError
from ...config.load import load
from ...records.model import Target
from ...restore.request import ACTIONS, ARCHIVING, EXISTING, LEAVE, RestorePlan, RestoreRequest, RestoreResult
from ...thaw.terms import TIERS
from ..terminal import Answer, Terminal, bullets, duration, size
from .described import add_command, add_plan
from .erasure import add_confirmation

_AGAIN = "for another restore, use another --request-id, or none"


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers,
        "restore",
        'restore --plan --time "2026-11-22 14:02:00+00"',
        "restore --latest --existing move_aside",
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--latest", action="store_true", help="to the end of the archived WAL (default)")
    target.add_argument("--immediate", action="store_true", help="to the end of the backup")
    target.add_argument(
        "--time", metavar="TIME", help="'2026-11-22 14:02:00+00'; without a zone, in the server's TimeZone"
    )
    target.add_argument("--lsn", metavar="LSN", help="0/3000028")
    target.add_argument("--xid", metavar="XID", help="a transaction id")
    target.add_argument("--name", metavar="NAME", help="a restore point (pg_create_restore_point)")
    parser.add_argument(
        "--without-pieces",
        action="store_true",
        help="stop after the last complete segment, and ignore streamed pieces of the next one",
    )
    parser.add_argument(
        "--without-erasures",
        action="store_true",
        help="do not reapply registered erasures; document the reason yourself",
    )
    add_confirmation(parser)
    parser.add_argument("--exclusive", action="store_true", help="stop just before the target instead of just after it")
    parser.add_argument(
        "--timeline", default="latest", help="latest, current (the backup's) or a number (default: %(default)s)"
    )
    parser.add_argument("--label", help="use this backup instead of the newest one finished before the target")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="restore there; a cluster outside of the configured directory is a clone"
    )
    parser.add_argument(
        "--tablespace",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="put the tablespace at OLD into NEW (repeatable); write an equals sign in a path as \\=",
    )
    parser.add_argument("--wal-dir", metavar="DIR", help="put pg_wal there, linked from the data directory")
    parser.add_argument(
        "--existing",
        choices=EXISTING,
        default="refuse",
        help="how to treat directories that are not empty (default: %(default)s)",
    )
    parser.add_argument(
        "--delta",
        action="store_true",
        help="restore over the stopped data directory of this cluster: keep files that match the backup, and"
        " overwrite the others",
    )
    parser.add_argument(
        "--action", choices=ACTIONS, default="promote", help="what to do at the target (default: %(default)s)"
    )
    parser.add_argument(
        "--archiving",
        choices=ARCHIVING,
        default="auto",
        help="whether the restored cluster archives (default: %(default)s: not in a clone)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting for the restored cluster (repeatable)",
    )
    parser.add_argument(
        "--leave", choices=LEAVE, default="running", help="how to leave a promoted server (default: %(default)s)"
    )
    parser.add_argument(
        "--request-id",
        metavar="ID",
        help="an ID for this restore, such as an incident's: a run with the same ID does nothing once the restore is"
        " finished",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="fail if recovery takes longer")
    parser.add_argument(
        "--thaw", choices=TIERS, help="first thaw what is in an archive class, at this speed and price, and wait"
    )
    add_plan(parser, "only show what would be done")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Plan, then restore, unless only the plan was requested."""
    config, request = load(args.config, args.as_of), _request(args)
    planned, thawing = thaw.plan_restore(config, request, args.thaw, args.plan, terminal)
    told = {"thaw": thawing.as_dict()} if thawing else {}
    if args.plan or planned is None:
        first = [f"{thawing.repository}: would be thawed first: {thawing.cost}"] if thawing and thawing.frozen else []
        if planned is None:
            return Answer(told, "\n".join([*first, "the restore can be planned once that can be read"]))
        return Answer({**planned.as_dict(), **told}, "\n".join([*first, describe_plan(planned)]))
    if not args.quiet:
        for line in describe_plan(planned).splitlines():
            terminal.note(line)
    result = restore.apply(config, planned, terminal)
    return Answer(
        {"changed": not planned.satisfied, "plan": planned.as_dict(), "restore": result.as_dict(), **told},
        describe_result(planned, result),
    )


def _request(args: argparse.Namespace) -> RestoreRequest:
    kind, value = next(
        ((k, getattr(args, k)) for k in ("time", "lsn", "xid", "name") if getattr(args, k) is not None), ("", None)
    )
    kind = kind or ("immediate" if args.immediate else "latest")
    return RestoreRequest(
        target=Target(kind, value, not args.exclusive, args.timeline),
        label=args.label,
        data_dir=args.data_dir,
        tablespaces=dict(_mapping(words) for words in args.tablespace),
        existing=args.existing,
        action=args.action,
        archiving=args.archiving,
        settings=_pairs(args.set, "--set"),
        leave=args.leave,
        timeout=args.timeout,
        delta=args.delta,
        pieces=not args.without_pieces,
        erasures=not args.without_erasures,
        confirm_erasures=tuple(args.confirm_erasures),
        request_id=args.request_id,
        wal_dir=args.wal_dir,
        # With --plan: people want to see the plan before they stop the server.
        assume_stopped=args.plan,
    )


def _mapping(words: str) -> Tuple[str, str]:
    """``OLD=NEW``, with a backslash before an equals sign in a path, as for ``pg_basebackup``."""
    parts = re.split(r"(?<!\\)=", words)
    if len(parts) != 2 or not all(parts):
        raise ConfigError(
            f"--tablespace {words!r} is not OLD=NEW.",
            "Use --tablespace /old/place=/new/place, and write an equals sign in a path as \\=.",
        )
    old, new = (part.replace("\\=", "=") for part in parts)
    return old, new


def _pairs(words: List[str], option: str) -> Dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for left, sign, _right in pairs:
        if not sign or not left:
            raise ConfigError(f"{option} {left!r} has no '='.", f"Write {option} NAME=VALUE.")
    return {left: right for left, _sign, right in pairs}


def describe_plan(planned: RestorePlan) -> str:
    """The plan as text, for a person who reads it at three in the morning."""
    data = planned.as_dict()
    if planned.satisfied:
        return f"{planned.data_dir} is already the result of this restore; nothing to do\n{_AGAIN}"
    window = data["window"]
    lines = [
        f"restore to {data['target']} on timeline {data['target_timeline']}, then {planned.request.action}",
        (
            f"from backup {planned.backup.label} (consistent at {data['backup_finished_at']})"
            f" in repository {data['repository']}"
        ),
        f"reachable with it: times from {window['start']} to just before {window['end']}, and latest"
        f" (LSN {window['end_lsn']})",
        (
            f"fetch {size(data['bytes_to_fetch'])}, write {size(data['bytes_to_write'])},"
            f" replay at most {data['segments_needed']} WAL segments: about {duration(planned.estimated_seconds)}"
        ),
        f"archiving of the restored cluster: {'on' if planned.archiving else 'off'}",
    ]
    words = {
        "missing": "will be created",
        "empty": "will be filled",
        "unfinished": "has an unfinished restore, which will be replaced",
        "occupied": "will be moved aside and created again",
        "kept": "will keep files that match the backup; all else in it will be overwritten",
    }
    if len(planned.chain) > 1:
        lines.append(f"combined from {len(planned.chain)} backups, each based on the one before:")
        lines += bullets([f"{b.label} ({size(b.data_size)}, {size(b.stored_size)} stored)" for b in planned.chain])
    lines += bullets(
        [
            f"{p.path} {words[p.state]} ({size(p.size)}{f', and {size(p.staged)} temporarily' if p.staged else ''})"
            for p in planned.places
        ]
    )
    lines += [f"skipped: {text}" for text in planned.passed_over]
    return "\n".join([*lines, *planned.notes, *_warnings(planned.warnings)])


def describe_result(planned: RestorePlan, result: RestoreResult) -> str:
    """The result as text: what was reached, and how long each phase took."""
    if planned.satisfied:
        return f"{planned.data_dir} is already the result of this restore; nothing was done\n{_AGAIN}"
    commit = f"last commit at {result.reached_time}" if result.reached_time else "no commit was replayed"
    if planned.request.action == "shutdown":
        commit = "stopped before the last commit could be read"
    lines = [
        f"restored {result.label} to {result.target}: reached LSN {result.reached_lsn}, {commit}",
        (
            f"timeline {result.timeline} (from {result.parent_timeline});"
            f" the server in {result.data_dir} is {result.state}"
        ),
        ", ".join(f"{name} {duration(seconds)}" for name, seconds in result.timings.items()),
    ]
    if result.standby:
        ends = [e for e in (result.standby["archive_end_lsn"], result.standby["pieces_end_lsn"]) if e]
        lag = f"{result.standby['lag_bytes']} bytes, {duration(result.standby['lag_seconds'])}"
        lines.append(f"replayed to {result.standby['replayed_lsn']}; the repository reaches {ends[-1]} (lag: {lag})")
    told = result.erasures
    if told.get("left_out"):
        lines.append("erasures were not applied again: data erased since then is back")
    for one in told.get("applied", ()):
        what = "its table does not exist" if one["absent"] else f"{one['rows']} rows"
        lines.append(f"erased again: {one['id']} of {one['table']} {one['reference']}".rstrip() + f", {what}")
    if told.get("unconfirmed"):
        lines.append(f"NOT erased again, not confirmed: {', '.join(told['unconfirmed'])}")
    if told.get("pending"):
        lines.append(f"{len(told['pending'])} erasures are pending: run lifeboat erasure apply after promotion")
    lines += [f"NOT READ: the erasures in {name}" for name in told.get("unread", ())]
    lines += _warnings(result.warnings)
    return "\n".join(lines + [f"the previous content is kept in {path}" for path in result.moved_aside])


def _warnings(words: Sequence[str]) -> List[str]:
    return [f"WARNING {text}" for text in words]
