# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby``: the state of a standby, and the steps of a change of the primary."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List

from ...config.load import load
from ...failover import diverged, handover, loss, promote, rewind, settle
from ...failover.judge import OK, accepted_lsn, read_limit
from ...leadership.record import CHANGES
from ...restore import StandbyStatus, apply_follow, plan_follow, standby_status_of
from ..terminal import Answer, Terminal, bullets, duration, size
from .described import Actions, add_command, add_plan

# Exit status: a person has to accept the loss.
_NOT_OK = 2


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "standby", "standby status", "standby handover")
    actions = Actions(parser)
    actions.add(
        "status",
        run_status,
        "show the lag behind the repository",
        "standby status",
        "--json standby status",
    )
    lost = actions.add(
        "loss",
        run_loss,
        "show what a promotion of this standby would lose, and exit with 2 if a person has to accept that",
        "standby loss",
        "standby loss --max-loss 60s",
        "standby loss --max-loss 16MB --accept-loss 0/3000028",
    )
    _add_loss(lost)
    actions.add(
        "handover",
        run_handover,
        "store the last WAL of a primary that was shut down cleanly, so that it can follow the standby",
        "standby handover",
        "standby handover --json",
    )
    rise = actions.add(
        "promote",
        run_promote,
        "replay everything that is stored, or up to the hand-over LSN, and promote this standby",
        "standby promote --plan",
        "standby promote --accept-loss 0/3000028 --claim failover --token INC-2026-042",
        "standby promote --handover-lsn 0/3000098 --claim switchover --token INC-2026-042",
    )
    rise.add_argument("--handover-lsn", metavar="LSN", help="the LSN where the old primary stopped")
    _add_loss(rise)
    rise.add_argument(
        "--claim", choices=CHANGES, metavar="KIND", help="claim the leadership first: switchover or failover"
    )
    rise.add_argument(
        "--token", metavar="TEXT", help="name of this attempt: only a repetition with the same name goes on"
    )
    wait = f"seconds to wait for the replay (default: {promote.CATCH_UP})"
    rise.add_argument("--catch-up", type=float, default=promote.CATCH_UP, metavar="SECONDS", help=wait)
    wait = f"seconds to wait for the end of the recovery (default: {promote.TIMEOUT})"
    rise.add_argument("--timeout", type=float, default=promote.TIMEOUT, metavar="SECONDS", help=wait)
    add_plan(rise, "only show whether it would be promoted")
    follow = actions.add(
        "follow",
        run_follow,
        "turn a server that was shut down cleanly into a standby, without a restore",
        "standby follow",
        "standby follow --plan",
    )
    follow.add_argument(
        "--running",
        action="store_true",
        help="prepare a primary that is about to be stopped, so that it starts as a standby",
    )
    add_plan(follow, "only show what would be changed")
    rest = actions.add(
        "settle",
        run_settle,
        "archive the WAL of earlier timelines that only this server has",
        "standby settle",
        "standby settle --plan",
    )
    add_plan(rest, "only show what would be archived")
    behind = actions.add(
        "diverged",
        run_diverged,
        "store the WAL that an old primary wrote after the fork of the new timeline, and list its commits",
        "standby diverged",
        "standby diverged --plan",
    )
    add_plan(behind, "only show what would be stored")
    back = actions.add(
        "rewind",
        run_rewind,
        "store the WAL that a stopped old primary wrote after the fork, and rewind it by pg_rewind to be a standby",
        "standby rewind --plan",
        "standby rewind",
    )
    add_plan(back, "only show what would be undone")


def _add_loss(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-loss",
        metavar="LIMIT",
        help="loss that needs no acceptance: seconds of commits (60s) or bytes of WAL (16MB); default: objectives.rpo",
    )
    parser.add_argument("--accept-loss", metavar="LSN", help="accept the loss that was shown with this LSN")


