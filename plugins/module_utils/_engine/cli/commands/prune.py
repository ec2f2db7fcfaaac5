# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat prune`` and ``lifeboat hold``."""

from __future__ import annotations

import argparse
import json
from typing import Any, Dict, List, Sequence, Tuple

from ...config.load import Config, load
from ...provision.bucket_rules import rules_for
from ...records.model import format_time
from ...repository import holds
from ...repository.repository import Repositories
from ...retention import holding, prune
from ...retention.guards import GUARDS
from ...retention.prune import Pruned
from ...retention.trails import Removal
from ...store import bucket_of
from ..terminal import Answer, Terminal, bullets, size, table
from .described import add_command, add_plan

_NAMED = 20


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "prune", "prune --plan", "prune --plan --keys")
    add_plan(parser, "only show what would be removed and what is kept")
    parser.add_argument("--keys", action="store_true", help="list every object instead of counts")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=GUARDS,
        metavar="GUARD",
        help=f"lift a guard: {', '.join(GUARDS)} (repeatable)",
    )
    parser.add_argument("--lifecycle", action="store_true", help="only show the S3 lifecycle rules that fit the policy")
    parser.add_argument(
        "--version-days",
        type=int,
        default=30,
        metavar="N",
        help="with --lifecycle: how long to keep older versions (30)",
    )
    parser.set_defaults(handler=run_prune)
    parser = add_command(
        subparsers,
        "hold",
        'hold 20261122T020000Z-full --reason "legal hold 4711"',
        "hold 20261122T020000Z-full --release",
    )
    parser.add_argument("label", nargs="?", help="the backup; without it, list all holds")
    parser.add_argument("--reason", default="", help="the reason, such as a legal hold or a migration")
    parser.add_argument("--release", action="store_true", help="release the backup")
    parser.set_defaults(handler=run_hold)


def run_prune(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if a guard refuses the plan, or a repository cannot be read."""
    if args.lifecycle:
        return _lifecycle(load(args.config, args.as_of), args.version_days)
    done = (prune.plan if args.plan else prune.apply)(load(args.config, args.as_of), args.allow, terminal)
    lines: List[str] = []
    for repository in done:
        lines += [*_describe(repository, args.plan, args.keys), ""]
    data = {"changed": any(p.plan.removals or p.uploads for p in done), "repositories": [p.as_dict() for p in done]}
    return Answer(data, "\n".join(lines).rstrip(), 1 if any(p.objections or p.error for p in done) else 0)


def _lifecycle(config: Config, version_days: int) -> Answer:
    """Print, for each bucket, its rules and the new ones in the form of ``put-bucket-lifecycle-configuration``."""
    buckets = ((r.name, bucket_of(r.store)) for r in config.repositories)
    wanted = {name: rules_for(bucket, version_days) for name, bucket in buckets if bucket is not None}
    lines: List[str] = []
    for name, found in wanted.items():
        lines += [f"{name}: {note}" for note in found.notes]
        lines.append(json.dumps({"Rules": found.rules}, indent=2))
    data = {
        "changed": False,
        "lifecycle": {name: {"Rules": found.rules, "notes": found.notes} for name, found in wanted.items()},
    }
    return Answer(data, "\n".join(lines) or "no repository is a bucket with lifecycle rules")


def _describe(done: Pruned, planned: bool, keys: bool) -> List[str]:
    plan = done.plan
    lines = [done.location]
    if done.error:
        return [*lines, f"  NOT READ: {done.error.message}"]
    verb = "would be removed" if planned else "removed"
    lines.append(
        f"  {len(plan.removals)} of {plan.objects} objects {verb}: {size(plan.bytes_removed)} of {size(plan.bytes)}"
        f" ({plan.share:.0f} %)"
    )
    groups: Dict[Tuple[str, str], List[Removal]] = {}
    for removal in plan.removals:
        groups.setdefault((_what(removal), removal.reason), []).append(removal)
    for (label, reason), group in groups.items():
        lines += _group(label, reason, group, keys)
    if plan.due:
        renewed = "may have to be renewed" if planned else f"checked, {done.locks.extended} renewed"
        lines.append(f"  the locks of {len(plan.due)} kept objects end soon: {renewed}")
    if done.locked:
        lines.append(f"  {done.locked} of them stay until their locks end")
    lines += [f"  - the upload of {u.key}, started {format_time(u.begun)}, never finished" for u in done.uploads]
    if plan.kept:
        lines.append("  these backups are kept")
        lines += [f"    {label}: {'; '.join(why)}" for label, why in sorted(plan.kept.items())]
    if plan.weak:
        lines.append("  these do not count: nothing is removed because of them")
        lines += [f"    {name}: {why}" for name, why in sorted(plan.weak.items())]
    if plan.foreign:
        lines.append("  these are left alone: their records are damaged or implausible (docs/retention.md)")
        lines += [f"    {name}: {why}" for name, why in sorted(plan.foreign.items())]
    lines += [f"  SET APART {item.error.message}" for item in done.aside[:_NAMED]]
    if len(done.aside) > _NAMED:
        lines.append(f"  SET APART {len(done.aside) - _NAMED} more (--json names them)")
    return lines + [f"  REFUSED by the guard {o.guard}: {o.message}" for o in done.objections]


def _what(removal: Removal) -> str:
    """What an object belongs to: the label of a backup or copy, or WAL."""
    return "WAL" if "/wal/" in removal.key else removal.key.rsplit("/", 2)[1]


def _group(label: str, reason: str, removals: Sequence[Removal], keys: bool) -> List[str]:
    first, last = (removals[i].key.rsplit("/", 1)[1].split(".")[0] for i in (0, -1))
    names = f" {first} to {last}" if label == "WAL" else ""
    total = size(sum(r.size for r in removals))
    lines = [f"  - {label}{names}, {len(removals)} objects, {total}: {reason}"]
    return lines + [f"      {r.key}  {r.size}" for r in removals if keys]


def run_hold(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Hold or release a backup in every repository; without a label, list all holds."""
    config = load(args.config, args.as_of)
    if args.label is None:
        return _held(config)
    changed = holding.apply(config, args.label, not args.release, args.reason)
    verb = "released" if args.release else "held"
    lines = [f"{args.label} is {verb}", *bullets([f"in {name}" for name in changed])]
    return Answer({"changed": bool(changed), "label": args.label, "held": not args.release}, "\n".join(lines))


def _held(config: Config) -> Answer:
    repositories = Repositories.open(config)
    try:
        held = {r.name: list(holds.read_holds(r).values()) for r in repositories.items}
    finally:
        repositories.close()
    rows = [[name, e.label, e.by, e.reason] for name, found in held.items() for e in found]
    data = {"holds": {name: [e.as_dict() for e in found] for name, found in held.items()}}
    return Answer(data, table(["repository", "label", "by", "reason"], rows) if rows else "no holds")
