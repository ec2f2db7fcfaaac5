# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat leader``: show which site leads, claim to lead, and check whether this site does."""

from __future__ import annotations

import argparse
import os
from typing import Any, Dict

from ...base.errors import LifeboatError
from ...base.time_limit import time_limit
from ...config.load import Config, load
from ...leadership import claim
from ...leadership.decide import Request
from ...leadership.read import Seen, look, system_of
from ...leadership.record import KINDS
from ...postgres.recovery import RECOVERY, STANDBY
from ...records.fields import printable
from ...repository.hasty import open_answering
from ..terminal import Answer, Terminal, bullets, table
from .described import Actions, add_command, add_plan

_DEPOSED = 2
# Distinct from those of wrong usage or a broken installation, because a unit stops the server because of it.
_STOP = 77
_GUARD_SECONDS = 20


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "leader", "leader show", "leader claim --kind first", "leader check")
    actions = Actions(parser)
    actions.add("show", run_show, "list the epochs, and show which site leads", "leader show", "leader show --json")
    lead = actions.add(
        "claim",
        run_claim,
        "put the next epoch into every required repository, so that this site leads",
        "leader claim --kind first",
        "leader claim --kind switchover --handover-lsn 0/3000028",
        "leader claim --kind failover --plan",
    )
    lead.add_argument("--kind", required=True, choices=KINDS, help="why this site leads from now on")
    lead.add_argument("--handover-lsn", metavar="LSN", help="the LSN where the previous site stopped")
    lead.add_argument(
        "--timeline", type=int, metavar="N", help="the timeline (default: that of the server's last checkpoint)"
    )
    lead.add_argument(
        "--token", metavar="TEXT", help="name of this attempt: only a repetition with the same name continues it"
    )
    lead.add_argument(
        "--after", type=int, metavar="N", help="refuse unless epoch N is still the newest (0: unless there is none)"
    )
    add_plan(lead, "only show what would be claimed")
    actions.add(
        "check",
        run_check,
        "exit with 0 if this site leads or leadership is not tracked, with 2 if it is deposed",
        "leader check",
        "leader check --json",
    )
    guard = actions.add(
        "guard",
        run_guard,
        "exit with 77 if the data directory would serve as a primary of a deposed site; for the server's unit",
        "leader guard",
        "leader guard --seconds 20",
    )
    limit = f"time limit (default: {_GUARD_SECONDS})"
    guard.add_argument("--seconds", type=int, default=_GUARD_SECONDS, metavar="N", help=limit)


def run_show(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a line for each valid epoch, oldest first, and the epochs that were set apart."""
    config = load(args.config, args.as_of)
    seen = _look(config)
    rows = [
        [str(e["epoch"]), e["site"], e["kind"], e["claimed_at"], str(e["timeline"]), e["handover_lsn"] or "-"]
        for e in (epoch.shown() for epoch in seen.now.epochs)
    ]
    head = ["epoch", "site", "kind", "claimed at", "timeline", "hand-over LSN"]
    lines = [table(head, rows) if rows else "no epochs", _words(config, seen)]
    lines += [f"SET APART epoch {a.number} in {a.repository}: {printable(a.why)}" for a in seen.now.aside]
    lines += [f"NOT READ {name}: {exc.message}" for name, exc in seen.unread.items()]
    return Answer(_data(config, seen), "\n".join(lines))


def run_check(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 2 only if it is certain that another site leads."""
    config = load(args.config, args.as_of)
    if not config.site:
        data = {"site": None, "leads": False, "deposed": False}
        return Answer(data, "leadership is not tracked: this configuration has no site")
    seen = _look(config)
    return Answer(_data(config, seen), _words(config, seen), _DEPOSED if seen.now.deposes(config.site) else 0)


def run_guard(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 77 only if this site is certainly deposed: an unavailable store must not stop a server."""
    config = load(args.config, args.as_of)
    if not config.site or not config.data_dir:
        return Answer({"may_serve": True}, "nothing is guarded: this configuration has no site or no data_dir")
    if any(os.path.exists(os.path.join(config.data_dir, name)) for name in (STANDBY, RECOVERY)):
        return Answer({"may_serve": True}, "the server is, or starts as, a standby")
    try:
        with time_limit(args.seconds):
            seen = _look(config)
    except (LifeboatError, TimeoutError) as exc:
        return Answer({"may_serve": True}, f"the leading site is unknown, so the server may serve: {exc}")
    deposed = seen.now.deposes(config.site)
    return Answer({"may_serve": not deposed}, _words(config, seen), _STOP if deposed else 0)


def run_claim(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Put the epoch into every required repository that lacks it."""
    config = load(args.config, args.as_of)
    timeline, handover = claim.timeline_of(config, args.timeline), claim.handover_of(args.handover_lsn)
    request = Request(config.site, args.kind, timeline, handover, args.token, args.after)
    done = (claim.plan if args.plan else claim.apply)(config, request)
    would = "would lead" if args.plan else "leads"
    lines = [f"site {done.epoch.site} {would} by {done.epoch.describe()}"]
    lines += bullets([f"{'to be put in' if args.plan else 'put in'} {name}" for name in done.repositories])
    return Answer(done.as_dict(), "\n".join(lines))


def _look(config: Config) -> Seen:
    with open_answering(config) as repositories:
        return look(repositories.required, system_of(config, repositories.required))


def _words(config: Config, seen: Seen) -> str:
    leader = seen.now.leader
    if leader is None:
        return "no site leads"
    own = {True: ": this one", False: f"; this one is {config.site}"}[leader.site == config.site] if config.site else ""
    return f"site {leader.site} leads, by {leader.describe()}{own}"


def _data(config: Config, seen: Seen) -> Dict[str, Any]:
    now, leader = seen.now, seen.now.leader
    return {
        "site": config.site or None,
        "leader": leader.site if leader else None,
        "leads": bool(leader and leader.site == config.site),
        "deposed": bool(config.site) and now.deposes(config.site),
        "system_identifier": seen.system,
        "epochs": [epoch.shown() for epoch in now.epochs],
        "conflicts": list(now.conflicts),
        "set_apart": [{"repository": a.repository, "epoch": a.number, "why": a.why} for a in now.aside],
        "unread": {name: exc.as_dict() for name, exc in seen.unread.items()},
    }