def run_diverged(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the host of the stopped old primary."""
    config = load(args.config, args.as_of)
    told = (diverged.plan if args.plan else diverged.apply)(config).as_dict()
    return Answer(told, _diverged_text(told))


def run_rewind(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the host of the stopped old primary."""
    config = load(args.config, args.as_of)
    told = (rewind.plan if args.plan else rewind.apply)(config).as_dict()
    words = "that would be undone" if args.plan else "it follows, once it is started"
    return Answer(told, "\n".join([_diverged_text(told), *([words] if told["changed"] else [])]))


def _diverged_text(told: Dict[str, Any]) -> str:
    if not told["diverged"]:
        return "nothing was written after the fork"
    span = f", from {told['first_commit_at']} to {told['last_commit_at']}" if told["first_commit_at"] else ""
    lines = [
        f"timeline {told['new_timeline']} forked at {told['fork_lsn']}, this server wrote on to {told['end_lsn']}:"
        f" {size(told['bytes'])}, {told['commits']} transactions{span}"
    ]
    if told["xids"]:
        more = "" if told["xids_complete"] else f" and {told['commits'] - len(told['xids'])} more"
        lines.append(f"transaction ids {', '.join(map(str, told['xids']))}{more}")
    if told["label"]:
        lines += bullets([f"stored in {name}" for name in told["repositories"]] or ["already stored"])
        lines.append(f"label {told['label']}")
    return "\n".join(lines)


def run_status(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print the state of the standby. Read-only."""
    status = standby_status_of(load(args.config, args.as_of))
    return Answer(status.as_dict(), describe(status))


def run_loss(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print the loss. Read-only, except that the last known position of the primary is saved."""
    config = load(args.config, args.as_of)
    limit = read_limit(args.max_loss, config.objectives.rpo)
    found, verdict = loss.read(config, limit, accepted_lsn(args.accept_loss))
    told = found.as_dict(verdict)
    return Answer(told, "\n".join(_loss_lines(told)), 0 if verdict.word == OK else _NOT_OK)


def _loss_lines(told: Dict[str, Any]) -> List[str]:
    """The result as text."""
    rest = told["to_replay"]
    commits = "transactions not counted" if rest["commits"] is None else f"{rest['commits']} transactions"
    lines = [
        f"replayed to {told['replayed_lsn']} on timeline {told['timeline']}, to {told['lsn']} with all stored WAL:"
        f" {size(rest['bytes'])}, {commits}"
    ]
    for stored in told["repositories"]:
        more = f", pieces on to {stored['pieces_end_lsn']}" if stored["pieces_end_lsn"] else ""
        lines.append(f"repository {stored['repository']}: complete segments to {stored['archive_end_lsn']}{more}")
    lines += [f"NOT READ {name}: {error['message']}" for name, error in told["unread"].items()]
    if told["primary_lsn"]:
        lost = f"{size(told['lost_bytes'])} of it are lost" if told["lost_bytes"] else "none of it is lost"
        lines.append(f"the primary's WAL went to {told['primary_lsn']} at {told['primary_heard_at']}: {lost}")
    else:
        lines.append("the position of the primary is not known: this standby did not stream from it")
    seconds = told["uncovered_seconds"]
    uncovered = "for an unknown time" if seconds is None else f"for the last {duration(seconds)}"
    lines.append(f"nothing is known of the primary {uncovered}; what it committed since then is lost")
    lines.append({"ok": "OK", "needs_acceptance": "NEEDS ACCEPTANCE", "refused": "REFUSED"}[told["verdict"]])
    lines += bullets(told["reasons"])
    if told["verdict"] != OK:
        lines.append(f"to accept: --accept-loss {told['lsn']}")
    return lines


def run_handover(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the host of the old primary."""
    done = handover.apply(load(args.config, args.as_of)).as_dict()
    lines = [f"the WAL of timeline {done['timeline']} ends at {done['handover_lsn']}, after the shutdown checkpoint"]
    lines += bullets([f"archived {pushed['name']}" for pushed in done["pushed"]])
    lines += bullets([f"stored {piece['key']} in {piece['repository']}" for piece in done["pieces"]])
    return Answer(done, "\n".join(lines if done["changed"] else [*lines, "all of it was already stored"]))


def run_promote(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the host of the standby."""
    config = load(args.config, args.as_of)
    request = promote.request(config, vars(args))
    done = (promote.plan if args.plan else promote.apply)(config, request)
    told = done.as_dict()
    if args.plan and done.changed:
        return Answer(told, f"the standby would be promoted; it has replayed to {told['replayed_lsn']}")
    began = f", which began at {told['fork_lsn']}" if told["fork_lsn"] else ""
    words = "was promoted" if done.changed else "is a primary already"
    return Answer(told, f"the server {words}: it is on timeline {told['timeline']}{began}")


def run_follow(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the host of an old primary."""
    config = load(args.config, args.as_of)
    planned = plan_follow(config, args.running)
    done = planned if args.plan else apply_follow(config, planned)
    words = {False: "follows already", True: "would follow" if args.plan else "follows, once it is started,"}
    return Answer(done.as_dict(), f"{done.data_dir} {words[done.changed]} timeline {done.newest_timeline}")


def run_settle(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Run on the standby that is or will be promoted. Exit status 1 if some WAL exists nowhere."""
    config = load(args.config, args.as_of)
    done = (settle.plan if args.plan else settle.apply)(config)
    told = done.as_dict()
    where = "what is replayed" if told["in_recovery"] else f"where timeline {told['timeline']} forked"
    lines = [f"WAL up to {told['settled_up_to']}, {where}"]
    for name, names in told["lacking"].items():
        lines.append(f"repository {name} {'lacks' if args.plan else 'lacked'} {len(names)} segments of it")
        lines += bullets(names)
    if not args.plan:
        lines.append(f"{len(told['pushed'])} files archived, {told['compared']} compared with stored ones")
    if done.missing:
        lines += ["MISSING here and in a repository, a gap for restores:", *bullets(done.missing)]
    return Answer(told, "\n".join(lines), 1 if done.missing else 0)


def describe(status: StandbyStatus) -> str:
    """The result as text."""
    told = status.as_dict()
    commit = f"last commit at {told['replayed_commit_at']}" if told["replayed_commit_at"] else "no commit yet"
    more = f", pieces on to {told['pieces_end_lsn']}" if told["pieces_end_lsn"] else ""
    lag = f"{size(status.lag_bytes)} and {duration(status.lag_seconds)} behind it"
    behind = lag if status.lag_bytes else "all of it is replayed"
    lines = [
        f"replayed to {told['replayed_lsn']} on timeline {told['timeline']}, {commit}",
        f"repository {told['repository']}: complete segments to {told['archive_end_lsn']}{more}; {behind}",
    ]
    if status.obstacles:
        return "\n".join([*lines, "a promotion now would leave a gap:", *(f"  {o}" for o in status.obstacles)])
    return "\n".join([*lines, "it can be promoted without a gap"])
